"""A calibration as a terminal table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Language
from escl.core.printable import printable
from escl.evaluation.calibration import CalibratedCell, Calibration
from escl.report.validation import interval, number, table_of
from escl.stats.estimate import Estimate


def print_calibration(console: Console, made: Calibration) -> None:
    """Print a table for each language, and for what is refused the reason."""
    for language in Language:
        cells = [cell for cell in made.cells if cell.language is language]
        if cells:
            people = "1 rater" if made.n_raters == 1 else f"{made.n_raters} raters"
            said = f" · {people} · scorer {printable(made.judged_by.scorer)}\n"
            console.print(Text.assemble((f"\n{language.shown}", "bold"), said))
            console.print(_table(cells))
    for reason in dict.fromkeys(cell.found.reason for cell in made.cells if not cell.found.helps):
        names = [f"{c.language.value} {c.dimension.shown}" for c in made.cells if c.found.reason == reason]
        console.print(Text(f"\nrefused in {', '.join(names)}: {reason}", style="yellow"), soft_wrap=True)
    console.print(
        Text(
            "\nError: mean squared distance of the expected label (0-4) from people's mean label, on cards that the "
            "map was not made from. Gain: how much smaller it is with the map, Student t or bootstrap over cards. Each "
            "line is taken wrongly at most once in 40.",
            style="italic",
        ),
        soft_wrap=True,
    )


def _table(cells: list[CalibratedCell]) -> Table:
    columns = [("Cards\nmade/check", True), ("Error\nbefore", False), ("\nafter", False), ("\nGain", False)]
    table = table_of("Recalibration, checked on held-out cards", [*columns, ("95 %\ninterval", True), ("\n", False)])
    for cell in cells:
        found = cell.found
        gain = Estimate(value=found.gain.mean, low=found.gain.low, high=found.gain.high)
        table.add_row(
            cell.dimension.shown,
            f"{found.n_fit_cards}/{found.n_check_cards}",
            number(found.error_before, ".3f"),
            number(found.error_after, ".3f"),
            number(gain.value, "+.3f"),
            interval(gain, "+.3f"),
            Text("taken", style="green") if found.helps else Text("refused", style="yellow"),
        )
    return table
