"""A panel of scorers as terminal tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from string import ascii_uppercase

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.core.printable import printable
from escl.evaluation.panel import Panel, PanelCell
from escl.report.validation import interval, number, table_of
from escl.stats.labels import SATURATED

_MAX_SCORES = 6
"""Scorers that find room in a line of 80 columns."""


def print_panel(console: Console, panel: Panel) -> None:
    """Print who the scorers are, their agreement and scores for each language, and each two of them."""
    for at, panelist in enumerate(panel.panelists):
        adapters = f", {counted(len(panelist.adapters), 'adapter')}" if panelist.adapters else ", no adapters"
        kv = f", KV {panelist.kv_type}" if panelist.kv_type else ""
        labels = counted(panelist.n_labels, "label")
        line = f"{_letter(at)}  {panelist.scorer} (sha256 {panelist.sha256[:8]}{adapters}{kv}): {labels}"
        console.print(Text(printable(line)), soft_wrap=True)
        for reason, count in panelist.failed.items():
            console.print(Text(printable(f"   {count} without a label: {reason}"), style="red"), soft_wrap=True)
    for crisis, language in product((False, True), Language):
        cells = [cell for cell in panel.cells if (cell.crisis, cell.language) == (crisis, language)]
        if cells:
            title = (f"\n{language.shown}", "bold")
            console.print(
                Text.assemble(title, f"{' · crisis cards' if crisis else ''} · protocol {printable(panel.protocol)}\n")
            )
            console.print(_agreement(cells, len(panel.panelists)))
            console.print()
            console.print(_pairs(cells))
    for said in _said(panel):
        console.print(said, soft_wrap=True)


def _letter(at: int) -> str:
    return ascii_uppercase[at] if at < len(ascii_uppercase) else str(at + 1)


def _agreement(cells: Sequence[PanelCell], scorers: int) -> Table:
    shown = min(scorers, _MAX_SCORES)
    columns = [("\nAlpha", False), ("95 %\ninterval", True)]
    columns += [(f"{'Score' if at == 0 else ''}\n{_letter(at)}", False) for at in range(shown)]
    table = table_of("Agreement and mean scores", [*columns, ("\nUsed", False)])
    for cell in cells:
        found = cell.agreement
        scores: list[str | Text] = []
        for score, modal in list(zip(found.scores, found.modal_shares, strict=True))[:shown]:
            value = None if score.mean is None else LABEL_TO_PERCENT * score.mean
            saturated = modal is not None and modal >= SATURATED
            scores.append(Text(number(value, ".1f") + ("*" if saturated else ""), style="yellow" if saturated else ""))
        used = Text(f"{found.n_used}/{found.n_asked}", style="" if found.n_used == found.n_asked else "bold red")
        table.add_row(
            cell.dimension.shown, number(found.alpha.value, ".2f"), interval(found.alpha, ".2f"), *scores, used
        )
    return table


def _pairs(cells: Sequence[PanelCell]) -> Table:
    columns = [("\nPair", True), ("Same\n%", False), ("\nKappa", False), ("95 %\ninterval", True)]
    table = table_of("Each two", [*columns, ("Spear-\nman", False), ("95 %\ninterval", True), ("\nBoth", False)])
    for cell in cells:
        for at, pair in enumerate(pair for pair in cell.agreement.pairs if pair.n):
            table.add_row(
                cell.dimension.shown if at == 0 else "",
                f"{_letter(pair.one)} {_letter(pair.other)}",
                number(None if pair.exact.value is None else 100 * pair.exact.value, ".0f"),
                number(pair.kappa.value, ".2f"),
                interval(pair.kappa, ".2f"),
                number(pair.spearman.value, ".2f"),
                interval(pair.spearman, ".2f"),
                str(pair.n),
            )
    return table


def _said(panel: Panel) -> Iterable[Text]:
    yield Text("")
    shared = [order for order in panel.orders if order.is_shared]
    if panel.orders:
        yield Text(
            f"All scorers put the supporters in the same order in {len(shared)} of {len(panel.orders)} dimensions."
        )
    for order in panel.orders:
        if not order.is_shared:
            said = "; ".join(f"{_letter(at)}: {' > '.join(names)}" for at, names in enumerate(order.by_scorer) if names)
            yield Text(printable(f"  {order.language.value} {order.dimension.shown}: {said}"))
    if len(panel.panelists) > _MAX_SCORES:
        yield Text(f"The scores of the first {_MAX_SCORES} are shown; --json has all.")
    if any((share or 0) >= SATURATED for cell in panel.cells for share in cell.agreement.modal_shares):
        yield Text("* nearly all labels of this scorer are the same one: agreement with it says little")
    yield Text(
        "Alpha: Krippendorff's, ordinal. Intervals: bootstrap over cards (BCa), from 10 cards on. That scorers agree "
        "does not make them right.",
        style="italic",
    )
