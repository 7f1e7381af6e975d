"""Labels of ESC-Eval's score files as a terminal table. Everything from outside goes through `printable`."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.dimension import LABELS, Dimension
from escl.core.printable import printable
from escl.evaluation.label_files import FileLabels
from escl.report.terminal import LIMITS


def print_labels(console: Console, found: Sequence[FileLabels]) -> None:
    """Print the labels of every file by dimension, and what they leave to tell supporters apart."""
    console.print(Text.assemble(("\nESC-Eval's labels", "bold"), " · 0-4 as score.py wrote them"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nDimension", no_wrap=True, style="bold")
    table.add_column("\nFile", overflow="fold", min_width=10)
    table.add_column("Label\nx 25", justify="right", no_wrap=True)
    # Counts may have several digits, so each label has a column of its own, as wide as its widest count.
    wide = [max(len(str(one.counts[label])) for one in found) for label in LABELS]
    header = " ".join(str(label).rjust(width) for label, width in zip(LABELS, wide, strict=True))
    table.add_column(f"Labels\n{header}", no_wrap=True, justify="center")
    table.add_column("Entropy\nbits", justify="right", no_wrap=True)
    table.add_column("With a\nlabel", justify="right", no_wrap=True)
    for dimension in Dimension:
        rows = [one for one in found if one.dimension is dimension]
        for at, one in enumerate(rows):
            table.add_row(dimension.shown if at == 0 else "", *_row(one, wide))
    console.print(table)
    for line in _said(found):
        console.print(line)


def _row(one: FileLabels, wide: Sequence[int]) -> list[Text]:
    entropy = Text("-")
    if one.spread is not None:
        saturated = Text("saturated", style="yellow")
        entropy = saturated if one.spread.saturated else Text(f"{one.spread.entropy_bits:.2f}")
    return [
        Text("all files", style="bold") if one.file is None else Text(printable(one.file)),
        Text("-" if one.label_score is None else f"{one.label_score:.1f}", style="bold"),
        Text(" ".join(str(n or "·").rjust(width) for n, width in zip(one.counts, wide, strict=True))),
        entropy,
        Text(f"{sum(one.counts)}/{sum(one.counts) + one.n_without}"),
    ]


def _said(found: Sequence[FileLabels]) -> list[Text]:
    """Return what the table comes to; the last seven rows are of all files where there are several."""
    whole = found[-len(Dimension) :]
    saturated = [one.dimension.shown for one in whole if one.spread is not None and one.spread.saturated]
    lines = [
        Text(
            f"\nSaturated: one label takes 95 % or more, so that the labels separate little. Here that is so in"
            f" {len(saturated)} of {len(whole)} dimensions{': ' if saturated else '.'}{', '.join(saturated)}"
        ),
        Text("Score files hold no probabilities, so expected labels are not known: `escl score` reads the dialogues."),
    ]
    n = max(sum(one.counts) for one in whole)
    if n < 20:
        lines.append(
            Text(
                f"{counted(n, 'dialogue is', 'dialogues are')} few: with so many one other label ends the saturation.",
                style="yellow",
            )
        )
    return [*lines, Text(LIMITS, style="italic")]
