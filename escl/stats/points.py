"""Differences in points of 100 as people read them. Numbers and clauses only; knows no table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from escl.core.message import Message

NONE_SHOWN: Final = 0.05
"""A difference below this is shown as none."""


def signed(value: float | None) -> str:
    """Return a difference with its sign, "-" where there is none."""
    # Without -0.0, which would seem to have a direction.
    return "-" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def ends_said(low: float, high: float, *, between: str = " to ") -> str:
    """Return an interval; one too narrow for its digits by its width, for none has no width."""
    one, other = signed(low), signed(high)
    return f"{one}{between}{other}" if one != other else Message("compared.narrow")


def stuck_said(stuck: Sequence[int]) -> Message:
    """Return in words that the scorer does not move.

    Args:
        stuck: The label that it gives in each dimension; not empty.
    """
    if len(stuck) == 1:
        return Message("compared.stuck", {"label": stuck[0]})
    return Message("compared.all-stuck")


def alike_said(mean: float, share: float) -> Message:
    """Return in words that all cards have the difference `mean`, and what share of cards may still have another."""
    return Message("compared.alike", {"difference": signed(mean), "percent": 100 * share})
