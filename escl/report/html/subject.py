"""What a page is about: runs, each with its results, and the supporters in them as the page numbers and names them.

Owns which runs may stand on one page. Knows no HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from escl.core.card import RoleCard
from escl.core.dimension import Language
from escl.core.message import Message
from escl.core.ratings_file import Rating
from escl.core.settings import JudgingSettings
from escl.errors import UsageError
from escl.evaluation.arena_results import ArenaResults
from escl.evaluation.calibration import Calibration, recalibration, said_of
from escl.evaluation.certificate import Citation, citations
from escl.evaluation.comparability import comparability, differing
from escl.evaluation.compare import Pairing, pairing
from escl.evaluation.results import Adjust, Results, chosen_judging, results_of
from escl.evaluation.sides import Side, sides_of
from escl.evaluation.text_metrics import References
from escl.stats.summary import Cell, Scored
from escl.store.database import Database
from escl.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """One run, open for reading.

    Attributes:
        judging_id: Whose readings are shown; None when nothing was scored.
        sides: Its supporters with all that was read of them; empty when nothing was scored.
        adjust: Maps the scorer's labels to people's before they are summed up; None as a rule.
    """

    path: Path
    store: RunStore
    judging_id: int | None
    results: Results
    sides: Sequence[Side]
    adjust: Adjust | None = None

    @property
    def judging(self) -> JudgingSettings | None:
        """How the readings came to be."""
        return None if self.judging_id is None else self.store.judging_settings(self.judging_id)

    @property
    def citations(self) -> list[Citation]:
        """The certificates about the scorer whose readings are shown."""
        if self.judging_id is None:
            return []
        return citations(self.store.judging_settings(self.judging_id), self.store.kv_types(self.judging_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A supporter of one of the runs as the page shows it.

    Attributes:
        number: From 1 in the page's order; its colour and mark follow from it.
        name: As its run names it.
        shown: The same, with the run's file where two runs have a supporter of that name.
        side: What a comparison needs; None when nothing was scored.
    """

    number: int
    name: str
    shown: str
    run: ReportedRun
    side: Side | None

    @property
    def scored(self) -> Sequence[Scored]:
        """Everything that was asked for and read of it; empty when nothing was scored."""
        return [] if self.side is None else self.side.scored

    def cells(self, group: CardGroup) -> list[Cell]:
        """Return its results on one set of cards."""
        return [
            cell
            for cell in self.run.results.cells
            if cell.supporter == self.name and (cell.language, cell.crisis) == (group.language, group.crisis)
        ]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CardGroup:
    """Cards whose scores may be averaged: of one language, crisis cards apart."""

    crisis: bool
    language: Language

    @property
    def key(self) -> str:
        """A name for ids: "en" or "en-crisis"."""
        return f"{self.language.value}-crisis" if self.crisis else self.language.value

    def holds(self, scored: Scored) -> bool:
        """Return whether something was read on one of these cards."""
        return (scored.crisis, scored.language) == (self.crisis, self.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How one supporter of the page compares with another."""

    entrant: Entrant
    against: Entrant
    pairing: Pairing


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user chose about the page.

    Attributes:
        force: Put runs on one page that are not comparable, and say so on it.
        margin: Points of 100 that count as no difference.
        transcripts: How many cards have their dialogues on the page at most; None for all.
        published: Show the paper's leaderboard beside the runs.
        calibration: A map of the scores to people's that was applied, and the name of its file.
        metrics: Show automatic text metrics.
        references: Dialogues to set the runs' beside, for BLEU and ROUGE-L.
        ratings: People's labels for the metrics to be set beside, instead of the scorer's.
    """

    force: bool = False
    margin: float = 5.0
    transcripts: int | None = 12
    published: bool = False
    calibration: tuple[Calibration, str] | None = None
    metrics: bool = False
    references: References | None = None
    ratings: Sequence[Rating] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything that a page is made of.

    Attributes:
        compared: Every scored supporter against the first.
        groups: The sets of quality cards that anything was asked on. Crisis cards are in none: they give findings.
        forced: In what the runs differ although they should not, when the user wanted them on one page all the same.
        choices: The user's.
        arenas: What arenas between them came to.
    """

    runs: Sequence[ReportedRun]
    entrants: Sequence[Entrant]
    groups: Sequence[CardGroup]
    compared: Sequence[Compared]
    forced: Sequence[str]
    choices: Choices
    arenas: Sequence[ArenaResults] = ()

    @property
    def cards(self) -> Mapping[str, RoleCard]:
        """The cards of all runs by id; the first run's, where two have one of that id."""
        return {name: card for run in reversed(self.runs) for name, card in run.store.cards().items()}


def reported_run(
    path: Path,
    database: Database,
    *,
    judging_id: int | None = None,
    calibration: tuple[Calibration, str] | None = None,
) -> ReportedRun:
    """Return a run as `judging_id` read it, by default the judging that was asked for last.

    Args:
        path: Of the run.
        database: The same, open.
        judging_id: Whose readings.
        calibration: Applied to them, with the name of its file.

    Raises:
        StorageError: The file holds no run, or the run no such judging.
        UsageError: The calibration is of another scorer, or the run was not scored.
    """
    store = RunStore.read(database)
    chosen, _ = chosen_judging(store, judging_id)
    adjust = None if calibration is None else recalibration(store, calibration[0], judging_id=chosen)
    results = results_of(store, judging_id=chosen, adjust=adjust)
    if calibration is not None:
        results = msgspec.structs.replace(results, notices=[*results.notices, said_of(*calibration)])
    return ReportedRun(
        path=path,
        store=store,
        judging_id=chosen,
        results=results,
        sides=[] if chosen is None else sides_of(path, store, judging_id=chosen, adjust=adjust),
        adjust=adjust,
    )


def subject_of(runs: Sequence[ReportedRun], choices: Choices, *, arenas: Sequence[ArenaResults] = ()) -> Subject:
    """Return what a page about these runs is made of.

    Raises:
        UsageError: The runs are not comparable, and the user did not force them together.
    """
    forced = incomparable(runs, force=choices.force)
    entrants = _entrants(runs)
    return Subject(
        runs=runs,
        entrants=entrants,
        groups=sorted({_group(item) for entrant in entrants for item in entrant.scored if not item.crisis}),
        compared=_compared(entrants, choices),
        forced=forced,
        choices=choices,
        arenas=arenas,
    )


def _entrants(runs: Sequence[ReportedRun]) -> list[Entrant]:
    named = [
        (run, name) for run in runs for name in dict.fromkeys(dialogue.supporter for dialogue in run.store.dialogues())
    ]
    often = Counter(name for _, name in named)
    return [
        Entrant(
            number=number,
            name=name,
            shown=name if often[name] == 1 else f"{name} ({run.path.name})",
            run=run,
            side=next((side for side in run.sides if side.supporter == name), None),
        )
        for number, (run, name) in enumerate(named, start=1)
    ]


def _compared(entrants: Sequence[Entrant], choices: Choices) -> list[Compared]:
    sides = [(entrant, entrant.side) for entrant in entrants if entrant.side is not None]
    return [
        Compared(
            entrant=entrant,
            against=sides[0][0],
            pairing=pairing(side, sides[0][1], margin=choices.margin, force=choices.force),
        )
        for entrant, side in sides[1:]
    ]


def _group(scored: Scored) -> CardGroup:
    return CardGroup(crisis=scored.crisis, language=scored.language)


def incomparable(runs: Iterable[ReportedRun], *, force: bool) -> list[str]:
    """Return in what any run differs from the first one that was scored although it should not.

    Raises:
        UsageError: It does, and `force` is not given.
    """
    scored = [run for run in runs if run.judging_id is not None]
    found: list[str] = []
    for run in scored[1:]:
        first = scored[0]
        differ = differing(_key(run), _key(first))
        if differ and not force:
            listed = "\n    ".join(differ)
            raise UsageError(
                f"{run.path} and {first.path} are not comparable:\n    {listed}",
                hint="report them apart; --force puts them together all the same, and says so on the page",
            )
        found += [Message("differs.in-run", {"run": run.path.name, "differs": line}) for line in differ]
    return found


def _key(run: ReportedRun) -> dict[str, str]:
    assert run.judging_id is not None
    return comparability(run.store, run.judging_id)
