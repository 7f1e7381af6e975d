"""A judge compares pairs of dialogues in both orders; every reading is committed when it exists.

Owns what is asked next. Knows no ratings, prints nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np

from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric
from escl.engine.wire import LabelRead
from escl.errors import EngineError, ModelLoadError, NotBegunError
from escl.evaluation.contest import Contest, Entry, Pair
from escl.evaluation.engines import FROZEN_TIME
from escl.evaluation.observer import ArenaObserver, Phase
from escl.evaluation.side_by_side import side_by_side
from escl.memory.plan import Plan
from escl.memory.pool import Handle, Pool, Room
from escl.stats.pair_choice import next_pairs
from escl.stats.pairwise import PairVerdict, pair_verdict
from escl.stats.ratings import Meeting, counts
from escl.store.arena import ArenaStore, ComparisonFailure, ComparisonRow, Question

Known = Mapping[Question, ComparisonRow | ComparisonFailure]
"""What was read or given up."""

BATCH = 8
"""Pairs of a board that are chosen at once when there is a budget."""

NOT_JUDGED = "not judged yet"
NO_LABEL = "reply without a label"
NO_PROBABILITY = "no label has any probability"


def verdict_of(pair: Pair, known: Known) -> PairVerdict | str:
    """Return the verdict on a pair, or why there is none."""
    rows = []
    for question in pair.questions:
        row = known.get(question)
        if row is None:
            return NOT_JUDGED
        if isinstance(row, ComparisonFailure):
            return row.error
        if row.probabilities is None:
            return NO_LABEL
        rows.append(row.probabilities)
    return pair_verdict(rows[0], rows[1]) or NO_PROBABILITY


def unread(pairs: Sequence[Pair], known: Known) -> list[tuple[Question, Pair]]:
    """Return the questions about the pairs that were neither read nor given up, each once."""
    open_questions = {question: pair for pair in pairs for question in pair.questions if question not in known}
    return list(open_questions.items())


def batches(contest: Contest, known: Known, *, budget: int | None = None) -> Iterator[list[Pair]]:
    """Yield the pairs to judge, batch after batch; before the next is asked for, `known` holds the last one's readings.

    Without a budget one batch holds all pairs. With one, each board gets up to `BATCH` pairs in its turn, chosen by
    what is known of it (`escl.stats.pair_choice`), on the next cards in drawn order. The same readings always lead to
    the same batches, so that an interrupted command goes on as it would have gone.

    Args:
        contest: Who can meet.
        known: What was read; it grows between two batches.
        budget: Pairs in all, each read in both orders; None is as many as there are.
    """
    if budget is None:
        yield list(itertools.chain.from_iterable(contest.boards.values()))
        return
    waiting = {key: _queues(contest, pairs) for key, pairs in contest.boards.items()}
    judged: dict[tuple[Language, Dimension], list[Pair]] = {key: [] for key in contest.boards}
    while budget > 0 and any(queue for queues in waiting.values() for queue in queues.values()):
        batch: list[Pair] = []
        for key, queues in waiting.items():
            chosen = _chosen(contest, judged[key], queues, known, n=min(BATCH, budget - len(batch)))
            judged[key] += chosen
            batch += chosen
        budget -= len(batch)
        yield batch


def _queues(contest: Contest, pairs: Sequence[Pair]) -> dict[tuple[int, int], list[Pair]]:
    """Return the pairs of each two supporters, the next one last."""
    place = {name: at for at, name in enumerate(contest.supporters)}
    queues: dict[tuple[int, int], list[Pair]] = {}
    for pair in reversed(pairs):
        queues.setdefault((place[pair.one.supporter], place[pair.other.supporter]), []).append(pair)
    return queues


def _chosen(
    contest: Contest, judged: Sequence[Pair], queues: dict[tuple[int, int], list[Pair]], known: Known, *, n: int
) -> list[Pair]:
    wins, ties, _ = counts(meetings(judged, known), contest.supporters)
    left = np.zeros((len(contest.supporters),) * 2, dtype=np.int64)
    for both, queue in queues.items():
        left[both] = len(queue)
    return [queues[both].pop() for both in next_pairs(wins.sum(axis=0), ties.sum(axis=0), left, n)]


def meetings(pairs: Sequence[Pair], known: Known) -> list[Meeting]:
    """Return the comparisons that have a verdict."""
    found = []
    for pair in pairs:
        verdict = verdict_of(pair, known)
        if isinstance(verdict, PairVerdict):
            found.append(
                Meeting(card=pair.one.card_id, one=pair.one.supporter, other=pair.other.supporter, score=verdict.score)
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """What all comparisons of one command have in common.

    Attributes:
        known: What was read or given up; grows.
        entries: The dialogues by the sha256 of their transcripts.
        parallel: Requests in flight.
        stop: Once set, readings in flight are finished and no new ones begin.
    """

    store: ArenaStore
    known: dict[Question, ComparisonRow | ComparisonFailure]
    rubric: JudgingRubric
    entries: Mapping[str, Entry]
    handle: Handle
    parallel: int
    observer: ArenaObserver
    stop: asyncio.Event


async def hold(
    contest: Contest,
    store: ArenaStore,
    rubric: JudgingRubric,
    *,
    plan: Plan,
    known: dict[Question, ComparisonRow | ComparisonFailure],
    budget: int | None,
    observer: ArenaObserver,
    stop: asyncio.Event,
) -> None:
    """Let the judge that `plan` seats read what is not known yet; `known` grows.

    Raises:
        ModelLoadError: The judge cannot be loaded.
        StorageError: A reading could not be committed.
    """
    store.add_plan(plan)
    (seat,) = plan.best().engines
    room = Room(host=plan.budget.host_bytes, device=plan.budget.device_bytes or 0)
    device = 0 if seat.need.device is None else seat.need.device.total
    size = Room(host=seat.need.host.total + (device if plan.budget.shares_ram else 0), device=device)
    reach = extent(contest, known, budget=budget)
    observer.started(Phase.COMPARING, done=reach.n_known, total=reach.n_readings)
    async with Pool(observer, room, stop=stop) as pool:
        court = Court(
            store=store,
            known=known,
            rubric=rubric,
            entries=contest.entries,
            handle=pool.handle(seat.name, msgspec.structs.replace(seat.spec, frozen_time=FROZEN_TIME), size),
            parallel=2 * seat.spec.slots,
            observer=observer,
            stop=stop,
        )
        for batch in batches(contest, known, budget=budget):
            questions = [question for question, _ in unread(batch, known)]
            await side_by_side(partial(_ask, court), questions, parallel=court.parallel, stop=stop)
            if stop.is_set():
                break
    observer.finished(Phase.COMPARING)


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How much is to be read, each pair in both orders.

    Attributes:
        n_pairs: To be judged, cached ones included.
        n_readings: The questions that this takes.
        n_known: How many of them are answered or given up already.
        lengths: Tokens of both transcripts together, for every question still to be asked. With a budget, which they
            will be is not known yet; then it is so many of all that are possible.
    """

    n_pairs: int
    n_readings: int
    n_known: int
    lengths: dict[Language, list[int]]


def extent(contest: Contest, known: Known, *, budget: int | None) -> Extent:
    """Return how much there is to read, and how much of it is known before the first new question."""
    pairs = list(itertools.chain.from_iterable(contest.boards.values()))
    judged: list[Pair] = []
    for batch in batches(contest, known, budget=budget):
        judged += batch
        if unread(batch, known):
            break
    else:
        pairs = judged
    n_pairs = len(pairs) if budget is None else min(budget, len(pairs))
    asked = {question for pair in (pairs if budget is None else judged) for question in pair.questions}
    n_open = len(asked - known.keys()) + 2 * (0 if budget is None else n_pairs - len(judged))
    lengths = _lengths(unread(pairs, known), n_open)
    n_known = len(asked & known.keys())
    return Extent(n_pairs=n_pairs, n_readings=n_known + n_open, n_known=n_known, lengths=lengths)


def _lengths(questions: Sequence[tuple[Question, Pair]], n: int) -> dict[Language, list[int]]:
    """Return the lengths of n of the questions, spread evenly over them."""
    spread = [questions[at * len(questions) // n] for at in range(n)] if n < len(questions) else questions
    lengths: dict[Language, list[int]] = {}
    for question, pair in spread:
        lengths.setdefault(question.language, []).append(pair.one.n_tokens + pair.other.n_tokens)
    return lengths


async def _ask(court: Court, question: Question) -> None:
    first, second = court.entries[question.first_sha256], court.entries[question.second_sha256]
    prompt = court.rubric.question(question.language, question.dimension, first.transcript, second.transcript)
    try:
        reply = await court.handle.read_label(adapter=None, prompt=prompt)
    except NotBegunError:
        return
    except ModelLoadError:
        raise
    except EngineError as error:
        failure = ComparisonFailure(error=type(error).__name__, message=str(error))
        court.store.add_failure(question, failure)
        court.known[question] = failure
        court.observer.given_up(
            f"card {first.card_id}, {first.supporter} against {second.supporter}: {failure.error}: {failure.message}"
        )
        return
    row = _as_row(reply)
    court.store.add(question, row)
    court.known[question] = row
    court.observer.compared()


def _as_row(reply: LabelRead) -> ComparisonRow:
    p = reply.probabilities
    return ComparisonRow(
        reply=reply.reply,
        label=reply.label,
        probabilities=None if p is None else (p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=reply.off_label_mass,
        busy_s=reply.busy_s,
    )
