"""Letting a judge compare a run's supporters: who can be it, into which file, and the command. Knows no widget."""

from __future__ import annotations

import itertools
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escl.core.printable import printable
from escl.tui.processes import said_by, start

if TYPE_CHECKING:
    from escl.tui.judged import Judged
    from escl.tui.processes import Started

_MOST_FILES: Final = 100
"""GGUF files of a folder that are offered."""
_LONGEST_NAME: Final = 60
"""Of the judge in the arena's file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """A judge, a run and the arena that keeps what it says.

    Attributes:
        judge: What `escl arena --judge` takes.
    """

    run: Path
    judge: str
    arena: Path

    async def rehearsed(self) -> tuple[str, bool]:
        """Return the pairs, tokens and minutes to come, or why it cannot be done, and whether it can."""
        said, code = await said_by((*self._words[:-2], "--dry-run", *self._words[-2:]), folder=self.run.parent)
        return said, code == 0

    def start(self) -> Started:
        """Let the judge compare what it has not compared yet.

        Raises:
            OSError: The run's folder cannot be written.
        """
        return start(self.arena, self._words, folder=self.run.parent)

    @property
    def _words(self) -> tuple[str, ...]:
        return ("arena", f"--judge={self.judge}", f"--out={self.arena}", "--", str(self.run))


def judging_of(run: Path, judge: str, shown: Judged) -> Judging:
    """Return how `judge` compares the supporters of `run`: the arena that is shown goes on where it is this judge's."""
    run = run.absolute()
    if shown.path is not None and shown.results is not None and shown.results.settings.judge == name_of(judge):
        return Judging(run=run, judge=judge, arena=shown.path.absolute())
    name = re.sub(r"[^\w.-]+", "-", name_of(judge))[-_LONGEST_NAME:]
    return Judging(run=run, judge=judge, arena=run.with_name(f"{run.stem}-arena-{name}.db"))


def judges_for(run: Path, supporters: Set[str]) -> list[str]:
    """Return who can be the judge: models on the shelf, those made for it first, and GGUF files here and at the run.

    None of `supporters`: a model prefers what it would have said itself.
    """
    from escl.shelf.inventory import inventory

    here = [model for model in inventory() if model.state == "here" and model.role in ("judge", "supporter")]
    here.sort(key=lambda model: model.role != "judge")
    folders = dict.fromkeys((Path.cwd(), run.absolute().parent))
    files = (path for folder in folders for path in sorted(folder.glob("*.gguf")) if path.is_file())
    found = [*(model.name for model in here), *map(str, itertools.islice(files, _MOST_FILES))]
    return [one for one in found if name_of(one) not in supporters]


def name_of(judge: str) -> str:
    """Return the name that results give a judge: that on the shelf, or the file's without its ending."""
    return printable(Path(judge).stem) if judge.endswith(".gguf") else judge
