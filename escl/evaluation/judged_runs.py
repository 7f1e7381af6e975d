"""Runs as a scorer judged them, with every dialogue by the names that people's files use.

Owns that one scorer under one protocol is looked at, however many runs hold its readings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.settings import JudgingSettings
from escl.core.strict import quoted
from escl.errors import RatingsError, UsageError
from escl.evaluation.dialogue_names import Names, Place, dialogue_code
from escl.evaluation.results import chosen_judging, scored_of
from escl.stats.summary import Scored
from escl.store.database import Database
from escl.store.records import DialogueRow
from escl.store.run import RunStore

Cell = tuple[bool, Language, Dimension]
"""Crisis or not, language, dimension."""


class JudgedBy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose readings: the scorer and what it was asked with.

    Attributes:
        adapters: sha256 of each adapter, by "language/dimension".
    """

    scorer: str
    sha256: str
    adapters: dict[str, str]
    protocol: str
    protocol_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One dimension of one dialogue as the scorer judged it.

    Attributes:
        again: The expected labels of its other judgings of the same dialogue, by the judging's number in its run.
    """

    scored: Scored
    again: dict[int, float]


class JudgedRuns:
    """The dialogues of some runs and what one scorer said of them.

    Attributes:
        by: The scorer.
        files: Names of the runs' files.
    """

    def __init__(self, by: JudgedBy, files: tuple[str, ...]) -> None:
        self.by, self.files = by, files
        self._names = Names()
        self._judgements: dict[tuple[int, int, Dimension], Judgement] = {}
        self._rows: dict[str, Place] = {}

    def place(self, name: str, *, line: int, path: Path) -> Place | None:
        """Return the dialogue that a line of a file means, None when no run has it.

        Raises:
            RatingsError: Several dialogues are called that.
        """
        try:
            return self._names.find(name)
        except RatingsError as error:
            raise RatingsError(f"{path}: line {line}: {error.message}", hint=error.hint) from None

    def refuse(self, name: str, *, line: int, path: Path) -> RatingsError:
        """Return the error of a name that no run has."""
        hint = f"{self._names.closest(name)} --ignore-unknown leaves such lines out"
        return RatingsError(f"{path}: line {line}: no run has a dialogue {quoted(name)}", hint=hint)

    def judgement(self, place: Place, dimension: Dimension) -> Judgement:
        """Return what the scorer said of a dialogue, or why it said nothing."""
        return self._judgements[place.run, place.row.id, dimension]

    def dialogues(self) -> Iterator[tuple[str, Place]]:
        """Yield every dialogue with its code."""
        yield from self._rows.items()

    def take_in(self, number: int, path: Path, store: RunStore, judging_id: int) -> None:
        """Take in the dialogues of a run and one judging of them."""
        again = _again(store, judging_id)
        rows = store.dialogues()
        scored = scored_of(store, judging_id)
        for (row, dimension), item in zip(itertools.product(rows, Dimension), scored, strict=True):
            key = (number, row.id, dimension)
            self._judgements[key] = Judgement(scored=item, again=again.get((row.id, dimension), {}))
        for row in rows:
            self._name(number, path, store, row)

    def _name(self, number: int, path: Path, store: RunStore, row: DialogueRow) -> None:
        place, code = Place(run=number, row=row), dialogue_code(row, store.turns(row.id))
        if self._rows.setdefault(code, place) != place:
            raise UsageError(f"{path} holds a dialogue that another run holds too", hint="name each run once")
        self._names.add(path, place, code=code)


def judged_runs(paths: Sequence[Path], *, judging_id: int | None = None) -> JudgedRuns:
    """Return the runs as the judging `judging_id` read them, by default in each the one asked for last.

    Raises:
        StorageError: A file is no run.
        UsageError: A run was not scored, or the runs were judged by different scorers or with different words.
    """
    found: JudgedRuns | None = None
    for number, path in enumerate(paths):
        with Database.reader(path) as database:
            store = RunStore.read(database)
            chosen, _ = chosen_judging(store, judging_id)
            if chosen is None:
                raise UsageError(
                    f"{path} was not scored yet", hint="`escl run` or `escl score` with a --scorer scores it"
                )
            by = judged_by(store, store.judging_settings(chosen))
            found = found or JudgedRuns(by, tuple(path.name for path in paths))
            if by != found.by:
                hint = "compare the runs of one scorer at once, or choose its readings with --judging"
                raise UsageError(f"{path} was judged by {by.scorer} with other words or weights", hint=hint)
            found.take_in(number, path, store, chosen)
    if found is None:
        raise UsageError("no run was named", hint="--runs RUN...")
    return found


def judged_by(store: RunStore, settings: JudgingSettings) -> JudgedBy:
    """Return whose readings a judging holds."""
    return JudgedBy(
        scorer=settings.scorer,
        sha256=settings.sha256,
        adapters=settings.adapters,
        protocol=store.protocol.name,
        protocol_sha256=settings.protocol_sha256,
    )


def _again(store: RunStore, judging_id: int) -> dict[tuple[int, Dimension], dict[int, float]]:
    """Return the expected labels that the same scorer gave in its other judgings of a run."""
    of = {number: store.judging_settings(number) for number, _ in store.judgings()}
    found: dict[tuple[int, Dimension], dict[int, float]] = {}
    for number, settings in of.items():
        is_same = (settings.sha256, settings.adapters) == (of[judging_id].sha256, of[judging_id].adapters)
        if number == judging_id or not is_same:
            continue
        for reading in store.readings(number):
            if reading.expected is not None:
                found.setdefault((reading.dialogue_id, reading.dimension), {})[number] = reading.expected
    return found
