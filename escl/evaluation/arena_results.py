"""What an arena has come to: from the judge's readings to ratings that every front end shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.settings import ArenaSettings
from escl.errors import UsageError
from escl.evaluation.arena import NOT_JUDGED, Known, batches, meetings, unread, verdict_of
from escl.evaluation.contest import Contest, Pair, contest_of
from escl.stats.cluster import ClusteredMean
from escl.stats.length_control import LengthControlled, length_controlled
from escl.stats.pairwise import Consistency, PairVerdict, consistency
from escl.stats.proportion import proportion
from escl.stats.ratings import Rating, rate
from escl.store.arena import ARENA, ArenaStore
from escl.store.database import Database


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter against the reference.

    Attributes:
        rate: How often it won, ties half, from 0 to 1.
        at_equal_length: The same, if both had said equally much.
        longer_by: Mean difference of what the supporters said, in characters.
    """

    supporter: str
    rate: ClusteredMean
    at_equal_length: LengthControlled
    longer_by: float | None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """All comparisons in one language and one respect.

    Attributes:
        n_asked: Pairs that were to be judged.
        n_judged: Pairs with a verdict.
        failed: Pairs without one, by reason.
        ratings: The best first.
        against: Each supporter that met the reference, in the order of `ratings`.
    """

    language: Language
    dimension: Dimension
    n_asked: int
    n_judged: int
    failed: dict[str, int]
    consistency: Consistency
    ratings: list[Rating]
    against: list[Against]


class JudgedPair(msgspec.Struct, frozen=True, kw_only=True):
    """One pair and its verdict; `missing` says why there is none."""

    language: Language
    dimension: Dimension
    card: str
    repeat: int
    one: str
    other: str
    verdict: PairVerdict | None
    missing: str | None = None


class ArenaResults(msgspec.Struct, frozen=True, kw_only=True):
    """What an arena has come to.

    Attributes:
        settings: The judge and its rubric.
        reference: Whom win rates are against.
        budget: Pairs at most, when not all were to be judged.
        n_possible: Pairs that could be judged.
        forced: In what the runs differ although they should not, when the user wanted them compared all the same.
        left_out: Dialogues that meet none, by reason.
        notices: What must be said wherever the results are shown.
        unasked: What the budget did not reach at all; it has no board.
    """

    runs: list[str]
    settings: ArenaSettings
    supporters: list[str]
    reference: str
    budget: int | None
    n_possible: int
    boards: list[Board]
    pairs: list[JudgedPair]
    forced: list[str]
    left_out: dict[str, int]
    notices: list[str]
    unasked: list[tuple[Language, Dimension]] = []

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be judged."""
        return not any(NOT_JUDGED in board.failed for board in self.boards)

    @property
    def has_gaps(self) -> bool:
        """Whether a pair was judged and has no verdict."""
        return any(set(board.failed) - {NOT_JUDGED} for board in self.boards)


def arena_results(
    contest: Contest, known: Known, settings: ArenaSettings, *, budget: int | None, notices: Sequence[str] = ()
) -> ArenaResults:
    """Return the results of what is known so far."""
    pairs: list[Pair] = []
    for batch in batches(contest, known, budget=budget):
        pairs += batch
        if unread(batch, known):
            break
    asked = {key: [pair for pair in pairs if (pair.one.language, pair.dimension) == key] for key in contest.boards}
    return ArenaResults(
        runs=contest.runs,
        settings=settings,
        supporters=contest.supporters,
        reference=contest.reference,
        budget=budget,
        n_possible=sum(map(len, contest.boards.values())),
        boards=[_board(contest, key, its, known) for key, its in asked.items() if its],
        pairs=[_judged(pair, known) for pair in pairs],
        forced=contest.forced,
        left_out=contest.left_out,
        notices=list(dict.fromkeys([*contest.notices, *notices])),
        unasked=[key for key, its in asked.items() if not its],
    )


def kept_results(
    arena: Path, runs: Sequence[Path], *, baseline: str | None = None, force: bool = False
) -> ArenaResults:
    """Return the results of the pairs of these runs that an arena has judged; nothing is judged now.

    Raises:
        StorageError: A file holds no arena or no run.
        UsageError: The runs are not comparable, or the arena holds nothing about them.
    """
    with Database.reader(arena, ARENA) as database:
        store = ArenaStore.read(database)
        known: Known = {**store.comparisons(), **store.failures()}
        settings, rubric, notice = store.settings, store.rubric, store.notice
    dimensions = [dimension for dimension in Dimension if any(question.dimension is dimension for question in known)]
    contest = contest_of(runs, rubric, dimensions=dimensions or [*Dimension], baseline=baseline, force=force)
    read = {key: [pair for pair in pairs if not unread([pair], known)] for key, pairs in contest.boards.items()}
    if not any(read.values()):
        raise UsageError(f"{arena} holds no comparison of these runs", hint="compare them first, with --judge MODEL")
    judged = replace(contest, boards={key: pairs for key, pairs in read.items() if pairs})
    results = arena_results(judged, known, settings, budget=None, notices=[notice] if notice else [])
    return msgspec.structs.replace(results, n_possible=sum(map(len, contest.boards.values())))


def _board(contest: Contest, key: tuple[Language, Dimension], pairs: Sequence[Pair], known: Known) -> Board:
    verdicts = [verdict_of(pair, known) for pair in pairs]
    judged = [(p, v) for p, v in zip(pairs, verdicts, strict=True) if isinstance(v, PairVerdict)]
    met = {entry.supporter for pair in pairs for entry in (pair.one, pair.other)}
    supporters = [name for name in contest.supporters if name in met]
    found = rate(meetings(pairs, known), supporters)
    ratings = sorted(found, key=lambda rating: -rating.rating)
    return Board(
        language=key[0],
        dimension=key[1],
        n_asked=len(pairs),
        n_judged=len(judged),
        failed=dict(Counter(verdict for verdict in verdicts if isinstance(verdict, str))),
        consistency=consistency([v for _, v in judged], [p.one.card_id for p, _ in judged]),
        ratings=ratings,
        against=[
            against
            for rating in ratings
            if rating.supporter != contest.reference
            and (against := _against(rating.supporter, contest.reference, judged)) is not None
        ],
    )


def _against(supporter: str, reference: str, judged: Sequence[tuple[Pair, PairVerdict]]) -> Against | None:
    """Return how a supporter did against the reference; None when they did not meet."""
    scores, longer_by, cards = [], [], []
    for pair, verdict in judged:
        if {pair.one.supporter, pair.other.supporter} != {supporter, reference}:
            continue
        longer = pair.one.n_characters - pair.other.n_characters
        is_one = pair.one.supporter == supporter
        scores.append(verdict.score if is_one else 1 - verdict.score)
        longer_by.append(longer if is_one else -longer)
        cards.append(pair.one.card_id)
    if not scores:
        return None
    return Against(
        supporter=supporter,
        rate=proportion(scores, cards),
        at_equal_length=length_controlled(scores, longer_by, cards),
        longer_by=sum(longer_by) / len(longer_by),
    )


def _judged(pair: Pair, known: Known) -> JudgedPair:
    verdict = verdict_of(pair, known)
    return JudgedPair(
        language=pair.one.language,
        dimension=pair.dimension,
        card=pair.one.card_id,
        repeat=pair.one.repeat,
        one=pair.one.supporter,
        other=pair.other.supporter,
        verdict=verdict if isinstance(verdict, PairVerdict) else None,
        missing=None if isinstance(verdict, PairVerdict) else verdict,
    )
