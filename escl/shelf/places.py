"""Where the user's models and their downloads are kept."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from escl.core.user_home import user_home
from escl.errors import StorageError


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


def discard_downloads(repo: str) -> None:
    """Remove everything of a repository's downloads."""
    shutil.rmtree(downloads(repo), ignore_errors=True)
