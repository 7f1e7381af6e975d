"""Automatic text metrics as terminal tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.evaluation.text_metrics import METRICS, Correlation, SupporterMetrics, TextMetrics
from escl.stats.estimate import Estimate

_LANGUAGE = {Language.ENGLISH: "English, words", Language.CHINESE: "Chinese, characters"}

LIMITS = "Metrics count words. A high value is no better support; longer turns alone lower distinct-n."


def print_metrics(console: Console, found: TextMetrics) -> None:
    """Print each supporter's metrics, and how they go with labels."""
    for language in Language:
        own = [one for one in found.supporters if one.language is language]
        if not own:
            continue
        console.print(Text.assemble(("\nText metrics", "bold"), f" · {_LANGUAGE[language]}"))
        console.print(_metrics(own))
        rows = [one for one in found.correlations if one.language is language]
        if rows:
            n = max(one.n for one in rows)
            console.print(
                Text.assemble(
                    ("\nSpearman's correlation", "bold"),
                    f" with labels of {printable(found.labels or '')}, {n} dialogues, ranked within each supporter",
                )
            )
            console.print(_correlations(rows))
    if not found.supporters:
        console.print("No quality dialogue is complete yet.")
        return
    if not found.correlations:
        console.print("Nothing was scored, so there is nothing to correlate with.")
    if found.n_unknown:
        console.print(Text(f"{found.n_unknown} rated dialogues are not in this run", style="yellow"))
    if all(one.n_referenced == 0 for one in found.supporters):
        console.print("BLEU and ROUGE-L need --reference FILE.")
    console.print(Text("* the 95 % interval, cards drawn, leaves 0 out. Crisis cards stay out."))
    console.print(Text(LIMITS, style="italic"))


def _metrics(supporters: Sequence[SupporterMetrics]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Supporter", overflow="fold", min_width=10)
    for name in ("Dialogues", "Length", "Distinct-1", "Distinct-2", "BLEU", "ROUGE-L"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in supporters:
        table.add_row(
            Text(printable(one.supporter)),
            str(one.n_dialogues),
            _number(one.units, 1),
            _number(one.distinct_1, 3),
            _number(one.distinct_2, 3),
            _number(one.bleu, 1),
            _number(one.rouge_l, 3),
        )
    return table


def _correlations(rows: Sequence[Correlation]) -> Table:
    by_key = {(one.metric, one.dimension): one.spearman for one in rows}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Metric", no_wrap=True, style="bold")
    for dimension in Dimension:
        table.add_column(dimension.shown[:7], justify="right", no_wrap=True)
    for metric in METRICS:
        if any(one.metric == metric for one in rows):
            table.add_row(metric, *(Text(_correlation(by_key.get((metric, each)))) for each in Dimension))
    return table


def _correlation(found: Estimate | None) -> str:
    if found is None or found.value is None:
        return "-"
    is_clear = found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)
    return f"{found.value + 0.0:+.2f}{'*' if is_clear else ' '}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
