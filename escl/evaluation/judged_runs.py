"""Runs as a scorer judged them, with every dialogue by the names that people's files use.

Owns that one scorer under one protocol is looked at, however many runs hold its readings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.settings import JudgingSettings
from escl.core.strict import quoted
from escl.errors import RatingsError, UsageError
from escl.evaluation.dialogue_names import Names, Place, dialogue_code
from escl.evaluation.results import chosen_judging, own_scored_of, scored_of
from escl.stats.summary import Scored, ScoredDialogue
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnJudged:
    """What was said in one dimension of the user's own.

    Attributes:
        scored: By the run's number and the dialogue's row; who speaks another language was not asked about.
        differs: Whether the runs were read by different scorers or with other words.
    """

    dimension: OwnDimension
    scorer: str
    scorer_sha256: str
    scored: dict[tuple[int, int], ScoredDialogue]
    differs: bool = False


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
        self._own: dict[str, OwnJudged] = {}

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

    def own(self, key: str) -> OwnJudged:
        """Return what was said in a dimension of the user's own.

        Raises:
            UsageError: No run was read in it, or the runs were read by different scorers or with other words.
        """
        if key not in self._own:
            raise UsageError(f"no run was read in a dimension {key}", hint="`escl score RUN --rubrics FILE` reads one")
        if self._own[key].differs:
            raise UsageError(
                f"the runs were read in {key} by different scorers or with other words", hint="name one run at once"
            )
        return self._own[key]

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
        for own_judging, own in store.own_judgings():
            self._take_in_own(number, store, own_judging, own)
        for row in rows:
            self._name(number, path, store, row)

    def _take_in_own(self, number: int, store: RunStore, judging_id: int, own: OwnDimension) -> None:
        settings = store.judging_settings(judging_id)
        known = self._own.setdefault(
            own.key, OwnJudged(dimension=own, scorer=settings.scorer, scorer_sha256=settings.sha256, scored={})
        )
        if (known.dimension, known.scorer_sha256) != (own, settings.sha256):
            self._own[own.key] = replace(known, differs=True)
        rows = [row for row in store.dialogues() if row.language in own.languages]
        for row, item in zip(rows, own_scored_of(store, judging_id, own), strict=True):
            known.scored[number, row.id] = item

    def _name(self, number: int, path: Path, store: RunStore, row: DialogueRow) -> None:
        place, code = Place(run=number, row=row), dialogue_code(row, store.turns(row.id))
        if self._rows.setdefault(code, place) != place:
            raise UsageError(f"{path} holds a dialogue that another run holds too", hint="name each run once")
        self._names.add(path, place, code=code)


def own_keys(paths: Sequence[Path]) -> set[str]:
    """Return the keys of the user's own dimensions that any of some runs was read in.

    Raises:
        StorageError: A file is no run.
    """
    found: set[str] = set()
    for path in paths:
        with Database.reader(path) as database:
            found |= {own.key for _, own in RunStore.read(database).own_judgings()}
    return found


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
