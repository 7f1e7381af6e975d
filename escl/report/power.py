"""A power plan as terminal tables, both ways round: what so many cards can see, and how many a difference needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.core.printable import printable
from escl.evaluation.pilot import PowerLine, PowerPlan
from escl.stats.power import MAX_CARDS

_LANGUAGE = {Language.ENGLISH: "English · ", Language.CHINESE: "Chinese · ", None: "Both languages pooled · "}


def print_power(console: Console, plan: PowerPlan) -> None:
    """Print the plan: a table for each direction and language, and what it rests on."""
    for language in dict.fromkeys(line.language for line in plan.lines):
        lines = [line for line in plan.lines if line.language == language]
        name = "" if lines[0].dimension is None else _LANGUAGE[language]
        console.print(Text.assemble((f"\n{name}Smallest difference seen", "bold"), ", in labels"))
        console.print(_seen(lines))
        console.print(Text.assemble((f"\n{name}Cards needed", "bold"), " for a difference of"))
        console.print(_needed(lines))
    console.print(_legend(plan))


def _seen(lines: Sequence[PowerLine]) -> Table:
    table = _table([f"{n:,}\ncards" for n in lines[0].detectable])
    for line in lines:
        table.add_row(line.shown, _number(line.deviation), *(_number(value) for value in line.detectable.values()))
    return table


def _needed(lines: Sequence[PowerLine]) -> Table:
    table = _table([f"{wanted:g}\nlabels" for wanted in lines[0].cards_needed])
    for line in lines:
        needed = line.cards_needed.values()
        cells = ["-" if line.deviation is None else f">{MAX_CARDS:,}" if n is None else f"{n:,}" for n in needed]
        table.add_row(line.shown, _number(line.deviation), *cells)
    return table


def _table(columns: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nDimension", no_wrap=True, style="bold")
    table.add_column("SD of\ndifferences", justify="right", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _legend(plan: PowerPlan) -> Text:
    return Text(
        f"\nFound with probability {plan.power:g} by a two-sided test at 5 %, paired by card; Holm over seven"
        f" dimensions needs more. 1 label is {LABEL_TO_PERCENT} points of 100.\nBased on {printable(plan.basis)}."
    )
