"""Ratings from a judge that compared dialogues in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.evaluation.arena_results import Against, ArenaResults, Board
from escl.report.arena import MUCH_FLIPPED, ends, share
from escl.report.html.section import Section
from escl.report.html.subject import Subject
from escl.report.html.words import Words
from escl.stats.cluster import ClusteredMean
from escl.stats.ratings import Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedBoard:
    """One language and respect.

    Attributes:
        rows: The best first; each with how it did against the reference, None for the reference itself.
        best: Each one's probability of the first rank, as the terminal says it; None without.
        alike: Those against whom every card came out the same: their win rate has an interval but no error.
        flips: How many pairs turn with their order, with the interval.
        first: How many readings prefer the first place, with the interval; None without a preference.
        contradicts: Whether the judge turns on more than a fifth of the pairs when their order is turned.
    """

    board: Board
    rows: Sequence[tuple[Rating, Against | None]]
    best: Sequence[str | None]
    alike: Sequence[Against]
    flips: str
    first: str | None
    contradicts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """One arena."""

    results: ArenaResults
    boards: Sequence[RatedBoard]


def _build(subject: Subject, words: Words) -> list[Arena] | None:
    return [
        Arena(results=results, boards=[_rated(board) for board in results.boards]) for results in subject.arenas
    ] or None


def _rated(board: Board) -> RatedBoard:
    against = {one.supporter: one for one in board.against}
    flipped = board.consistency.flip_rate.mean
    first = board.consistency.first_rate
    return RatedBoard(
        board=board,
        rows=[(rating, against.get(rating.supporter)) for rating in board.ratings],
        best=[share(rating.ranks[0]) if rating.ranks else None for rating in board.ratings],
        alike=[one for one in board.against if one.rate.error is None and None not in (one.rate.low, one.rate.high)],
        flips=_percents(board.consistency.flip_rate),
        first=None if first.mean is None else _percents(first),
        contradicts=flipped is not None and flipped > MUCH_FLIPPED,
    )


def _percents(found: ClusteredMean) -> str:
    """Return a share in percent with its interval where it has one, 0 % where nothing was counted."""
    between = ends(found)
    return f"{100 * (found.mean or 0):.0f} %" + (f" ({between.removeprefix(', ')})" if between else "")


ARENA = Section(key="arena", build=_build)
