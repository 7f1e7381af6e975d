"""What the arena's screens ask of the files: which arena judged a run, with what outcome, and how about one pair.

Everything here is done in the run's own thread. Knows no widget.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from escl.errors import EsclError

if TYPE_CHECKING:
    from escl.evaluation.arena_results import ArenaResults, JudgedPair
    from escl.evaluation.pair_readings import Said
    from escl.store.browse import Whole
    from escl.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What there is to show.

    Attributes:
        arenas: All arenas beside the run.
        path: The one that is shown; None where none has judged the run.
        supporters: Of the run.
        is_held: Whether a judge is at work on the one that is shown.
    """

    arenas: list[Path]
    supporters: frozenset[str]
    path: Path | None = None
    results: ArenaResults | None = None
    is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPair:
    """Both dialogues of a pair, and what the judge said of them: the one's first, and the other's first."""

    one: Whole | None
    other: Whole | None
    said: tuple[Said, Said]


def judged(run: Path, database: Database, chosen: Path | None) -> Judged:
    """Return what the arena `chosen`, or else the next one that has judged the run at `run`, has come to."""
    from escl.evaluation.arena_results import kept_results
    from escl.store.run import RunStore
    from escl.store.watch import is_arena, is_held

    supporters = frozenset(row.supporter for row in RunStore.read(database).dialogues())
    arenas = sorted(path for path in run.absolute().parent.glob("*.db") if is_arena(path))
    at = arenas.index(chosen) if chosen in arenas else 0
    for path in [*arenas[at:], *arenas[:at]]:
        # Asked first: what was read before the judge ended is in the results.
        held = is_held(path)
        try:
            results = kept_results(path, [run])
        except EsclError:
            # Of other runs, or of no use: the next one may have judged this run.
            continue
        return Judged(arenas=arenas, supporters=supporters, path=path, results=results, is_held=held)
    return Judged(arenas=arenas, supporters=supporters)


def read_pair(arena: Path, database: Database, pair: JudgedPair) -> ReadPair:
    """Return the dialogues of a pair with the judge's readings.

    Raises:
        StorageError: The arena is not there any more.
    """
    from escl.evaluation.pair_readings import pair_readings
    from escl.store.browse import Browser

    browser = Browser(database)
    found: list[Whole | None] = []
    for supporter in (pair.one, pair.other):
        rows = database.rows(
            "SELECT id FROM dialogue WHERE card_id = ? AND supporter = ? AND repeat = ?",
            pair.card,
            supporter,
            pair.repeat,
        )
        found.append(browser.whole(rows[0]["id"]) if rows else None)
    turns = [[] if whole is None else [row.turn for row in whole.turns] for whole in found]
    said = pair_readings(arena, pair.language, pair.dimension, turns[0], turns[1])
    return ReadPair(one=found[0], other=found[1], said=said)
