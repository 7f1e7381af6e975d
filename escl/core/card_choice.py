"""Which cards of which files are played: what the commands' options and the app's filters come to.

Owns the choice and the order of its steps; `escl.core.card_file` reads files, `escl.core.draw` spreads a sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.core.bundled import bundled
from escl.core.card import Category, RoleCard, select_cards
from escl.core.card_file import load_cards
from escl.core.dimension import Language
from escl.core.division import TRAINED_ON
from escl.core.draw import stratified
from escl.core.strict import nearest, quoted
from escl.errors import CardError, UsageError

QUICK_CARDS: Final = 16
"""A quick look plays so many."""
STANDARD_CARDS: Final = 48
"""What the app offers between a quick look and all cards: three times as many show differences about half as large."""


class CardChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which cards are played.

    Attributes:
        files: Card files or folders of them; the bundled cards when empty.
        ids: Only these cards.
        source: Only this collection.
        unseen: Only collections that ESC-Role was not trained on.
        crisis: The crisis cards instead of the quality cards.
        limit: Of each language the first so many, in file order.
        first: Of all that is left the first so many.
        sample: Of all that is left so many, spread over languages, categories and sources.
    """

    files: tuple[Path, ...] = ()
    languages: tuple[Language, ...] = tuple(Language)
    ids: tuple[str, ...] = ()
    category: Category | None = None
    source: str | None = None
    unseen: bool = False
    crisis: bool = False
    limit: int | None = None
    first: int | None = None
    sample: int | None = None


def read_cards(files: Sequence[Path] = ()) -> list[RoleCard]:
    """Return every card of the files, of the bundled ones where none is named.

    Raises:
        CardError: A file is malformed, or two files share a card id.
    """
    loaded = [card for path in files or [bundled("role_cards")] for card in load_cards(path)]
    twice = [name for name, n in Counter(card.id for card in loaded).items() if n > 1]
    if twice:
        raise CardError(f"two of the card files hold a card with the id {twice[0]}", hint="name each card once")
    return loaded


def matching(cards: Iterable[RoleCard], choice: CardChoice) -> list[RoleCard]:
    """Return the cards that match the choice, language by language, before any sample is drawn of them."""
    kept = [card for card in cards if not (choice.unseen and card.source.casefold() in TRAINED_ON)]
    if choice.ids:
        kept = [card for card in kept if card.id in choice.ids]
    matched = [
        card
        for language in choice.languages
        for card in select_cards(
            kept,
            language=language,
            category=choice.category,
            source=choice.source,
            crisis=choice.crisis,
            limit=choice.limit,
        )
    ]
    return matched[: choice.first]


def drawn(cards: Sequence[RoleCard], choice: CardChoice) -> list[RoleCard]:
    """Return the choice's sample of cards that match it; all of them where it asks for no sample."""
    return list(cards) if choice.sample is None else stratified(cards, choice.sample)


def choose_cards(choice: CardChoice) -> list[RoleCard]:
    """Return the cards that match, all of them: the sample is still to be drawn.

    Raises:
        CardError: A file is malformed, or two files share a card id.
        UsageError: No card is left, or a card that is named is not there.
    """
    read = read_cards(choice.files)
    _check_ids(choice.ids, read)
    chosen = matching(read, choice)
    if not chosen:
        kind = "crisis" if choice.crisis else "quality"
        where = ", ".join(map(str, choice.files)) or "the bundled cards"
        raise UsageError(
            f"{where}: no {kind} cards in {' or '.join(choice.languages)}{_filtered(choice)}",
            hint="`escl cards ls FILE` shows what is there; --crisis chooses the crisis cards",
        )
    return chosen


def _check_ids(ids: Sequence[str], cards: Sequence[RoleCard]) -> None:
    known = [card.id for card in cards]
    unknown = next((one for one in ids if one not in known), None)
    if unknown is not None:
        raise UsageError(
            f"no card has the id {quoted(unknown)}{nearest(unknown, known)}", hint="`escl cards ls FILE` lists them"
        )


def _filtered(choice: CardChoice) -> str:
    named = [f"the id {' or '.join(choice.ids)}"] if choice.ids else []
    named += [f"category {choice.category}"] if choice.category is not None else []
    named += [f"source {choice.source}"] if choice.source is not None else []
    named += ["a source that ESC-Role was not trained on"] if choice.unseen else []
    return f" with {' and '.join(named)}" if named else ""
