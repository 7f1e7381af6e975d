"""How a run is gone on with: the command that worked on it last, in its folder, for its file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from escl.errors import UsageError

_RESUMABLE: Final = ("run", "demo", "score")
_OUT: Final = ("--out", "-o")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A command to start.

    Attributes:
        words: What follows `escl`.
        folder: Where it was given, as far as its `--out` tells.
    """

    words: tuple[str, ...]
    folder: Path

    @property
    def shown(self) -> str:
        """The command as one would type it."""
        return shlex.join(("escl", *self.words))


def resumption(command: str, path: Path) -> Resumption:
    """Return how to go on with the run at `path`, which `command` worked on last. It writes to `path` and nowhere else.

    Args:
        command: As the run keeps it: from a file that may be anybody's, so it is shown before it is started.
        path: The run's file.

    Raises:
        UsageError: It is no command that goes on by itself.
    """
    try:
        program, *words = shlex.split(command)
    except ValueError:
        program, words = "", []
    # A person who plays the supporter needs the terminal.
    if PurePath(program).stem != "escl" or not words or words[0] not in _RESUMABLE or "human" in words:
        raise UsageError(f"the run was begun with another command: {command}", hint="run it again in a terminal")
    kept, out = _without_out(words)
    here = path.absolute()
    return Resumption(words=(*kept, "--out", str(here)), folder=_given_in(here, out))


def _without_out(words: list[str]) -> tuple[list[str], str | None]:
    kept: list[str] = []
    out, is_value = None, False
    for word in words:
        if is_value:
            out, is_value = word, False
        elif word in _OUT:
            is_value = True
        elif word.startswith("--out="):
            out = word.partition("=")[2]
        elif word.startswith("-o") and not word.startswith("--"):
            out = word.removeprefix("-o")
        else:
            kept.append(word)
    return kept, out


def _given_in(path: Path, out: str | None) -> Path:
    """Return the folder in which `out` names `path`."""
    if out is None:
        return path.parent
    named = PurePath(out)
    if named.is_absolute():
        return Path.cwd()
    above = [part for part in named.parts if part != "."]
    return path.parents[len(above) - 1] if above and path.parts[-len(above) :] == tuple(above) else path.parent
