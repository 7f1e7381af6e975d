"""A benchmark's rows say which side is better, whether that is enough, and why something is not there."""

from __future__ import annotations

import msgspec
import pytest

from escl.bench.result import BenchResult, MachineFacts, Row, Table, faster, missing, shorter

MACHINE = MachineFacts(
    processor="AMD EPYC",
    physical_cores=4,
    ram_bytes=None,
    accelerators=(),
    system="Linux x86_64",
    python="3.12.1",
    versions={"escl": "1"},
    llama_build="llama.cpp 1",
)


def test_ratios_are_above_one_when_escl_is_better_and_medians_over_pairs() -> None:
    rate = faster("turns", "turns/s", [(4, 2), (9, 3), (10, 10)])
    time = shorter("whole", "s", [(2, 4), (3, 9), (10, 10)])
    assert rate.ratio == time.ratio == 2
    assert (rate.escl, rate.other, rate.repeats) == (9, 3, 3)


@pytest.mark.parametrize(("reached", "met"), [(3.4, False), (3.5, True)])
def test_a_goal_is_met_by_the_ratio(reached: float, met: bool) -> None:
    assert faster("turns", "turns/s", [(reached, 1)], goal=3.5).is_met is met


def test_what_is_missing_has_a_reason_and_meets_nothing() -> None:
    row = missing("simulation", "turns/s", why="no accelerator", goal=12)
    assert (row.escl, row.ratio, row.is_met, row.why_missing) == (None, None, None, "no accelerator")


def test_a_result_survives_json() -> None:
    table = Table(key="a", title="A", other=None, rows=(Row(what="x", unit="s", escl=1.0),), facts={"n": 1, "s": "t"})
    result = BenchResult(
        started_utc="2026-01-02T03:04:05+00:00", command="x", machine=MACHINE, models=(), tables=(table,), elapsed_s=1
    )
    assert msgspec.json.decode(msgspec.json.encode(result), type=BenchResult) == result


def test_the_machine_names_files() -> None:
    assert MACHINE.slug == "amd-epyc-4-cores"
