"""Slices divide the cards of a run without losing one, and say which ones the seeker may know."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import msgspec
import pytest
from rich.console import Console

from escl.core.card import Category, CrisisKind, RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.division import NOT_GIVEN, NOT_SEEN, SEEN, Division
from escl.evaluation.breakdown import Slice, slices_of
from escl.report.breakdown import print_slices
from escl.store.database import Database
from escl.store.records import TurnRow
from escl.store.run import RunStore
from tests.runs import begin, card, rated

CARDS = [
    card("c1", source="ESconv", category=Category.FAMILY),
    card("c2", source="ExTES", category=Category.FAMILY),
    card("c3", source="escl", category=Category.SOCIETY),
    card("z1", source="smile", category=Category.FAMILY, language=Language.CHINESE),
    card("x1", source="escl", category=Category.FAMILY, crisis=CrisisKind.VIOLENCE),
]


def sliced(folder: Path, division: Division, cards: list[RoleCard] = CARDS) -> list[Slice]:
    labels = {"a": {one.id: [float(at % 4), float(at % 4)] for at, one in enumerate(cards)}}
    path = rated(folder / "run.db", labels, cards=cards)
    with Database.reader(path) as database:
        return slices_of(RunStore.read(database), division)


@pytest.mark.parametrize("division", [one for one in Division if one is not Division.ROUND])
def test_the_parts_hold_every_card_once(tmp_path: Path, division: Division) -> None:
    found = sliced(tmp_path, division)
    for language, crisis in {(one.language, one.crisis) for one in found}:
        group = [one for one in found if (one.language, one.crisis) == (language, crisis)]
        (whole,) = (one.n_cards for one in group if one.value is None)
        assert sum(one.n_cards for one in group if one.value is not None) == whole


def test_severity_is_what_cards_state_and_the_table_says_where_none_does(tmp_path: Path) -> None:
    said = {}
    words: dict[str, dict[str, str]] = {"none": {}, "some": {"c1": "mild", "c2": "severe", "c3": "mild"}}
    for name, stated in words.items():
        cards = [msgspec.structs.replace(one, severity=stated.get(one.id)) for one in CARDS]
        folder = tmp_path / name
        folder.mkdir()
        found = sliced(folder, Division.SEVERITY, cards)
        english = {one.value: one.n_cards for one in found if one.language is Language.ENGLISH and not one.crisis}
        parts = {"mild": 2, "severe": 1} if stated else {NOT_GIVEN: 3}
        assert english == {None: 3} | parts
        console = Console(file=io.StringIO(), width=100)
        print_slices(console, found, division=Division.SEVERITY)
        said[name] = cast(io.StringIO, console.file).getvalue()
    assert "No card of this run states a severity" in said["none"]
    assert "No card" not in said["some"]


def test_cards_from_the_seekers_training_are_apart(tmp_path: Path) -> None:
    found = {(one.language, one.crisis, one.value): one.n_cards for one in sliced(tmp_path, Division.TRAINING)}
    assert found[Language.ENGLISH, False, SEEN] == 2
    assert found[Language.ENGLISH, False, NOT_SEEN] == 1
    assert found[Language.CHINESE, False, SEEN] == 1
    assert found[Language.ENGLISH, True, NOT_SEEN] == 1


def test_a_slice_has_the_mean_of_its_cards_alone(tmp_path: Path) -> None:
    (family,) = (
        one
        for one in sliced(tmp_path, Division.CATEGORY)
        if one.value == "Family life" and one.language is Language.ENGLISH and not one.crisis
    )
    assert {score.mean for score in family.scores.values()} == {12.5}
    assert (family.average.mean, family.average.n, family.average.n_clusters) == (12.5, 4, 2)
    assert list(family.scores) == list(Dimension)


def test_rounds_say_how_much_was_said_and_cut(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    (dialogue,) = store.dialogues()
    store.set_state(dialogue.id, "speaking")
    said = [("supporter", "hello", None), ("seeker", "x" * 10, "stop"), ("supporter", "y" * 30, "length")]
    said += [("seeker", "x" * 20, "stop"), ("supporter", "y" * 40, "stop")]
    for position, (speaker, text, finish) in enumerate(said):
        row = TurnRow(turn=Turn(speaker=Speaker(speaker), text=text), finish=finish, n_generated=len(text) // 4)  # type: ignore[arg-type]
        store.add_turn(dialogue.id, position, row, last=position == 4)
    first, second = store.rounds()
    assert (first.round, first.n_dialogues, first.seeker_chars, first.supporter_chars) == (1, 1, 10, 30)
    assert (first.supporter_tokens, first.n_cut, second.n_cut) == (7, 1, 0)
    assert (second.round, second.seeker_chars, second.supporter_chars) == (2, 20, 40)
    store.close()
