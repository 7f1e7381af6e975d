"""What a choice of cards comes to: every filter by itself and together, then a sample of what is left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from escl.core.card import Category, RoleCard
from escl.core.card_choice import CardChoice, choose_cards, drawn, matching, read_cards
from escl.core.card_file import upstream_json
from escl.core.dimension import Language
from escl.errors import CardError, UsageError


def made(n: int) -> RoleCard:
    return RoleCard(
        id=f"c{n:02}",
        language=list(Language)[n % 2],
        text=f"Age: 3{n}\nGender: woman\nOccupation: nurse\nProblem: night {n}"
        if n % 2 == 0
        else f"年龄：3{n}\n性别：女\n职业：护士\n问题：夜班{n}",
        category=list(Category)[n % 3],
        subcategory=None,
        source=["ESconv", "ExTES", "reddit", "escl"][n % 4],
        crisis=None,
    )


CARDS = [made(n) for n in range(24)]


def test_without_filters_every_card_is_chosen_language_by_language() -> None:
    chosen = matching(CARDS, CardChoice())
    assert {card.id for card in chosen} == {card.id for card in CARDS}
    assert [card.language for card in chosen] == sorted((card.language for card in CARDS), key=list(Language).index)


def test_filters_narrow_together() -> None:
    choice = CardChoice(languages=(Language.ENGLISH,), category=Category.FAMILY, source="reddit")
    assert {card.id for card in matching(CARDS, choice)} == {"c06", "c18"}


def test_unseen_leaves_out_what_the_seeker_was_trained_on_however_it_is_spelled() -> None:
    assert {card.source for card in matching(CARDS, CardChoice(unseen=True))} == {"reddit", "escl"}


def test_a_sample_is_drawn_of_what_the_filters_leave() -> None:
    choice = CardChoice(languages=(Language.ENGLISH,), sample=6)
    chosen = drawn(matching(CARDS, choice), choice)
    assert len(chosen) == 6
    assert Counter(card.category for card in chosen) == dict.fromkeys(Category, 2)


def test_no_card_left_names_every_filter() -> None:
    with pytest.raises(UsageError, match=r"no quality cards in en with category family and source nowhere"):
        choose_cards(CardChoice(languages=(Language.ENGLISH,), category=Category.FAMILY, source="nowhere"))


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    files = (tmp_path / "one.json", tmp_path / "two.json")
    for path in files:
        path.write_bytes(upstream_json(CARDS[:2]))
    with pytest.raises(CardError, match="two of the card files hold a card with the id c00"):
        read_cards(files)


def test_cards_that_are_named_are_chosen_and_one_that_is_unknown_is_refused_with_the_nearest() -> None:
    some = [card.id for card in choose_cards(CardChoice())][:2]
    assert [card.id for card in choose_cards(CardChoice(ids=tuple(some)))] == some
    with pytest.raises(UsageError, match=f"did you mean {some[0]}"):
        choose_cards(CardChoice(ids=(some[0] + "x",)))


def test_of_all_languages_together_the_first_are_chosen() -> None:
    assert len(choose_cards(CardChoice(first=1))) == 1
