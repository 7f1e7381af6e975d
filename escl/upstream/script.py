"""One Python file of upstream's as a syntax tree, with what every reader of it needs: finding parts, refusing others.

Owns where the files are taken from (a folder, or the zip that GitHub makes of a repository). Knows no protocol.
"""

from __future__ import annotations

import ast
import hashlib
import stat
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from escl.errors import ProtocolError

KNOWN: Final = {
    "e66bda0e1093c2bec7c46daa6a64584cc6153e1f1bfde94b3fa2fd3c8f5629f8": "evaluate.py of ESC-Eval, commit 9ad46e7",
    "1d775462adc7687d84ceb19d3648c3c917abf7ceed8b052b1fed8e4740f12724": "score.py of ESC-Eval, commit 9ad46e7",
}
"""Files by sha256 whose reading was compared with what they do."""

_MAX_BYTES: Final = 1 << 20
_MAX_MEMBERS: Final = 10_000
_UNREADABLE: Final = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,  # A name that is not in the encoding it claims, or an offset before the file's beginning.
    RuntimeError,  # Encrypted.
    NotImplementedError,  # A kind of zip file that zipfile does not know.
)
_HINT: Final = "escl reads ESC-Eval's scripts in the shape of commit 9ad46e7 of github.com/haidequanbu/ESC-Eval"

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed file.

    Attributes:
        name: Its file name.
    """

    name: str
    sha256: str
    tree: ast.Module

    def refuse(self, expected: str, at: ast.stmt | ast.expr | None = None) -> ProtocolError:
        """Return the error that says what was expected, and where."""
        where = self.name if at is None else f"{self.name}, line {at.lineno}"
        return ProtocolError(f"{where}: expected {expected}", hint=_HINT)

    def only(self, found: Iterable[_Found], expected: str, at: ast.stmt | ast.expr | None = None) -> _Found:
        """Return the one thing in `found`.

        Raises:
            ProtocolError: There is none, or there are several.
        """
        things = list(found)
        if len(things) != 1:
            raise self.refuse(f"{expected}, once; found {len(things)} times", at)
        return things[0]


def read_script(raw: bytes, name: str) -> Script:
    """Return the parsed file.

    Raises:
        ProtocolError: It is too big or no Python.
    """
    if len(raw) > _MAX_BYTES:
        raise ProtocolError(f"{name} is larger than {_MAX_BYTES >> 20} MiB", hint=_HINT)
    try:
        with warnings.catch_warnings():
            # Invalid escape sequences in the file are its author's affair.
            warnings.simplefilter("ignore")
            tree = ast.parse(raw)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"{name} is no Python that can be read: {error}", hint=_HINT) from error
    return Script(name=name, sha256=hashlib.sha256(raw).hexdigest(), tree=tree)


def find_scripts(path: Path, names: Iterable[str]) -> dict[str, Script]:
    """Return the scripts of these names in a folder, or in a zip file at its top or in its one top folder.

    Raises:
        ProtocolError: One is missing, unreadable or no Python.
    """
    raw = _raw_in_zip if path.is_file() else _raw_in_folder
    try:
        return {name: read_script(raw(path, name), name) for name in names}
    except _UNREADABLE as error:
        why = str(error) or "it ends too early"
        raise ProtocolError(f"{path} cannot be read: {why}", hint="give ESC-Eval's folder or its zip file") from error


def _raw_in_folder(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise ProtocolError(f"{path} is not there", hint="give the folder of ESC-Eval, or its zip file from GitHub")
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


def _raw_in_zip(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS:
            raise ProtocolError(f"{path} holds {len(members):,} files; ESC-Eval has about twenty")
        found = [member for member in members if _is_near_top(member, name)]
        if len(found) != 1:
            raise ProtocolError(
                f"{path} holds {len(found)} files named {name} at its top or one folder below", hint=_HINT
            )
        if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ProtocolError(f"{path} is packed in another way than GitHub's zip files", hint=_HINT)
        # Nothing is unpacked to disk, and no more is inflated than a script may have.
        with archive.open(found[0]) as file:
            return file.read(_MAX_BYTES + 1)


def _is_near_top(member: zipfile.ZipInfo, name: str) -> bool:
    parts = PurePosixPath(member.filename).parts
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    return len(parts) <= 2 and parts[-1:] == (name,) and not member.is_dir() and not is_link


def text_of(node: ast.AST | None) -> str | None:
    """Return the text of a string constant; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def name_of(node: ast.AST | None) -> str | None:
    """Return a plain variable's name; None for anything else."""
    return node.id if isinstance(node, ast.Name) else None


def sum_of(node: ast.expr) -> list[ast.expr]:
    """Return what is added up in `a + b + c`, in order; a node that is no sum alone."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def item_of(node: ast.AST) -> str | None:
    """Return the key of `x["key"]`; None for anything else."""
    return text_of(node.slice) if isinstance(node, ast.Subscript) else None


def message_of(node: ast.AST | None) -> tuple[str, ast.expr] | None:
    """Return (role, content) of `{"role": "...", "content": ...}`; None for anything else."""
    if not isinstance(node, ast.Dict) or [text_of(key) for key in node.keys] != ["role", "content"]:
        return None
    role = text_of(node.values[0])
    return None if role is None else (role, node.values[1])


def method_call(node: ast.AST, method: str) -> tuple[ast.expr, list[ast.expr]] | None:
    """Return (object, arguments) of `object.method(arguments)` without keywords; None for anything else."""
    if not isinstance(node, ast.Call) or node.keywords or not isinstance(node.func, ast.Attribute):
        return None
    return (node.func.value, node.args) if node.func.attr == method else None


def assigned(node: ast.AST) -> tuple[str, ast.expr] | None:
    """Return (name, value) of `name = value`; None for anything else."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return None
    name = name_of(node.targets[0])
    return None if name is None else (name, node.value)
