"""Numbers and the words that go with them."""

from __future__ import annotations

from escl.core.counted import counted


def test_only_one_is_singular() -> None:
    assert [counted(n, "card") for n in (0, 1, 2, 1000)] == ["0 cards", "1 card", "2 cards", "1,000 cards"]


def test_a_word_may_bring_its_verb() -> None:
    assert [counted(n, "card is", "cards are") for n in (1, 3)] == ["1 card is", "3 cards are"]
