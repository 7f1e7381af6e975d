"""What a card says is what a run selects and fingerprints."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.card import Category, CrisisKind, RoleCard, card_text, cards_sha256, select_cards
from escl.core.dimension import Language
from escl.errors import UsageError


def card(number: int, *, language: Language = Language.ENGLISH, crisis: CrisisKind | None = None) -> RoleCard:
    return RoleCard(
        id=f"card-{number}",
        language=language,
        text=card_text(language, age="30", gender="female", occupation="baker", problem=f"Problem number {number}."),
        category=list(Category)[number % 3],
        subcategory=None,
        source="escl" if number % 2 else "other",
        crisis=crisis,
    )


CARDS = [
    card(number, language=list(Language)[number % 2], crisis=CrisisKind.VIOLENCE if number % 5 == 0 else None)
    for number in range(20)
]

filters = st.fixed_dictionaries(
    {},
    optional={
        "language": st.sampled_from(Language),
        "category": st.sampled_from(Category),
        "source": st.sampled_from(["escl", "other", "nobody"]),
        "limit": st.integers(1, 25),
    },
)


def test_a_card_reads_as_four_labelled_lines() -> None:
    assert card_text(Language.CHINESE, age="30", gender="女", occupation="护士", problem="睡不着。") == (
        "年龄：30\n性别：女\n职业：护士\n问题：睡不着。"
    )
    assert card(1).has_four_lines
    assert card(1).problem == "Problem number 1."


def test_a_text_of_another_shape_is_all_problem() -> None:
    odd = msgspec.structs.replace(card(1), text="She cannot sleep.")
    assert not odd.has_four_lines
    assert odd.problem == "She cannot sleep."


@given(filters, st.booleans())
def test_a_selection_never_mixes_quality_and_crisis_cards(chosen: dict[str, object], crisis: bool) -> None:
    selected = select_cards(CARDS, crisis=crisis, **chosen)  # type: ignore[arg-type]
    assert all((card.crisis is not None) == crisis for card in selected)


@given(filters)
def test_a_selection_keeps_order_and_every_filter(chosen: dict[str, object]) -> None:
    selected = select_cards(CARDS, **chosen)  # type: ignore[arg-type]
    positions = [CARDS.index(card) for card in selected]
    assert positions == sorted(positions)
    assert len(selected) <= chosen.get("limit", len(CARDS))  # type: ignore[operator]
    for field in ("language", "category", "source"):
        assert {getattr(card, field) for card in selected} <= {chosen.get(field, getattr(c, field)) for c in CARDS}


def test_a_limit_takes_the_first_cards_that_match() -> None:
    quality = [card for card in CARDS if card.crisis is None]
    assert select_cards(CARDS, limit=3) == quality[:3]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_selects_nothing_is_a_usage_error(limit: int) -> None:
    with pytest.raises(UsageError, match="selects nothing"):
        select_cards(CARDS, limit=limit)


@given(st.permutations(CARDS))
def test_the_hash_does_not_depend_on_order(shuffled: list[RoleCard]) -> None:
    assert cards_sha256(shuffled) == cards_sha256(CARDS)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "another"},
        {"text": "Age: 31"},
        {"language": Language.CHINESE},
        {"category": Category.SOCIETY},
        {"subcategory": "x"},
        {"source": "y"},
        {"crisis": CrisisKind.SELF_HARM},
    ],
)
def test_the_hash_depends_on_everything_a_card_means(changed: dict[str, object]) -> None:
    original = card(1)
    assert cards_sha256([original]) != cards_sha256([msgspec.structs.replace(original, **changed)])
