"""What is asked next, and what comes of it, with a judge that only counts letters."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from escl.cli.arena import open_arena, planned
from escl.cli.planning import Wishes
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.settings import ArenaSettings
from escl.engine.wire import EngineSpec, LabelRead
from escl.errors import ContextOverflowError, EngineError
from escl.evaluation.arena import NO_LABEL, NOT_JUDGED, Known, batches, extent, hold, unread, verdict_of
from escl.evaluation.arena_results import ArenaResults, arena_results, kept_results
from escl.evaluation.contest import Contest, contest_of
from escl.memory import pool
from escl.memory.plan import Plan
from escl.report.arena import print_arena
from escl.report.live import LineObserver
from escl.shelf.manifest import find_model
from escl.store.arena import ArenaStore, ComparisonFailure, ComparisonRow, Question
from tests.fake_engine import ready
from tests.runs import spoken

OPEN = load_rubric("open")
JUDGE = find_model("demo/judge")
SETTINGS = ArenaSettings(judge="j", sha256="0" * 64, rubric="open", rubric_sha256=OPEN.sha256(), llama_cpp="0")
P = {0: (0.8, 0.1, 0.1, 0.0, 0.0), 2: (0.0, 0.1, 0.8, 0.1, 0.0), 4: (0.0, 0.0, 0.1, 0.1, 0.8)}


def row(label: int) -> ComparisonRow:
    return ComparisonRow(reply=str(label), label=label, probabilities=P[label], off_label_mass=0.0, busy_s=0.0)


class CountingJudge:
    """Prefers the dialogue with more exclamation marks; "mute" gets no label, "huge" does not fit."""

    asked: ClassVar[list[str]] = []
    stop_after: int | None = None
    stop: asyncio.Event | None = None

    def __init__(self, spec: EngineSpec) -> None:
        self.ready = ready()
        self.death: EngineError | None = None

    @classmethod
    async def start(cls, spec: EngineSpec, **_: object) -> CountingJudge:
        return cls(spec)

    async def read_label(self, *, adapter: str | None, system: str | None, prefix: str, rest: str) -> LabelRead:
        assert adapter is None
        if "huge" in rest:
            raise ContextOverflowError("too long")
        self.asked.append(rest)
        if self.stop is not None and len(self.asked) == self.stop_after:
            self.stop.set()
        first, second = rest.split("[Dialogue B begins]")
        label = 2 - 2 * ((first.count("!") > second.count("!")) - (first.count("!") < second.count("!")))
        found = "mute" not in rest
        return LabelRead(
            id=0,
            reply=f"The verdict is {label}." if found else "Well.",
            label=label if found else None,
            probabilities=list(P[label]) if found else None,
            off_label_mass=0.0 if found else None,
            drafted=False,
            n_prompt=1,
            n_reused=0,
            n_generated=1,
            busy_s=0.0,
        )

    async def close(self) -> None:
        pass


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> type[CountingJudge]:
    class Fresh(CountingJudge):
        asked: ClassVar[list[str]] = []

    monkeypatch.setattr(pool, "Engine", Fresh)
    return Fresh


def meet(path: Path, n: int = 6, **marks: int) -> Contest:
    """Return a contest on n cards in which each supporter says so many exclamation marks."""
    said = {name: {f"c{at}": [f"{at}" + "!" * count] for at in range(n)} for name, count in marks.items()}
    return contest_of([spoken(path, said)], OPEN, dimensions=[Dimension.OVERALL])


@lru_cache(maxsize=1)
def judges_plan() -> Plan:
    """Return how the judge is seated, whatever it reads: looking at the machine takes a while."""
    with tempfile.TemporaryDirectory() as folder:
        contest = meet(Path(folder) / "run.db", a=0, b=1)
        return planned(JUDGE, contest, OPEN, Wishes(device="cpu", threads=1, tune=False), {}, budget=None)


def compare(
    contest: Contest, store: ArenaStore, *, budget: int | None = None, stop: asyncio.Event | None = None
) -> ArenaResults:
    known: dict[Question, ComparisonRow | ComparisonFailure] = {**store.comparisons(), **store.failures()}
    plan = judges_plan()
    observer = LineObserver(Console(file=io.StringIO()))
    asyncio.run(
        hold(
            contest,
            store,
            OPEN,
            plan=plan,
            known=known,
            budget=budget,
            observer=observer,
            stop=stop or asyncio.Event(),
        )
    )
    return arena_results(contest, known, SETTINGS, budget=budget)


def printed(results: ArenaResults) -> str:
    shown = io.StringIO()
    print_arena(Console(file=shown, width=200), results)
    return shown.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArenaStore]:
    opened = open_arena(tmp_path / "arena.db", SETTINGS, OPEN)
    yield opened
    opened.close()


def test_every_pair_is_read_in_both_orders_and_the_better_supporter_is_rated_higher(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    results = compare(meet(tmp_path / "run.db", a=0, b=2, c=1), store)
    (board,) = results.boards
    assert len(judge.asked) == 2 * 3 * 6
    assert [rating.supporter for rating in board.ratings] == ["b", "c", "a"]
    assert board.consistency.counts["agreed"] == 18
    assert [(one.supporter, one.rate.mean) for one in board.against] == [("b", 1.0), ("c", 1.0)]
    assert results.is_complete
    assert not results.has_gaps


def test_what_is_known_is_not_asked_again_even_from_another_run(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    compare(meet(tmp_path / "run.db", n=4, a=0, b=2), store)
    assert len(judge.asked) == 8
    longer = meet(tmp_path / "longer.db", n=5, b=2, a=0)
    reach = extent(longer, store.comparisons(), budget=None)
    assert (reach.n_pairs, reach.n_readings, reach.n_known) == (5, 10, 8)
    compare(longer, store)
    assert len(judge.asked) == 10


@pytest.mark.parametrize("budget", [None, 7])
def test_a_stopped_arena_goes_on_to_the_results_it_would_have_had(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge], budget: int | None
) -> None:
    contest = meet(tmp_path / "run.db", a=0, b=2, c=1)
    whole = open_arena(tmp_path / "whole.db", SETTINGS, OPEN)
    expected = compare(contest, whole, budget=budget)
    whole.close()
    judge.asked.clear()
    judge.stop, judge.stop_after = asyncio.Event(), 3
    stopped = compare(contest, store, budget=budget, stop=judge.stop)
    assert not stopped.is_complete
    judge.stop = None
    assert compare(contest, store, budget=budget) == expected
    assert len(judge.asked) == len(set(judge.asked))


def test_what_was_kept_says_how_much_of_what_is_possible_it_is(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    run = tmp_path / "run.db"
    contest = meet(run, n=10, a=0, b=2, c=1)
    compare(contest, store, budget=20)
    kept = kept_results(tmp_path / "arena.db", [run])
    assert (len(kept.pairs), kept.n_possible) == (20, 30)
    assert "20 of 30 possible pairs were judged" in printed(kept)
    compare(contest, store)
    assert "possible pairs" not in printed(kept_results(tmp_path / "arena.db", [run]))


def test_a_budget_is_kept_and_spent_on_every_board(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    contest = meet(tmp_path / "run.db", n=10, a=0, b=2, c=1, d=3)
    results = compare(contest, store, budget=20)
    assert len(results.pairs) == 20
    assert len(judge.asked) == 40
    assert {frozenset((pair.one, pair.other)) for pair in results.pairs} == {
        frozenset(both) for both in ("ab", "ac", "ad", "bc", "bd", "cd")
    }
    assert results.n_possible == 60


def test_a_budget_too_small_for_every_board_names_those_it_did_not_reach(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    said = {name: {f"c{at}": ["!" * (at + count)] for at in range(4)} for name, count in (("a", 0), ("b", 3))}
    dimensions = [Dimension.OVERALL, Dimension.EMPATHY]
    contest = contest_of([spoken(tmp_path / "run.db", said)], OPEN, dimensions=dimensions)
    results = compare(contest, store, budget=1)
    assert len(results.boards) == 1
    assert len(results.unasked) == 1
    assert (results.boards[0].language, results.boards[0].dimension) not in results.unasked
    (_, dimension) = results.unasked[0]
    assert f"before English, {dimension.shown}: no pair of it was asked about" in printed(results)


def test_what_cannot_be_read_is_counted_by_reason_and_left_out(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    said = {
        "a": {"c1": ["yes!"], "c2": ["mute"], "c3": ["huge"]},
        "b": {"c1": ["no"], "c2": ["no"], "c3": ["no"]},
    }
    contest = contest_of([spoken(tmp_path / "run.db", said)], OPEN, dimensions=[Dimension.OVERALL])
    results = compare(contest, store)
    (board,) = results.boards
    assert board.failed == {NO_LABEL: 1, "ContextOverflowError": 1}
    assert (board.n_judged, board.n_asked) == (1, 3)
    assert results.is_complete
    assert results.has_gaps
    store.retry_failed()
    assert extent(contest, store.comparisons(), budget=None).n_known == 4


def test_two_equal_dialogues_are_one_question_and_a_tie(
    tmp_path: Path, store: ArenaStore, judge: type[CountingJudge]
) -> None:
    results = compare(meet(tmp_path / "run.db", n=2, a=1, b=1), store)
    assert len(judge.asked) == 2
    assert [pair.verdict.score for pair in results.pairs if pair.verdict] == [0.5, 0.5]


def test_verdicts_need_both_orders(tmp_path: Path) -> None:
    (pair, *_) = meet(tmp_path / "run.db", n=1, a=0, b=1).boards[Language.ENGLISH, Dimension.OVERALL]
    straight, turned = pair.questions
    known: Known = {straight: row(4)}
    assert verdict_of(pair, known) == NOT_JUDGED
    assert [question for question, _ in unread([pair], known)] == [turned]
    found = verdict_of(pair, {straight: row(4), turned: row(0)})
    assert not isinstance(found, str)
    assert found.score == 0


def test_batches_with_a_budget_repeat_from_the_same_readings(tmp_path: Path) -> None:
    contest = meet(tmp_path / "run.db", n=20, a=0, b=1, c=2)
    known: dict[Question, ComparisonRow | ComparisonFailure] = {}
    first = []
    for batch in batches(contest, known, budget=30):
        first.append(batch)
        for pair in batch:
            straight, turned = pair.questions
            known[straight], known[turned] = row(4), row(0)
    assert [len(batch) for batch in first] == [8, 8, 8, 6]
    assert list(batches(contest, known, budget=30)) == first
    assert extent(contest, known, budget=30).n_readings == extent(contest, known, budget=30).n_known == 60
