"""What is paired with what: the same card, read the same way; everything else is refused or counted."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from escl.core.card import CrisisKind
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.settings import ImportSettings
from escl.errors import UsageError
from escl.evaluation.compare import OTHER_TEXT, Pairing, gate_checks, pairing
from escl.evaluation.sides import AVERAGE, sides_of
from escl.store.database import Database
from escl.store.run import RunStore
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import PROTOCOL, card, judging_by, rated, reading, settings

UP = {f"c{at}": [2.0 + at / 40] for at in range(12)}
DOWN = {f"c{at}": [1.0 + at / 50] for at in range(12)}


@contextlib.contextmanager
def paired(one: Path, other: Path, *, force: bool = False, names: tuple[int, int] = (0, 1)) -> Iterator[Pairing]:
    with Database.reader(one) as first, Database.reader(other) as second:
        sides = sides_of(one, RunStore.read(first))[names[0]], sides_of(other, RunStore.read(second))[names[1]]
        yield pairing(*sides, margin=5, force=force)


def test_two_supporters_of_a_run_are_paired_by_card(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": DOWN})
    with paired(path, path) as found:
        (group,) = found.groups
        assert [row.dimension for row in group.rows] == [*Dimension, AVERAGE]
        for row in group.rows:
            expected = sum(UP[name][0] - DOWN[name][0] for name in UP) / 12 * 25
            assert row.comparison.difference.mean == pytest.approx(expected)
            assert (row.comparison.n_cards, row.comparison.verdict) == (12, "better")


def test_the_p_of_seven_dimensions_is_adjusted_and_that_of_the_average_is_not(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": DOWN})
    with paired(path, path) as found:
        *dimensions, average = found.groups[0].rows
        assert average.comparison.p_holm == average.comparison.p
        for row in dimensions:
            assert row.comparison.p is not None
            assert row.comparison.p_holm == pytest.approx(7 * row.comparison.p)


def test_repeats_are_averaged_within_their_card(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": {"c1": [4.0, 2.0], "c2": [3.0]}, "b": {"c1": [1.0], "c2": [0.5, 1.5, 1.0]}})
    with paired(path, path) as found:
        for row in found.groups[0].rows:
            assert row.comparison.n_cards == 2
            assert row.comparison.difference.mean == pytest.approx(50)


def test_what_is_missing_for_one_is_counted_and_keeps_the_gate_shut(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": {**DOWN, "c3": [None]}})
    with paired(path, path) as found:
        row = found.groups[0].rows[0]
        assert (row.comparison.n_cards, row.comparison.left_out) == (11, {"no value of the second": 1})
        assert not any(check.outcome.passed for check in gate_checks(found))
    whole = rated(tmp_path / "whole.db", {"a": UP, "b": DOWN})
    with paired(whole, whole) as found:
        checks = gate_checks(found)
        assert [check.dimension for check in checks] == list(Dimension)
        assert all(check.outcome.passed for check in checks)


def test_a_card_that_one_was_never_asked_for_does_not_count_against_it(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": {**DOWN, "more": [1.0]}})
    with paired(path, path) as found:
        row = found.groups[0].rows[0]
        assert (row.comparison.n_cards, row.comparison.left_out) == (12, {"not played with the first": 1})
        assert all(check.outcome.passed for check in gate_checks(found))


def test_the_same_id_in_another_language_is_another_card(tmp_path: Path) -> None:
    path = tmp_path / "imported.db"
    store = RunStore.begin(
        Database.writer(path), ImportSettings(files={}, protocol_sha256="0"), PROTOCOL, command="test", versions={}
    )
    turns = [Turn(speaker=Speaker.SUPPORTER, text="hello")]
    for supporter, language in (("a_en", "en"), ("b_zh", "zh")):
        store.import_dialogue(card_id="0", language=language, supporter=supporter, turns=turns)
    judging_id = store.add_judging(judging_by("scorer", store.settings))
    for dialogue, dimension in itertools.product(store.dialogues(), Dimension):
        store.add_reading(judging_id, reading(dialogue.id, dimension, 2.0))
    store.close()
    with paired(path, path) as found:
        assert [group.rows[0].comparison.n_cards for group in found.groups] == [0, 0, 0]
        assert "paired by their keys" in found.notes[0]


def test_languages_are_compared_apart_and_pooled_and_crisis_cards_with_neither(tmp_path: Path) -> None:
    cards = [
        *(card(f"z{at}", language=Language.CHINESE) for at in range(3)),
        *(card(f"x{at}", crisis=CrisisKind.VIOLENCE) for at in range(2)),
    ]
    names = [*(f"c{at}" for at in range(4)), *(one.id for one in cards)]
    labels = {"a": {name: [3.0] for name in names}, "b": {name: [2.0] for name in names}}
    path = rated(tmp_path / "run.db", labels, cards=cards)
    with paired(path, path) as found:
        sizes = [(group.language, group.crisis, group.rows[0].comparison.n_cards) for group in found.groups]
    assert sizes == [("en", False, 4), ("zh", False, 3), (None, False, 7), ("en", True, 2)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"rounds": 3}, "rounds: 2 against 3"), ({"cards_sha256": "1" * 64}, "cards: set"), ({"seeker": None}, "seeker")],
)
def test_runs_that_are_not_comparable_are_refused_and_forced_with_a_word(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    other = settings()
    if "seeker" in changed:
        changed = {"seeker": msgspec.structs.replace(other.seeker, sha256="1" * 64)}
    one = rated(tmp_path / "one.db", {"a": UP})
    two = rated(tmp_path / "two.db", {"a": DOWN}, run=msgspec.structs.replace(other, **changed))
    with pytest.raises(UsageError, match=said), paired(one, two, names=(0, 0)):
        pass
    with paired(one, two, names=(0, 0), force=True) as found:
        assert len(found.forced) == 1
        assert found.forced[0].startswith(said)


def test_another_scorer_is_not_comparable(tmp_path: Path) -> None:
    one = rated(tmp_path / "one.db", {"a": UP})
    two = rated(tmp_path / "two.db", {"a": DOWN}, scorer="another")
    with pytest.raises(UsageError, match="scorer"), paired(one, two, names=(0, 0)):
        pass


def test_another_seed_is_comparable_and_said(tmp_path: Path) -> None:
    one = rated(tmp_path / "one.db", {"a": UP})
    two = rated(tmp_path / "two.db", {"a": DOWN}, run=settings(seed=1))
    with paired(one, two, names=(0, 0)) as found:
        assert (found.forced, len(found.notes)) == ([], 1)
        assert "seeds 0 and 1" in found.notes[0]


def test_a_card_with_another_text_is_never_paired(tmp_path: Path) -> None:
    one = rated(tmp_path / "one.db", {"a": UP})
    changed = card("c0", text="Age: 9\nGender: male\nOccupation: pupil\nProblem: Something else.")
    two = rated(
        tmp_path / "two.db",
        {"a": DOWN},
        cards=[changed],
        run=msgspec.structs.replace(settings(), cards_sha256="1" * 64),
    )
    with paired(one, two, names=(0, 0), force=True) as found:
        row = found.groups[0].rows[0]
        assert (row.comparison.n_cards, row.comparison.left_out) == (11, {OTHER_TEXT: 1})


def test_own_dimensions_are_compared_in_rows_of_their_own_and_only_where_they_were_asked_alike(tmp_path: Path) -> None:
    (rubric,) = PLAIN_WORDS.languages.values()
    labels: dict[str, dict[str, list[float | None]]] = {"a": {f"c{at}": [at / 3] for at in range(8)}}
    labels["b"] = {name: [0.5] for name in labels["a"]}
    one, other = (rated(tmp_path / f"{name}.db", labels) for name in ("one", "other"))
    reworded = OwnDimension(
        key="plain-words", languages={Language.ENGLISH: msgspec.structs.replace(rubric, definition="Clear?")}
    )
    only = OwnDimension(key="only", languages={Language.ENGLISH: msgspec.structs.replace(rubric, name="Only")})
    ask(one, Answers(4), [PATIENCE, PLAIN_WORDS, only])
    ask(other, Answers(4), [PATIENCE, reworded])
    with contextlib.ExitStack() as stack:
        stores = [RunStore.read(stack.enter_context(Database.reader(path))) for path in (one, other)]
        (a, b), (a_there, _) = (sides_of(path, store) for path, store in zip((one, other), stores, strict=True))
        within, across = pairing(a, b, margin=5), pairing(a, a_there, margin=5)
        seven = pairing(a, b, margin=5, own=())
    (group,) = within.groups
    assert [row.shown for row in group.own] == ["Patience", "Plain words", "Only"]
    assert {(row.comparison.n_cards, row.comparison.difference.mean) for row in group.own} == {(8, 0.0)}
    assert group.rows == seven.groups[0].rows
    assert seven.groups[0].own == []
    assert [row.dimension for row in across.groups[0].own] == ["patience"]
    assert across.notes == [
        "plain-words is not compared: it has other words in the other run",
        "only is not compared: only one of the runs was read in it",
    ]


def test_a_scorer_that_gives_both_one_label_is_said_to_resolve_nothing_and_lets_the_gate_pass(tmp_path: Path) -> None:
    labels = {
        name: {f"c{at}": [3.8 + (at + more) % 12 / 100] for at in range(12)} for name, more in (("a", 0), ("b", 5))
    }
    path = rated(tmp_path / "run.db", {**labels, "moved": UP | {"c0": [4.0]}})
    with paired(path, path) as found:
        *dimensions, average = found.groups[0].rows
        assert {(row.comparison.stuck, row.comparison.verdict) for row in dimensions} == {((4,), "cannot tell")}
        assert (len(average.comparison.stuck), average.comparison.verdict) == (7, "cannot tell")
        assert all(check.outcome.passed and check.comparison.stuck for check in gate_checks(found))
    with paired(path, path, names=(0, 2)) as found:
        assert not any(row.comparison.stuck for row in found.groups[0].rows)


def test_what_few_cards_have_alike_is_not_called_saturated(tmp_path: Path) -> None:
    labels = {name: {f"c{at}": [3.8 + at / 100] for at in range(9)} for name in "ab"}
    path = rated(tmp_path / "run.db", labels)
    with paired(path, path) as found:
        assert not any(row.comparison.stuck for row in found.groups[0].rows)
