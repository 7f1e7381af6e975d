"""Which cards come first when not all are played: an order that knows nothing of how they were filed.

Owns drawing only; `escl.core.card` owns what a card is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from escl.core.card import RoleCard
from escl.errors import UsageError


def drawn_order(cards: Iterable[RoleCard]) -> list[RoleCard]:
    """Return the cards in an order that is the same everywhere and has nothing to do with what they say.

    By the blake2b hash of their ids, as good as shuffled: whoever stops after the first n has a random sample.
    """
    return sorted(cards, key=lambda card: hashlib.blake2b(card.id.encode(), digest_size=16).digest())


def stratified(cards: Sequence[RoleCard], n: int) -> list[RoleCard]:
    """Return `n` of the cards, spread over languages, categories and sources as they are themselves.

    Each stratum (language and category) gets its share by largest remainder, and at least one card while n allows;
    within a stratum the sources take turns, and within a source cards are drawn by `drawn_order`. All of them when
    there are no more than n.

    Raises:
        UsageError: n is below 1.
    """
    if n < 1:
        raise UsageError(f"{n} cards are no selection", hint="give 1 or more")
    strata: dict[tuple[str, str], list[RoleCard]] = {}
    for card in drawn_order(cards):
        strata.setdefault((card.language, card.category), []).append(card)
    shares = _shares({key: len(inside) for key, inside in strata.items()}, min(n, len(cards)))
    chosen = {card.id for key, inside in strata.items() for card in _turns(inside)[: shares[key]]}
    return [card for card in cards if card.id in chosen]


def _shares(sizes: dict[tuple[str, str], int], n: int) -> dict[tuple[str, str], int]:
    """Return how many of n each stratum gives: one each first, then by what is due and not yet given."""
    total = sum(sizes.values())
    given = dict.fromkeys(sizes, 0)
    for _ in range(n):
        open_strata = [key for key in sorted(sizes) if given[key] < sizes[key]]
        neediest = max(open_strata, key=lambda key: (given[key] == 0, n * sizes[key] / total - given[key]))
        given[neediest] += 1
    return given


def _turns(cards: Iterable[RoleCard]) -> list[RoleCard]:
    """Return the cards with their sources taking turns, the commonest source first."""
    by_source: dict[str, list[RoleCard]] = {}
    for card in cards:
        by_source.setdefault(card.source, []).append(card)
    queues = sorted(by_source.values(), key=lambda queue: (-len(queue), queue[0].source))
    return [card for round_ in zip_longest(*queues) for card in round_ if card is not None]
