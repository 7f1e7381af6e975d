"""Which models were in memory when, as a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.printable import printable
from escl.store.records import LoadRow


def print_loads(console: Console, loads: Sequence[LoadRow]) -> None:
    """Print every stay of a model in memory, in order of time."""
    table = Table(title="Loads", title_justify="left", box=None, padding=(0, 1))
    for name in ("UTC", "model", "device"):
        table.add_column(name, overflow="fold")
    for name in ("slots", "load s", "stayed s", "peak MiB"):
        table.add_column(name, justify="right")
    for load in loads:
        stayed = "" if load.left_utc is None else f"{_seconds(load.loaded_utc, load.left_utc):,.1f}"
        table.add_row(
            load.loaded_utc[:19].replace("T", " "),
            Text(printable(load.name)),
            Text(printable(load.device)),
            str(load.slots),
            f"{load.load_s:.2f}",
            stayed,
            f"{load.peak_bytes / 2**20:,.0f}",
        )
    console.print(table)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
