"""Filters, order and search are the store's: they find what a look at every dialogue would find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from escl.core.card import Category
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension
from escl.store.browse import Browser, Wanted
from escl.store.database import Database
from escl.store.records import FailureRow, TurnRow
from escl.store.run import RunStore
from tests.runs import PROTOCOL, card, judging_by, rated, reading, settings

LABELS: dict[str, dict[str, list[float | None]]] = {
    "warm": {"a": [3.5], "b": [None], "c": [1.0]},
    "curt": {"a": [0.5], "b": [2.5], "c": [2.0]},
}
TEXTS = ("rain at 50%", "a_b", "雨天", "Rain", "sun", "c\\d")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    path = rated(tmp_path / "run.db", LABELS, cards=[card("a", category=Category.FAMILY, text="about a dog")])
    store = RunStore.begin(Database.writer(path), settings(), PROTOCOL, command="test", versions={})
    for dialogue, text in zip(store.dialogues(), TEXTS, strict=True):
        turn = Turn(speaker=Speaker.SEEKER, text=text)
        store.add_turn(dialogue.id, 1, TurnRow(turn=turn, finish="length" if text == "sun" else "stop"))
    store.add_failure(
        FailureRow(dialogue_id=4, error="GaveUpError", message="no", dimension=Dimension.EMPATHY), judging_id=1
    )
    second = store.add_judging(judging_by("second", settings()), is_shown=False)
    store.database.rows("UPDATE judging SET asked_utc = '2000' WHERE id = ?", second)
    # A whole label off in one dimension of dialogue 3, less than that in dialogue 6, no label in dialogue 1.
    for dialogue_id, dimension, label in ((3, Dimension.FLUENCY, 2.0), (6, Dimension.FLUENCY, 2.75)):
        store.add_reading(second, reading(dialogue_id, dimension, label))
    store.add_reading(second, reading(1, Dimension.FLUENCY, None))
    # Flat, with the mean as it was.
    flat = "UPDATE reading SET p0 = .45, p1 = .3, p2 = .1, p3 = .1, p4 = .05"
    store.database.rows(f"{flat} WHERE judging_id = 1 AND dialogue_id = 3 AND dimension = 'overall'")
    store.close()
    with Database.reader(path) as database:
        yield Browser(database)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), [1, 2, 3, 4, 5, 6]),
        (Wanted(supporter="curt"), [4, 5, 6]),
        (Wanted(category="family"), [1, 4]),
        (Wanted(below=2.0), [3, 4]),
        (Wanted(below=1.0, dimension=Dimension.EMPATHY), [4]),
        (Wanted(order="lowest"), [4, 3, 6, 5, 1, 2]),
        (Wanted(order="highest", dimension=Dimension.OVERALL), [1, 5, 6, 3, 4, 2]),
        (Wanted(troubled=True), [2, 4, 5]),
        (Wanted(doubt="disagreed"), [3]),
        (Wanted(doubt="disagreed", dimension=Dimension.FLUENCY), [3]),
        (Wanted(doubt="disagreed", dimension=Dimension.EMPATHY), []),
        (Wanted(doubt="unsure"), [3]),
        (Wanted(doubt="unsure", dimension=Dimension.OVERALL), [3]),
        (Wanted(doubt="unsure", dimension=Dimension.SKILLFUL), []),
    ],
)
def test_what_is_wanted_is_found_in_its_order(browser: Browser, wanted: Wanted, ids: list[int]) -> None:
    assert list(browser.find(wanted)) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("rain", [1, 4]),
        ("50%", [1]),
        ("%", [1]),
        ("_", [2]),
        ("\\", [6]),
        ("雨", [3]),
        ("dog rain", [1, 4]),
        ("dog sun", []),
        ("' OR 1=1 --", []),
        ("", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_words_are_found_as_they_are_in_dialogues_and_cards(browser: Browser, text: str, ids: list[int]) -> None:
    assert browser.holding(text, range(1, 7)) == ids
    assert browser.holding(text, [6, 5, 4]) == [one for one in (6, 5, 4) if one in ids]


def test_supporters_on_a_card_are_those_with_the_same_repeat(browser: Browser) -> None:
    assert [(row.id, row.supporter) for row in browser.supporters_on(5)] == [(2, "warm"), (5, "curt")]


def test_rows_come_in_the_order_of_the_ids_with_the_wanted_label(browser: Browser) -> None:
    rows = browser.rows([4, 2, 1], dimension=Dimension.FLUENCY)
    assert [(row.id, row.label, row.troubled) for row in rows] == [(4, 0.5, True), (2, None, True), (1, 3.5, False)]


def test_a_whole_dialogue_has_its_card_turns_readings_and_failures(browser: Browser) -> None:
    whole = browser.whole(4)
    assert whole is not None
    assert (whole.scorer, [row.turn.text for row in whole.turns]) == ("scorer", ["Rain"])
    assert whole.card is not None
    assert whole.card.text == "about a dog"
    assert {reading.dimension for reading in whole.readings} == set(Dimension)
    assert [failure.error for failure in whole.failures] == ["GaveUpError"]
    assert browser.whole(99) is None


def test_a_whole_dialogue_has_what_other_scorers_read(browser: Browser) -> None:
    whole = browser.whole(3)
    assert whole is not None
    assert [(one.scorer, len(one.readings)) for one in whole.others] == [("second", 1)]
    alone = browser.whole(2)
    assert alone is not None
    assert alone.others == []
    assert browser.doubts() == ["disagreed", "unsure"]


def test_what_a_run_has_is_known_in_its_order(browser: Browser) -> None:
    assert browser.known("supporter") == ["warm", "curt"]
    assert set(browser.known("category")) == {"family", "study-work"}
    assert browser.known("language") == ["en"]
