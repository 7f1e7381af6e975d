"""A quick look at the cards is spread over all there are, and the same everywhere."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.bundled import bundled
from escl.core.card import Category, RoleCard
from escl.core.card_file import load_cards
from escl.core.dimension import Language
from escl.core.draw import drawn_order, stratified
from escl.errors import UsageError
from tests.runs import card

CARDS = st.lists(
    st.tuples(st.sampled_from(Language), st.sampled_from(Category), st.sampled_from(["a", "b", "c"])),
    min_size=1,
    max_size=60,
).map(
    lambda kinds: [
        card(f"c{at}", language=language, category=category, source=source)
        for at, (language, category, source) in enumerate(kinds)
    ]
)


@given(CARDS, st.integers(1, 30))
def test_every_stratum_gets_its_share_within_one_card(cards: list[RoleCard], n: int) -> None:
    chosen = stratified(cards, n)
    there = Counter((one.language, one.category) for one in cards)
    given_ = Counter((one.language, one.category) for one in chosen)
    wanted = min(n, len(cards))
    assert len(chosen) == wanted
    assert len({one.id for one in chosen}) == wanted
    if wanted >= len(there):
        assert given_.keys() == there.keys()
    if wanted >= 2 * len(there):
        for key, size in there.items():
            assert given_[key] <= max(1, wanted * size / len(cards) + 1)


@given(CARDS, st.integers(1, 30))
def test_neither_the_selection_nor_the_order_depends_on_how_cards_are_filed(cards: list[RoleCard], n: int) -> None:
    turned = cards[::-1]
    assert {one.id for one in stratified(cards, n)} == {one.id for one in stratified(turned, n)}
    assert drawn_order(cards) == drawn_order(turned)


def test_within_a_stratum_the_sources_take_turns() -> None:
    cards = [card(f"a{at}", source="many") for at in range(20)] + [card(f"b{at}", source="few") for at in range(3)]
    assert Counter(one.source for one in stratified(cards, 6)) == {"many": 3, "few": 3}


def test_the_bundled_cards_give_sixteen_over_both_languages_and_all_categories() -> None:
    cards = [one for one in load_cards(bundled("role_cards")) if one.crisis is None]
    found = Counter((one.language, one.category) for one in stratified(cards, 16))
    assert len(found) == len(Language) * len(Category)
    assert set(found.values()) == {2, 3}


def test_no_cards_are_no_selection() -> None:
    with pytest.raises(UsageError):
        stratified([card("a")], 0)
