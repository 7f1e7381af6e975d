"""Where the user's models and their downloads are kept."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from escl.core.user_home import user_home
from escl.errors import StorageError

PARTIAL: Final = ".partial"
"""The folder of what was received of files that are not whole yet."""
_WEIGHTS: Final = (".safetensors", ".gguf")


def user_shelf() -> Path:
    """Return the folder for the user's own models: `$ESCL_HOME/gguf`, else the platform's data folder."""
    return user_home() / "gguf"


def downloads(repo: str) -> Path:
    """Return where a repository's downloads are kept while they are needed: beside the user's shelf."""
    return user_home() / "downloads" / f"models--{repo.replace('/', '--')}"


def snapshot(repo: str, revision: str) -> Path:
    """Return the folder of the downloads at one commit, laid out as the Hugging Face cache so that the origin shows."""
    return downloads(repo) / "snapshots" / revision


def kept_listing(repo: str, revision: str | None) -> Path:
    """Return the file in which the hub's answer about a repository is kept."""
    return downloads(repo) / f"{(revision or 'main').replace('/', '-')}.json"


@contextlib.contextmanager
def holding(repos: Iterable[str]) -> Iterator[None]:
    """Keep other processes from the downloads of these repositories.

    Raises:
        StorageError: Another process holds one, or its folder cannot be made.
    """
    with contextlib.ExitStack() as held:
        for repo in repos:
            folder = downloads(repo)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(folder / ".lock", timeout=0))
            except Timeout:
                raise StorageError(f"another escl pulls {repo}", hint="wait until it is done") from None
            except OSError as error:
                raise StorageError(f"{folder}: {error.strerror or error}") from error
        yield


def has_weights(repo: str) -> bool:
    """Return whether weights are among a repository's downloads, in whole or in part."""
    return any(
        path.is_file() and path.stat().st_size and (path.suffix in _WEIGHTS or path.parent.name == PARTIAL)
        for path in downloads(repo).rglob("*")
    )


def discard_unused(repo: str, *, small_files: bool) -> None:
    """Remove a repository's downloads if none was received, with `small_files` also if no weights were."""
    at = downloads(repo)
    received = has_weights(repo) if small_files else any(path.is_file() for path in at.glob("snapshots/**/*"))
    if not received:
        discard_downloads(repo)


def discard_downloads(repo: str) -> None:
    """Remove everything of a repository's downloads."""
    shutil.rmtree(downloads(repo), ignore_errors=True)
