"""The paper's leaderboard beside a run as terminal tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.evaluation.published import Published, PublishedRow
from escl.report.validation import number, table_of

_HEADS = {
    Dimension.FLUENCY: "Flu",
    Dimension.EXPRESSION: "Expr",
    Dimension.EMPATHY: "Emp",
    Dimension.INFORMATION: "Info",
    Dimension.HUMANOID: "Huma",
    Dimension.SKILLFUL: "Skil",
    Dimension.OVERALL: "Over",
}


def print_published(console: Console, published: Published) -> None:
    """Print a table for each language, the run's supporters marked, and what differs."""
    for language in Language:
        rows = [row for row in published.rows if row.language is language]
        if rows:
            console.print(Text.assemble((f"\n{language.shown}", "bold"), f" · published · {published.source}\n"))
            console.print(_table(rows))
    console.print(Text("\nNot comparable as they stand:", style="bold yellow"))
    for line in published.differs:
        console.print(Text(f"- {printable(line)}", style="yellow"), soft_wrap=True)


def _table(rows: list[PublishedRow]) -> Table:
    table = table_of(None, [*((head, False) for head in _HEADS.values()), ("Mean", False)])
    table.columns[0].header = "Model"
    table.columns[0].style = ""
    table.columns[0].no_wrap = False
    table.columns[0].overflow = "fold"
    for row in rows:
        own = row.group is None
        style = "bold cyan" if own else ""
        name = Text(f"{'▸ ' if own else '  '}{printable(row.model)}")
        table.add_row(name, *(number(score, ".1f") for score in row.scores), number(row.average, ".1f"), style=style)
    return table
