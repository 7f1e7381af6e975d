"""Numbers as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from escl.core.dimension import LABEL_TO_PERCENT
from escl.stats.cluster import ClusteredMean, clustered_mean
from escl.stats.estimate import Estimate
from escl.stats.summary import Scored, averages

NONE = "–"
"""Stands where there is no number."""


def average(scored: Iterable[Scored]) -> ClusteredMean:
    """Return the mean over dialogues of their seven dimensions' mean, 0-100, interval clustered by card.

    A dialogue in which a dimension is missing is left out.
    """
    known = {key: value * LABEL_TO_PERCENT for key, value in averages(scored).items() if value is not None}
    return clustered_mean(list(known.values()), [card for card, _ in known], lowest=0, highest=100)


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with so many digits, never -0.0; a dash for None."""
    return NONE if value is None else f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def signed(value: float | None) -> str:
    """Return a number with its sign, one digit after the point."""
    return NONE if value is None else f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def correlation(value: float | None) -> str:
    """Return a correlation with its sign, two digits after the point."""
    return NONE if value is None else f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def clear_of_0(found: Estimate) -> bool:
    """Return whether the interval of an estimate leaves 0 out."""
    return found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)


def interval(found: ClusteredMean) -> str | None:
    """Return the interval of a mean as "78.5–98.7", None where there is none."""
    return None if found.low is None or found.high is None else f"{number(found.low)}–{number(found.high)}"


def percent(share: float) -> str:
    """Return a share of 1 in whole percent."""
    return f"{100 * share:.0f}"


def p_value(p: float | None) -> str:
    """Return a probability as papers write it."""
    return NONE if p is None else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def mebibytes(size_bytes: int | None) -> str:
    """Return a size for people; a dash for None."""
    return NONE if size_bytes is None else f"{size_bytes / 2**20:,.1f} MiB"


def moment(utc: str | None) -> str:
    """Return an ISO time to the second."""
    return NONE if utc is None else utc[:19].replace("T", " ")


def shares(amounts: Sequence[float]) -> list[float]:
    """Return what part of their sum each amount is; zeros when the sum is none."""
    total = math.fsum(amounts)
    return [amount / total if total > 0 else 0.0 for amount in amounts]
