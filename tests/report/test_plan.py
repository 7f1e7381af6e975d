"""The tables of a plan say what it holds, in 80 columns and with nothing from outside taken for markup."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from escl.memory.candidate import in_time
from escl.memory.devices import in_size
from escl.memory.plan import Plan, make_plan
from escl.report.plan import fits_or_lacks, print_plan, slots_by_role
from tests.planning import cpu, gpu, models, workload


def printed(made: Plan) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    print_plan(console, made)
    return console.export_text()


@pytest.fixture(scope="module")
def on_gpu() -> Plan:
    return make_plan(models(on_gpu=True), workload(), gpu(8))


def test_every_candidate_stands_there_with_its_bytes_loads_and_time(on_gpu: Plan) -> None:
    text = printed(on_gpu)
    for candidate in on_gpu.candidates:
        lines = [line for line in text.splitlines() if candidate.strategy in line]
        assert any(slots_by_role(candidate) in line and in_time(candidate.seconds.total) in line for line in lines)
        assert any(f"{candidate.peak_host.total / 2**30:.2f}" in line for line in lines)
        assert f"{candidate.peak_device_bytes / 2**30:.2f}" in text
    assert on_gpu.chosen is not None
    assert f"▸ {on_gpu.candidates[on_gpu.chosen].strategy}" in text
    assert text.count("▸") == 1
    assert in_size(gpu(8).host_bytes) in text


def test_what_does_not_fit_says_how_much_is_lacking_and_where(on_gpu: Plan) -> None:
    candidate = next(one for one in on_gpu.candidates if not one.fits)
    lacking = -(-candidate.short_device_bytes * 10 // 2**30) / 10
    assert fits_or_lacks(candidate, on_gpu) == f"lacks {lacking:.1f} GiB of CUDA0"
    both = msgspec.structs.replace(candidate, short_host_bytes=2**30)
    assert fits_or_lacks(both, on_gpu) == f"lacks 1.0 GiB of main memory and {lacking:.1f} GiB of CUDA0"


def test_no_line_is_wider_than_the_terminal_but_the_sentences_below(on_gpu: Plan) -> None:
    tables = printed(on_gpu).partition("Chosen:")[0]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 80


def test_names_from_outside_are_no_markup() -> None:
    seeker, supporter, scorer = models()
    named = msgspec.structs.replace(supporter, name="[red]\x1b[2Jm[/red]")
    text = printed(make_plan([seeker, named, scorer], workload(), cpu(48)))
    assert "[red]" in text
    assert "\x1b" not in text


def test_without_a_choice_the_candidates_still_stand_there() -> None:
    text = printed(make_plan(models(), workload(), cpu(6)))
    assert "▸" not in text
    assert text.count("lacks") == 3


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "1 s"), (80, "80 s"), (600, "10 min"), (7200, "2.0 h")])
def test_times_are_as_exact_as_they_are_known(seconds: float, shown: str) -> None:
    assert in_time(seconds) == shown
