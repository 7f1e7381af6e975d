"""Installing a bundle into a home: check, copy into a folder apart while hashing, rename at the end.

Owns what may be written where. A file that exists and differs is never replaced unasked. Weights get their names before
the manifests that name them, so an install that is cut short leaves no model that looks whole and is not; the same
command does it again.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from escl.bundle.folder import open_regular, write_new
from escl.bundle.manifest import BundledFile
from escl.bundle.opened import OnProgress, OpenBundle, open_bundle
from escl.bundle.paths import BOM, LICENCES, MANIFEST, SIGNATURE, installed_at
from escl.bundle.trust import check_acceptable, read_signers, remember
from escl.convert.disk import check_room
from escl.errors import BundleError, StorageError
from escl.shelf.manifest import sha256_of

_LOCK: Final = ".bundle.lock"
_STAGING: Final = ".bundle-"
_RECORDS: Final = "bundles"


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What an install did.

    Attributes:
        home: Where; ESCL_HOME must name it unless it is the default.
        is_trusted: Whether the signer's key was named with --trust, now or earlier.
        record: The folder with the bundle's manifest, signature, BOM and licences.
        written: Paths below the home that are new or replaced.
        kept: Paths that were there already, with the same content.
    """

    home: str
    record: str
    fingerprint: str
    signer: str | None
    is_trusted: bool
    written: list[str]
    kept: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One file to write: from the bundle, or a head of it, to a path below the home."""

    target: str
    file: BundledFile | None
    content: bytes = b""


def install(
    source: Path,
    home: Path,
    *,
    trust: str | None = None,
    replace: bool = False,
    on_progress: OnProgress | None = None,
) -> Installed:
    """Install the bundle at `source` into `home` and return what was done.

    Args:
        source: The folder or archive.
        home: Made when it is not there.
        trust: The public key that must have signed it, in hex; it is remembered as trusted.
        replace: Replace files that differ.
        on_progress: Called after each block.

    Raises:
        BundleError: The bundle is damaged or hostile, not of a trusted signer, older than what is installed, or would
            replace a file that differs.
        StorageError: No room, no right to write, or another install is running.
    """
    bundle = open_bundle(source)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / _LOCK, timeout=0):
            is_trusted = check_acceptable(bundle.manifest, read_signers(home), trust=trust)
            home = home.resolve()
            record = f"{_RECORDS}/{bundle.fingerprint[:16]}"
            written, kept = _install(bundle, home, record=record, replace=replace, on_progress=on_progress)
            remember(home, bundle.manifest, trust=trust)
    except Timeout:
        raise StorageError(f"another install into {home} is running") from None
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or home}: {error.strerror or error}") from error
    return Installed(
        home=str(home),
        record=str(home / record),
        fingerprint=bundle.fingerprint,
        signer=bundle.manifest.signer,
        is_trusted=is_trusted,
        written=written,
        kept=kept,
    )


def _install(
    bundle: OpenBundle, home: Path, *, record: str, replace: bool, on_progress: OnProgress | None
) -> tuple[list[str], list[str]]:
    """Install into `home` and return the paths that were written and those that were there."""
    for stale in home.glob(f"{_STAGING}*"):
        shutil.rmtree(stale)
    steps = _steps(bundle, record)
    kept = [step.target for step in steps if _is_there(home, step, replace=replace)]
    todo = [step for step in steps if step.target not in kept]
    total = sum(_size(step) for step in todo)
    check_room(home / "x", total)
    apart = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
    done = 0
    try:
        for step in todo:
            write_new(apart / step.target, _counted(bundle, step, done, total, on_progress))
            done += _size(step)
        for step in sorted(todo, key=_last_the_manifests):
            _publish(apart / step.target, home / step.target, replace=replace)
    finally:
        shutil.rmtree(apart, ignore_errors=True)
    return [step.target for step in todo], kept


def _steps(bundle: OpenBundle, record: str) -> list[_Step]:
    steps = [_Step(target=f"{record}/{MANIFEST}", file=None, content=bundle.content)]
    if bundle.signature is not None:
        steps.append(_Step(target=f"{record}/{SIGNATURE}", file=None, content=bundle.signature))
    for file in bundle.manifest.files:
        target = installed_at(file.path)
        if target is not None:
            steps.append(_Step(target=target.as_posix(), file=file))
        elif file.path == BOM or file.path.startswith(f"{LICENCES}/"):
            steps.append(_Step(target=f"{record}/{file.path}", file=file))
    return steps


def _is_there(home: Path, step: _Step, *, replace: bool) -> bool:
    """Return whether the target has the right content already.

    Raises:
        BundleError: It has other content and `replace` is off, or it or a folder above it is a link or no file.
    """
    path = home / step.target
    for parent in reversed(path.relative_to(home).parents[:-1]):
        if os.path.lexists(home / parent) and not stat.S_ISDIR((home / parent).lstat().st_mode):
            raise BundleError(
                f"{home / parent} is no folder but a link or a file", hint="install into another --to HOME"
            )
    if not os.path.lexists(path):
        return False
    with open_regular(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
    if step.file is None:
        is_same = size_bytes == len(step.content) and path.read_bytes() == step.content
    else:
        is_same = size_bytes == step.file.size_bytes and sha256_of(path) == step.file.sha256
    if not is_same and not replace:
        raise BundleError(
            f"{path} exists and is another file", hint="--replace replaces such files; nothing was changed"
        )
    return is_same


def _counted(
    bundle: OpenBundle, step: _Step, before: int, total: int, on_progress: OnProgress | None
) -> Iterator[bytes]:
    done = before
    for block in [step.content] if step.file is None else bundle.read(step.file):
        done += len(block)
        if on_progress is not None:
            on_progress(done, total)
        yield block


def _size(step: _Step) -> int:
    return len(step.content) if step.file is None else step.file.size_bytes


def _last_the_manifests(step: _Step) -> bool:
    return step.target.endswith(".toml")


def _publish(path: Path, target: Path, *, replace: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target) and not replace:
        raise BundleError(f"{target} appeared while the bundle was installed", hint="run the same command again")
    path.replace(target)
