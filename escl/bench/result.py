"""What a benchmark found, as values: rows with both sides, the ratio, the goal, and a reason for what was not measured.

Knows neither how things are measured nor how they are shown.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

import msgspec

Fact = int | float | str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity.

    Attributes:
        escl: What escl reached; the median where it was repeated.
        other: The same for the other side of the comparison; None where there is none.
        ratio: How many times better escl is, above 1 for better: the median over pairs measured one after the other.
        goal: The least ratio, or where there is no ratio the least value, that was hoped for.
        repeats: How often it was measured.
        why_missing: Why escl's value is not there.
    """

    what: str
    unit: str
    escl: float | None = None
    other: float | None = None
    ratio: float | None = None
    goal: float | None = None
    repeats: int = 1
    why_missing: str | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal was reached; None without a goal or a value."""
        reached = self.ratio if self.ratio is not None else self.escl
        return None if reached is None or self.goal is None else reached >= self.goal


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison.

    Attributes:
        key: What `--only` calls it.
        other: What stands in the rows' `other`.
        facts: The work: dialogues, tokens, threads and so on, equal for both sides unless it says otherwise.
        notes: What must be said about it.
        elapsed_s: How long measuring it took.
    """

    key: str
    title: str
    other: str | None
    rows: tuple[Row, ...]
    facts: dict[str, Fact] = {}
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured; None is unknown."""

    processor: str
    physical_cores: int
    ram_bytes: int | None
    accelerators: tuple[str, ...]
    system: str
    python: str
    versions: dict[str, str]
    llama_build: str

    @property
    def slug(self) -> str:
        """A short name for file names."""
        words = [*self.accelerators, self.processor, f"{self.physical_cores} cores"]
        return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


class BenchModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that took part, and what it is."""

    role: str
    name: str
    size_bytes: int
    sha256: str
    description: str


class BenchResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    started_utc: str
    command: str
    machine: MachineFacts
    models: tuple[BenchModel, ...]
    tables: tuple[Table, ...]
    elapsed_s: float
    form: int = 1


def faster(what: str, unit: str, pairs: Sequence[tuple[float, float]], *, goal: float | None = None) -> Row:
    """Return the row of a rate, more of which is better, from pairs (escl, other)."""
    return _row(what, unit, pairs, [escl / other for escl, other in pairs], goal=goal)


def shorter(what: str, unit: str, pairs: Sequence[tuple[float, float]], *, goal: float | None = None) -> Row:
    """Return the row of a time or size, less of which is better, from pairs (escl, other)."""
    return _row(what, unit, pairs, [other / escl for escl, other in pairs], goal=goal)


def predicted(pairs: Sequence[tuple[float, float]]) -> Row:
    """Return the row of what a plan said before, from pairs (predicted, measured) of seconds; a ratio of 1 is right."""
    what = "seconds predicted, against measured"
    return _row(what, "s", pairs, [foreseen / taken for foreseen, taken in pairs], goal=None)


def _row(
    what: str, unit: str, pairs: Sequence[tuple[float, float]], ratios: Sequence[float], *, goal: float | None
) -> Row:
    return Row(
        what=what,
        unit=unit,
        escl=statistics.median(escl for escl, _ in pairs),
        other=statistics.median(other for _, other in pairs),
        ratio=statistics.median(ratios),
        goal=goal,
        repeats=len(pairs),
    )


def missing(what: str, unit: str, *, why: str, goal: float | None = None) -> Row:
    """Return the row of something that was not measured, with the reason."""
    return Row(what=what, unit=unit, goal=goal, repeats=0, why_missing=why)
