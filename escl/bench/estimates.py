"""escl's estimates of memory against what llama.cpp would allocate, and against what real processes took."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from escl.bench.result import Row, Table
from escl.engine.wire import EngineSpec
from escl.memory.check_estimate import Compared, against_dry_run, against_peak

WITHIN: Final = 0.05


def check_estimates(dry: Sequence[EngineSpec], loaded: Sequence[EngineSpec]) -> Table:
    """Return the estimates of `dry`, whose files may be headers only, and of `loaded`, which are loaded and filled.

    Raises:
        EngineError: llama.cpp refuses a file or its settings.
    """
    compared = [part for spec in dry for part in against_dry_run(spec)]
    compared += [asyncio.run(against_peak(spec)) for spec in loaded]
    far = max(abs(one.ratio - 1) for one in compared)
    return Table(
        key="estimates",
        title="Estimates of memory",
        other="reference",
        rows=tuple(_row(one) for one in compared),
        facts={"largest deviation, %": round(100 * far, 1), "aim, %": round(100 * WITHIN)},
        notes=(
            "Here the ratio is the estimate by the reference. The reference is llama.cpp's dry allocation, or where it "
            "says so the measured peak of a process whose slots were all filled.",
        ),
    )


def _row(one: Compared) -> Row:
    what = f"{one.model}, {one.setting}: {one.part}" + (", measured" if one.against == "measured peak" else "")
    return Row(
        what=what,
        unit="bytes",
        escl=float(one.estimated_bytes),
        other=float(one.reference_bytes),
        ratio=one.ratio,
    )
