"""A benchmark's result for people: tables for the terminal, and a Markdown page to keep beside the JSON."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from escl.bench.result import BenchResult, Fact, Row, Table
from escl.core.printable import printable

_MEANINGS = "Ratio: how many times better escl is; above 1 is better, for times and bytes too."


def print_table(console: Console, table: Table) -> None:
    """Print one comparison."""
    console.print(Text(f"\n{printable(table.title)}", style="bold"), Text(f"({table.elapsed_s:.0f} s)", style="dim"))
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("", overflow="fold")
    shown.add_column("escl", justify="right", no_wrap=True)
    if table.other is not None:
        shown.add_column(printable(table.other), justify="right", overflow="fold")
        shown.add_column("ratio", justify="right", no_wrap=True)
    has_goal = any(row.goal is not None for row in table.rows)
    if has_goal:
        shown.add_column("goal", justify="right", no_wrap=True)
    for row in table.rows:
        cells = _cells(row, compared=table.other is not None)
        styles = {True: "green", False: "yellow", None: ""}
        shown.add_row(
            *[Text(printable(cell)) for cell in (cells if has_goal else cells[:-1])], style=styles[row.is_met]
        )
    console.print(shown)
    for line in _below(table):
        console.print(Text(printable(line), style="dim"))


def markdown(result: BenchResult) -> str:
    """Return the whole result as a Markdown page."""
    return "\n".join(_page(result)) + "\n"


def _page(result: BenchResult) -> Iterator[str]:
    machine = result.machine
    yield f"# Benchmark, {result.started_utc[:10]}, {', '.join(machine.accelerators) or machine.processor}"
    yield ""
    ram = "unknown" if machine.ram_bytes is None else _quantity(float(machine.ram_bytes), "bytes")
    yield f"- Machine: {machine.processor}, {machine.physical_cores} cores, {ram} of memory, {machine.system}"
    yield f"- Accelerators: {', '.join(machine.accelerators) or 'none that llama.cpp can use'}"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield f"- Versions: {versions}, Python {machine.python}"
    yield f"- llama.cpp: {machine.llama_build}"
    yield f"- Started {result.started_utc}, took {result.elapsed_s:.0f} s: `{result.command}`"
    for model in result.models:
        size = _quantity(float(model.size_bytes), "bytes")
        yield f"- {model.role}: {model.name}, {model.description}, {size}, sha256 {model.sha256[:16]}"
    yield ""
    yield _MEANINGS
    for table in result.tables:
        yield from _section(table)


def _section(table: Table) -> Iterator[str]:
    yield f"\n## {table.title}\n"
    compared = table.other is not None
    header = ["", "escl", *([table.other or "", "ratio"] if compared else []), "goal"]
    yield "| " + " | ".join(header) + " |"
    yield "|---|" + "---:|" * (len(header) - 1)
    for row in table.rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row, compared=compared)) + " |"
    yield from (f"\n{line}" for line in _below(table))


def _below(table: Table) -> Iterator[str]:
    """Yield what stands below a table: the work, why something was not measured, notes."""
    if table.facts:
        yield _facts(table.facts)
    why = dict.fromkeys(row.why_missing for row in table.rows if row.why_missing is not None)
    yield from (f"Not measured: {reason}." for reason in why)
    yield from table.notes


def _cells(row: Row, *, compared: bool) -> list[str]:
    repeated = f" (median of {row.repeats})" if row.repeats > 1 else ""
    ours = "not measured" if row.why_missing is not None else _shown(row.escl, row.unit)
    other = [_shown(row.other, row.unit), _shown(row.ratio, "x")] if compared else []
    return [row.what + repeated, ours, *other, _shown(row.goal, "x" if compared else row.unit)]


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else _quantity(value, unit)


def _quantity(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
    if unit == "x":
        return f"{value:.2f}"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4
    return f"{value:,.{digits}f} {unit}"


def _facts(facts: dict[str, Fact]) -> str:
    return "; ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in facts.items()
    )
