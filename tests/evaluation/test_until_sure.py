"""A run that may end early looks at whole cards in a drawn order, ends when it is sure, and says so ever after."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from escl.core.card import RoleCard
from escl.core.draw import drawn_order
from escl.errors import ExitCode
from escl.evaluation.compare import anytime_average, pairing
from escl.evaluation.results import results_of
from escl.evaluation.sides import sides_of
from escl.evaluation.until_sure import LOOK_EVERY, Look, Sure, look, until_sure
from escl.stats.sequence import AnytimeInterval
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import card, rated

ROOT = Path(__file__).parents[2]


def looked(path: Path, *, margin: float = 0.2) -> Look:
    with Database.reader(path) as database:
        first, second = sides_of(path, RunStore.read(database))
        return look(second, first, margin=margin)


@pytest.mark.parametrize(
    ("labels", "sure"), [((1.0, 3.5), "better"), ((3.5, 1.0), "worse"), ((2.0, 2.1), None), ((1.0, 1.0), None)]
)
def test_it_is_sure_of_a_large_difference_only(tmp_path: Path, labels: tuple[float, float], sure: str | None) -> None:
    a, b = ({f"c{at}": [label] for at in range(20)} for label in labels)
    found = looked(rated(tmp_path / "run.db", {"a": a, "b": b}))
    assert found.sure == sure
    assert ("sure after 20 of 20 cards: b is" in found.words) is (sure is not None)


def test_what_is_the_same_on_many_cards_is_equivalent_within_a_wide_margin(tmp_path: Path) -> None:
    same = {f"c{at}": [2.0] for at in range(40)}
    found = looked(rated(tmp_path / "run.db", {"a": same, "b": same}), margin=1.5)
    assert found.sure == "equivalent"


def test_the_look_takes_the_cards_in_the_order_in_which_they_are_played(tmp_path: Path) -> None:
    names = [one.id for one in drawn_order(card(f"c{at}") for at in range(30))]
    late = {name: [3.0 if at >= 20 else 1.0] for at, name in enumerate(names)}
    path = rated(tmp_path / "run.db", {"a": {name: [1.0] for name in names}, "b": late})
    early = rated(
        tmp_path / "early.db", {"a": {name: [1.0] for name in names[:20]}, "b": {n: late[n] for n in names[:20]}}
    )
    with Database.reader(path) as whole, Database.reader(early) as part:
        one, other = (
            anytime_average(*reversed(sides_of(at, RunStore.read(db)))) for at, db in ((path, whole), (early, part))
        )
    # The interval of a longer run lies within that of its beginning, whatever came after.
    assert other.low <= one.low <= one.high <= other.high


def test_a_run_that_has_not_played_all_cards_says_so_with_an_interval_for_looking(tmp_path: Path) -> None:
    labels = {"a": {f"c{at}": [1.0] for at in range(10)}, "b": {f"c{at}": [3.5] for at in range(10)}}
    path = rated(tmp_path / "run.db", labels, cards=[card("never played")])
    with Database.reader(path) as database:
        store = RunStore.read(database)
        assert any("10 of 11 cards were played" in notice for notice in results_of(store).notices)
        first, second = sides_of(path, store)
        found = pairing(second, first, margin=5)
    assert found.n_cards == 11
    assert found.anytime is not None
    assert found.anytime.low > 0
    whole = rated(tmp_path / "whole.db", labels)
    with Database.reader(whole) as database:
        store = RunStore.read(database)
        assert results_of(store).notices == []
        assert pairing(*sides_of(whole, store), margin=5).anytime is None


def escl(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )


class Playing:
    """Plays cards by keeping their ids; sure once `enough` are played, stopped by itself after `last` calls."""

    def __init__(self, *, enough: int, last: int = 99) -> None:
        self.calls: list[list[str]] = []
        self.stop = asyncio.Event()
        self._enough, self._last = enough, last

    async def play(self, cards: Sequence[RoleCard]) -> None:
        self.calls.append([one.id for one in cards])
        if len(self.calls) == self._last:
            self.stop.set()

    def looked(self) -> Look:
        n = len(self.calls[-1])
        found = AnytimeInterval(n=n, mean=0.0, low=-4, high=4)
        sure: Sure | None = "better" if n >= self._enough else None
        return Look(supporter="b", against="a", interval=found, margin=0.2, sure=sure, n_cards=25)

    def run(self, cards: Sequence[RoleCard]) -> list[Look]:
        return asyncio.run(until_sure(cards, play=self.play, looked=self.looked, stop=self.stop))


CARDS = [card(f"c{at}") for at in range(25)]


@pytest.mark.parametrize(("enough", "played"), [(1, [10]), (20, [10, 20]), (99, [10, 20, 25])])
def test_cards_are_played_until_a_look_is_sure_or_none_is_left(enough: int, played: list[int]) -> None:
    playing = Playing(enough=enough)
    looks = playing.run(CARDS)
    assert [len(call) for call in playing.calls] == played
    assert [one.interval.n for one in looks] == played
    assert playing.calls[-1] == [one.id for one in drawn_order(CARDS)][: played[-1]]


def test_after_a_stop_there_is_neither_a_look_nor_another_card() -> None:
    playing = Playing(enough=99, last=2)
    assert [one.interval.n for one in playing.run(CARDS)] == [10]
    assert len(playing.calls) == 2


@pytest.mark.model
def test_the_demo_is_sure_after_the_first_look(tmp_path: Path) -> None:
    words = ("run", "demo/curt", "demo/warm", "--lang", "en", "--rounds", "2", "--stop-when-sure", "--no-tune")
    fast = ("--parallel", "8", "--ctx", "2048", "--threads", "1", "--device", "cpu", "--out", tmp_path / "run.db")
    done = escl(*words, *fast, "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["results"]["n_dialogues"]["complete"] == 2 * LOOK_EVERY
    assert "demo/warm is better than demo/curt" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo/warm", "--stop-when-sure"), "two supporters"),
        (("demo/warm", "demo/curt", "--stop-when-sure", "--crisis"), "two supporters"),
        (("demo/warm", "--quick", "--limit", "3"), "--quick"),
    ],
)
def test_what_contradicts_itself_is_refused(words: tuple[str, ...], said: str) -> None:
    done = escl("run", *words)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
