"""A number with the word that goes with it, in English."""

from __future__ import annotations


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return "1 card" or "2 cards"; `many` is for what an "s" at the end does not make plural."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
