"""A run's leaderboard: the numbers are those of a plain reading of the file, and never old ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from escl.core.card import Category
from escl.core.dimension import Dimension, Language, lowest_digit
from escl.evaluation.leaderboard import Leaderboards, leaderboard_of
from escl.stats.bootstrap import bootstrap_interval
from escl.stats.summary import Scored, summarize
from escl.store.database import Database
from escl.store.records import FailureRow, Reading
from escl.store.run import RunStore
from tests.runs import PROTOCOL, card, judging_by, settings

CATEGORIES = list(Category)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 120 cards, some of them crisis cards, with readings of every kind: whole, without a label, and none."""
    rng = random.Random(3)
    database = Database.writer(tmp_path / "run.db")
    database.rows("PRAGMA synchronous = OFF")
    database.rows("PRAGMA journal_mode = MEMORY")
    store = RunStore.begin(database, settings(), PROTOCOL, command="test", versions={})
    kinds = {at: {"crisis": "self-harm"} if at % 10 == 7 else {"category": CATEGORIES[at % 3]} for at in range(125)}
    cards = [card(f"c{at}", text=f"card {at}", **kind) for at, kind in kinds.items()]
    store.add_cards(cards)
    judging_id = store.add_judging(judging_by("scorer", settings()))
    store.plan_dialogues((one.id, one.language, name, 0) for one in cards for name in ("a", "b"))
    for row in store.dialogues():
        store.set_state(row.id, "speaking")
        if row.id % 41 == 0:
            store.set_state(row.id, "failed")
            store.add_failure(FailureRow(dialogue_id=row.id, error="GaveUpError", message="no", position=1))
            continue
        store.set_state(row.id, "complete")
        for dimension in Dimension:
            if rng.random() < 0.02:
                error = FailureRow(dialogue_id=row.id, error="EngineError", message="no", dimension=dimension)
                store.add_failure(error, judging_id=judging_id)
            elif rng.random() < 0.99:
                store.add_reading(judging_id, _reading(rng, row.id, dimension))
    store.finish("finished")
    store.close()
    return tmp_path / "run.db"


def _reading(rng: random.Random, dialogue_id: int, dimension: Dimension) -> Reading:
    p = [rng.random() for _ in range(5)]
    unlabelled = rng.random() < 0.03
    label = max(range(5), key=lambda at: p[at])
    return Reading(
        dialogue_id=dialogue_id,
        dimension=dimension,
        reply="4 of 0" if rng.random() < 0.1 else f"label {label}",
        label=None if unlabelled else label,
        probabilities=None if unlabelled else (p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=None if unlabelled else 0.1,
        drafted=False,
        busy_s=0.1,
    )


def plainly(path: Path, category: Category | None) -> list[Scored]:
    """Return what the file says, dialogue by dialogue and dimension by dimension, by as plain queries as can be."""
    found = []
    with Database.reader(path) as database:
        for row in database.rows("SELECT d.*, c.category, c.crisis FROM dialogue d, card c WHERE c.id = card_id"):
            if category is not None and row["category"] != category:
                continue
            for dimension in Dimension:
                at = (row["id"], dimension.value)
                read = database.rows("SELECT * FROM reading WHERE dialogue_id = ? AND dimension = ?", *at)
                failed = database.rows(
                    "SELECT error FROM failure WHERE dialogue_id = ? AND (dimension = ? OR dimension IS NULL)", *at
                )
                found.append(_scored(dict(row), dimension, [dict(one) for one in read], [one[0] for one in failed]))
    return found


def _scored(row: dict[str, object], dimension: Dimension, read: list[dict[str, object]], failed: list[str]) -> Scored:
    expected = label = upstream = None
    missing: str | None = failed[0] if failed else "not scored yet"
    if read:
        (one,) = read
        label, upstream = one["label"], lowest_digit(str(one["reply"]))
        missing = "reply without a label" if label is None else None
        if label is not None:
            total = weighted = 0.0
            for number in range(5):
                share = one[f"p{number}"]
                assert isinstance(share, float)
                total, weighted = total + share, weighted + number * share
            expected = weighted / total
    assert label is None or isinstance(label, int)
    return Scored(
        supporter=str(row["supporter"]),
        language=Language(str(row["language"])),
        dimension=dimension,
        cluster=str(row["card_id"]),
        crisis=row["crisis"] is not None,
        expected=expected,
        label=label,
        missing=missing,
        upstream_label=upstream,
    )


@pytest.mark.parametrize("category", [None, CATEGORIES[0]])
def test_the_numbers_are_those_of_a_plain_reading_to_the_last_bit(run: Path, category: Category | None) -> None:
    with Database.reader(run) as database:
        board = leaderboard_of(RunStore.read(database), category=category)
    assert board.cells == summarize(plainly(run, category))
    assert {one.score.method for one in board.cells} == ({"t", "bootstrap"} if category is None else {"t"})
    assert {reason for one in board.cells for reason in one.failed} >= {"GaveUpError", "reply without a label"}


def test_what_was_worked_out_is_kept_until_the_run_changes(run: Path) -> None:
    boards = Leaderboards()
    with Database.reader(run) as database:
        first = boards.of(database)
        one_category = boards.of(database, category=CATEGORIES[1])
        assert boards.of(database) is first
        assert boards.of(database, category=CATEGORIES[1]) is one_category
        writer = Database.writer(run)
        writer.rows("DELETE FROM reading WHERE dialogue_id < 100")
        writer.close()
        again = boards.of(database)
        assert sum(one.n_used for one in again.cells) < sum(one.n_used for one in first.cells)
        assert again == leaderboard_of(RunStore.read(database))


def test_the_bootstrap_of_clusters_of_one_is_that_of_clusters_of_two_with_twice_the_sum() -> None:
    rng = random.Random(5)
    values = [rng.random() for _ in range(120)]
    assert bootstrap_interval(values, [1] * 120) == bootstrap_interval([2 * one for one in values], [2] * 120)
