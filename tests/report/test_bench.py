"""A benchmark's page and tables hold every number, every reason, and nothing that acts."""

from __future__ import annotations

import io

from rich.console import Console

from escl.bench.result import BenchModel, BenchResult, Row, Table, faster, missing
from escl.report.bench import markdown, print_table
from tests.bench.test_result import MACHINE

TABLE = Table(
    key="simulation",
    title="Simulating",
    other="a script",
    rows=(
        faster("turns", "turns/s", [(7.0, 2.0)], goal=3.5),
        missing("on a GPU", "turns/s", why="no accelerator", goal=12),
    ),
    facts={"dialogues": 32},
    notes=("A note.",),
)


def test_the_page_says_where_what_and_how_much() -> None:
    model = BenchModel(role="seeker", name="s", size_bytes=3 << 30, sha256="ab" * 32, description="qwen2")
    page = markdown(
        BenchResult(
            started_utc="2026-01-02T03:04:05+00:00",
            command="make bench",
            machine=MACHINE,
            models=(model,),
            tables=(TABLE,),
            elapsed_s=60,
        )
    )
    assert "| turns | 7.00 turns/s | 2.00 turns/s | 3.50 | 3.50 |" in page
    assert "| on a GPU | not measured |  |  | 12.00 |" in page
    for part in ("AMD EPYC, 4 cores, unknown of memory", "make bench", "3.00 GiB", "no accelerator", "A note."):
        assert part in page


def test_the_table_shows_bytes_for_people_and_no_escapes() -> None:
    out = io.StringIO()
    row = Row(what="peak \x1b[31m[red]", unit="bytes", escl=float(512 << 20))
    print_table(Console(file=out, width=100), Table(key="k", title="T", other=None, rows=(row,)))
    assert "512.0 MiB" in out.getvalue()
    assert "[red]" in out.getvalue()
    assert "\x1b" not in out.getvalue()
