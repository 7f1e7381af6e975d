"""Ratings from a judge that compared dialogues in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.evaluation.arena_results import Against, ArenaResults, Board
from escl.report.arena import MUCH_FLIPPED
from escl.report.html.section import Section
from escl.report.html.subject import Subject
from escl.report.html.words import Words
from escl.stats.ratings import Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedBoard:
    """One language and respect.

    Attributes:
        rows: The best first; each with how it did against the reference, None for the reference itself.
        contradicts: Whether the judge turns on more than a fifth of the pairs when their order is turned.
    """

    board: Board
    rows: Sequence[tuple[Rating, Against | None]]
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
    return RatedBoard(
        board=board,
        rows=[(rating, against.get(rating.supporter)) for rating in board.ratings],
        contradicts=flipped is not None and flipped > MUCH_FLIPPED,
    )


ARENA = Section(key="arena", build=_build)
