"""The cards that ship with escl keep the promises of role_cards/README.md."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from escl.core.bundled import bundled
from escl.core.card import Category, CrisisKind, RoleCard, select_cards
from escl.core.card_file import load_cards
from escl.core.dimension import Language

CARDS = load_cards(bundled("role_cards"))
"""All files at once, so that an id or a text used twice anywhere fails here."""


def quality(language: Language) -> list[RoleCard]:
    return select_cards(CARDS, language=language)


def crisis(language: Language) -> list[RoleCard]:
    return select_cards(CARDS, language=language, crisis=True)


@pytest.mark.parametrize("language", Language)
def test_there_are_enough_cards_of_each_kind(language: Language) -> None:
    assert len(quality(language)) >= 40
    assert len(crisis(language)) >= 10


@pytest.mark.parametrize("language", Language)
def test_quality_cards_are_spread_evenly_over_the_categories(language: Language) -> None:
    counts = Counter(card.category for card in quality(language))
    assert len(counts) == len(Category)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("language", Language)
def test_any_first_cards_are_spread_over_the_categories(language: Language) -> None:
    for limit in range(1, len(quality(language)) + 1):
        counts = Counter(card.category for card in quality(language)[:limit])
        assert max(counts.values()) - min(counts.get(category, 0) for category in Category) <= 1


@pytest.mark.parametrize("language", Language)
def test_second_level_categories_are_many_and_documented(language: Language) -> None:
    readme = (bundled("role_cards") / "README.md").read_text(encoding="utf-8")
    kinds = {(card.category, card.subcategory) for card in quality(language)}
    assert len(kinds) >= 12
    for category in Category:
        (listed,) = re.findall(rf"^- {category.value}: (.*)$", readme, re.MULTILINE)
        assert set(listed.split(", ")) == {second for first, second in kinds if first is category}


@pytest.mark.parametrize("language", Language)
def test_crisis_cards_cover_every_danger_in_files_of_their_own(language: Language) -> None:
    assert {card.crisis for card in crisis(language)} == set(CrisisKind)
    folder = bundled("role_cards")
    assert all(card.crisis for card in load_cards(folder / f"crisis_{language.value}.toml"))
    assert not any(card.crisis for card in load_cards(folder / f"{language.value}.toml"))


@pytest.mark.parametrize(
    "card", [card for card in CARDS if card.language is Language.ENGLISH], ids=lambda card: card.id
)
def test_an_english_card_is_specific_but_short_and_english(card: RoleCard) -> None:
    assert 40 <= len(card.problem.split()) <= 90
    assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", card.text)


@pytest.mark.parametrize(
    "card", [card for card in CARDS if card.language is Language.CHINESE], ids=lambda card: card.id
)
def test_a_chinese_card_is_specific_but_short_and_chinese(card: RoleCard) -> None:
    assert 60 <= len(card.problem) <= 150
    assert not re.search(r"[A-Za-z]", card.text)
    assert not re.search(r"[,;:!?()]", card.problem), "Chinese text takes full-width punctuation"


@pytest.mark.parametrize("language", Language)
def test_people_are_of_all_ages_and_more_than_one_gender(language: Language) -> None:
    lines = [card.text.split("\n") for card in quality(language)]
    ages = [int(re.sub(r"\D", "", age)) for age, *_ in lines]
    assert min(ages) < 20
    assert max(ages) > 60
    genders = Counter(gender for _, gender, *_ in lines)
    assert all(count >= 15 for _, count in genders.most_common(2))


def test_every_id_begins_with_its_language() -> None:
    assert all(card.id.startswith(f"{card.language.value}-") for card in CARDS)
