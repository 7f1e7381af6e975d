"""A run's scores by part of its cards, and its rounds, as terminal tables.

Everything from outside goes through `printable` and never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Dimension
from escl.core.division import NOT_GIVEN, NOT_SEEN, SEEN, Division
from escl.core.printable import printable
from escl.evaluation.breakdown import Slice
from escl.report.terminal import LIMITS, OF_CRISIS
from escl.stats.equivalence import FEW_CARDS
from escl.store.records import RoundRow


def print_slices(console: Console, slices: Sequence[Slice], *, division: Division) -> None:
    """Print a table for each language: every supporter on all cards, then on each part of them."""
    for (crisis, language), found in groupby(slices, key=lambda one: (one.crisis, one.language)):
        what = ", crisis cards" if crisis else ""
        console.print(Text.assemble((f"\n{language.shown}{what}", "bold"), f" · scores 0-100 by {division.value}"))
        console.print(_slice_table(list(found)))
        if crisis:
            console.print(Text(OF_CRISIS, style="yellow"))
    for line in _said(slices, division):
        console.print(line)


def print_rounds(console: Console, rounds: Sequence[RoundRow]) -> None:
    """Print how much was said in each round, and how much of it was cut."""
    table = _table("Round")
    columns = ("\nDialogues", "Seeker\nchars", "Supporter\nchars", "Supporter\ntokens", "Cut\nturns")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for supporter, found in groupby(rounds, key=lambda one: one.supporter):
        table.add_row(Text(printable(supporter), style="bold"))
        for row in found:
            tokens = "-" if row.supporter_tokens is None else f"{row.supporter_tokens:.0f}"
            table.add_row(
                f"  {row.round}",
                str(row.n_dialogues),
                f"{row.seeker_chars:.0f}",
                f"{row.supporter_chars:.0f}",
                tokens,
                Text(str(row.n_cut) if row.n_cut else "·", style="red" if row.n_cut else ""),
            )
        table.add_section()
    console.print(table)
    console.print(Text("Means over dialogues. The scorer reads whole dialogues, so there are no scores by round."))


def _slice_table(slices: Iterable[Slice]) -> Table:
    table = _table("Cards of")
    table.add_column("\nn", justify="right", no_wrap=True)
    for dimension in Dimension:
        table.add_column(f"\n{dimension.shown[:3]}", justify="right", no_wrap=True, min_width=3)
    table.add_column("Aver-\nage", justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="center", no_wrap=True)
    for at, found in enumerate(slices):
        if found.value is None and at:
            table.add_section()
        name = found.supporter if found.value is None else f"  {found.value}"
        means = (found.scores[dimension].mean for dimension in Dimension)
        average = found.average
        interval = "-"
        if average.low is not None and average.high is not None:
            interval = f"{average.low:.0f}–{average.high:.0f}"
        table.add_row(
            Text(printable(name), style="bold" if found.value is None else ""),
            str(found.n_cards),
            *("-" if mean is None else f"{mean:.0f}" for mean in means),
            Text("-" if average.mean is None else f"{average.mean:.1f}", style="bold"),
            interval,
        )
    return table


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column(f"\n{first}", overflow="fold", min_width=12)
    return table


def _said(slices: Sequence[Slice], division: Division) -> Iterable[Text]:
    if not slices:
        yield Text("Nothing was scored yet.")
        return
    yield Text(
        "\nExpected label x 25; the average is over dialogues with all seven. Slices describe, they test nothing."
    )
    if any(one.value is not None and one.n_cards < FEW_CARDS for one in slices):
        yield Text(f"Slices of fewer than {FEW_CARDS} cards say next to nothing.", style="yellow")
    if division is Division.SEVERITY:
        stated = any(one.value not in (None, NOT_GIVEN) for one in slices)
        yield Text(
            "Severity is what the author of a card says of it."
            if stated
            else "No card of this run states a severity; in cards of your own, `severity` may.",
        )
    if division is Division.TRAINING:
        yield Text(
            f"ESC-Role was trained on dialogues from {SEEN}: as a seeker it may know such cards. The fairer figures are"
            f" those of {NOT_SEEN}."
        )
    yield Text(LIMITS, style="italic")
