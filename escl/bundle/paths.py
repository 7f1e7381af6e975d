"""Which names a bundle may hold: safe on every file system, equal on none, and only where escl looks for such files.

Names only; touches no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from escl.core.printable import printable
from escl.errors import BundleError

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
SUMS: Final = "SHA256SUMS"
BOM: Final = "bom.cdx.json"
WHEELS: Final = "wheels"
LICENCES: Final = "licences"
HOME: Final = "home"

MAX_PATH_CHARS: Final = 200
"""Leaves room for a folder on Windows, which ends at 260."""

# ASCII only, so that no two names differ by Unicode normalization alone. Colons (streams of NTFS), backslashes, quotes,
# leading dots, dashes and spaces are out; what Windows drops from the end is checked apart.
_COMPONENT: Final = re.compile(r"[A-Za-z0-9_+@=,][A-Za-z0-9 ._+@=,-]*")
# learn.microsoft.com, "Naming Files, Paths, and Namespaces"; reserved with any extension.
_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{digit}" for digit in range(10)), *(f"lpt{digit}" for digit in range(10))]
)
_INSTALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "gguf": (".gguf", ".toml"),
    "protocols": (".toml", ".json"),
    "cards": (".toml", ".json"),
}


def check_path(path: str) -> None:
    """Refuse a path that is unsafe on some system, or leads where a bundle has no business.

    Raises:
        BundleError: With the path and the reason.
    """
    if reason := _unsafe(path) or _misplaced(path):
        raise BundleError(f"the bundle names a file {shown(path)!r}: {reason}")


def check_together(names: Iterable[str]) -> None:
    """Refuse stored names of which two are one file on a file system that ignores case, or one is a folder of another.

    Raises:
        BundleError: With both names.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = name.lower()
        if folded in seen:
            raise BundleError(f"the bundle names {seen[folded]} and {name}, which are one file on some systems")
        seen[folded] = name
        for parent in PurePosixPath(folded).parents:
            folders.setdefault(parent.as_posix(), name)
    for folded, name in seen.items():
        if folded in folders:
            raise BundleError(f"the bundle names {name} as a file, and as a folder in {folders[folded]}")


def installed_at(path: str) -> PurePosixPath | None:
    """Return where a bundle's file goes below ESCL_HOME, None for one that is not installed."""
    pure = PurePosixPath(path)
    return pure.relative_to(HOME) if pure.parts[0] == HOME else None


def part_name(path: str, number: int) -> str:
    """Return the stored name of part `number`, from 1, of a file that is cut."""
    return f"{path}.part{number:03d}"


def shown(name: str) -> str:
    """Return a name from outside as it may be printed: on one line, without control characters, not endless."""
    return " ".join(printable(name[:MAX_PATH_CHARS]).split())


def _unsafe(path: str) -> str | None:
    if len(path) > MAX_PATH_CHARS:
        return f"longer than {MAX_PATH_CHARS} characters"
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            return "names hold ASCII letters, digits, spaces and . _ + @ = , - and begin with none of . - or a space"
        if component.endswith((".", " ")):
            return "a name ends with a dot or a space"
        if component.split(".")[0].rstrip().lower() in _DEVICES:
            return "a name is reserved on Windows"
    return None


def _misplaced(path: str) -> str | None:
    if path == BOM:
        return None
    pure = PurePosixPath(path)
    if len(pure.parts) > 1 and pure.parts[0] in (WHEELS, LICENCES):
        return None
    if len(pure.parts) < 3 or pure.parts[0] != HOME or pure.parts[1] not in _INSTALLED:
        return "it is in none of the folders that a bundle has"
    if pure.parts[1] == "gguf" and LICENCES in pure.parts[2:-1]:
        return None
    endings = _INSTALLED[pure.parts[1]]
    return None if pure.suffix in endings else f"files in {pure.parts[1]}/ end in {' or '.join(endings)}"
