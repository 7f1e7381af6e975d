"""A run's results as terminal tables. Everything from outside goes through `printable` and never as markup."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.core.settings import SimulationSettings
from escl.evaluation.results import Results
from escl.stats.summary import Cell, Tally

_PLOT_WIDTHS = (41, 31, 21, 11, 9, 0)
_WIDEST_NAME = 24
_NAMES = 4
_MESSAGE_CHARS = 120
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")

LIMITS = "Evidence about a simulated seeker and an automatic scorer, not about people or clinical efficacy."


OF_CRISIS = "No measure of how danger was met: crisis dialogues give findings, `escl crisis report` lists them."
CRISIS_UNSCORED = (
    "Crisis dialogues give findings, not scores: quality labels are no measure of how danger was met. --json has them."
)


def print_results(console: Console, results: Results) -> None:
    """Print the tables of a run with what must be said about them.

    The seven dimensions have none of crisis cards: their dialogues give findings (`escl.report.crisis`).
    """
    for crisis in (False, True):
        for language in Language:
            cells = [cell for cell in results.cells if not crisis and not cell.crisis and cell.language is language]
            if cells:
                console.print(_title(language, crisis=crisis, scorer=results.scorer or ""))
                console.print(_widest_table(console, [(cell.dimension.shown, cell) for cell in _in_order(cells)]))
            for scorer, own in _own(results, language, crisis=crisis).items():
                console.print(_title(language, crisis=crisis, scorer=scorer, of="your own dimensions"))
                console.print(_widest_table(console, own))
    console.print(_footer(results))


def _in_order(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells dimension by dimension."""
    order = list(Dimension)
    return sorted(cells, key=lambda cell: order.index(cell.dimension))


def _own(results: Results, language: Language, *, crisis: bool) -> dict[str, list[tuple[str, Tally]]]:
    """Return the cells of the user's own dimensions with the dimensions' names, by scorer."""
    found: dict[str, list[tuple[str, Tally]]] = {}
    for own in results.own:
        cells = [cell for cell in own.cells if cell.language is language and cell.crisis is crisis]
        if cells:
            found.setdefault(own.scorer, []).extend((own.dimension.shown(language), cell) for cell in cells)
    return found


def dialogue_panel(turns: Iterable[Turn], *, title: str) -> RenderableType:
    """Return one dialogue as a panel, speaker by speaker."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(justify="right", style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    for turn in turns:
        style = "cyan" if turn.speaker is Speaker.SUPPORTER else ""
        lines.add_row(turn.speaker.value, Text(printable(turn.text), style=style))
    return Panel(lines, title=Text(printable(title)), title_align="left", box=box.ROUNDED, border_style="dim")


def _title(language: Language, *, crisis: bool, scorer: str, of: str | None = None) -> Text:
    what = "crisis cards, apart from quality" if crisis else "scores 0-100"
    if of is not None:
        what = f"{of}, {what}"
    return Text.assemble((f"\n{language.shown}", "bold"), f" · {what} · scorer {printable(scorer)}")


def _widest_table(console: Console, rows: list[tuple[str, Tally]]) -> Table:
    for plot_width in _PLOT_WIDTHS:
        table = _table(rows, plot_width)
        if console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
            break
    return table


def _table(rows: list[tuple[str, Tally]], plot_width: int) -> Table:
    """Return the table of cells under the names of their dimensions; a plot width of 0 leaves the plot out."""
    supporters = list(dict.fromkeys(cell.supporter for _, cell in rows))
    colour = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(supporters)}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nDimension", no_wrap=True, max_width=_WIDEST_NAME, style="bold")
    table.add_column("\nSupporter", overflow="fold", min_width=10)
    table.add_column("\nScore", justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="center", no_wrap=True)
    if plot_width:
        table.add_column(_axis(plot_width), no_wrap=True)
    # Counts may have several digits, so each label has a column of its own, as wide as its widest count.
    wide = [max(len(str(cell.label_counts[label])) for _, cell in rows) for label in range(5)]
    header = " ".join(str(label).rjust(width) for label, width in enumerate(wide))
    table.add_column(f"Labels\n{header}", no_wrap=True, justify="center")
    table.add_column("Entropy\nbits", justify="right", no_wrap=True)
    table.add_column("\nUsed", justify="right", no_wrap=True, min_width=4)
    above = None
    for name, cell in rows:
        shown = "" if name == above else printable(name)
        table.add_row(Text(shown), *_row(cell, colour[cell.supporter], plot_width, wide))
        above = name
    return table


def _row(cell: Tally, colour: str, plot_width: int, wide: list[int]) -> list[Text]:
    score = cell.score
    value = "-" if score.mean is None else f"{score.mean:.1f}"
    interval = score.reason or "-"
    if score.low is not None and score.high is not None:
        interval = f"{score.low:.1f}–{score.high:.1f}"
    used = f"{cell.n_used}/{cell.n_asked}"
    return [
        Text(printable(cell.supporter), style=colour),
        Text(value, style="bold"),
        Text(interval),
        *([_plot(cell, colour, plot_width)] if plot_width else []),
        Text(" ".join(str(n or "·").rjust(width) for n, width in zip(cell.label_counts, wide, strict=True))),
        _entropy(cell),
        Text(used, style="" if cell.n_used == cell.n_asked else "bold red"),
    ]


def _entropy(cell: Tally) -> Text:
    if cell.spread is None:
        return Text("-")
    if cell.spread.saturated:
        return Text("saturated", style="yellow")
    return Text(f"{cell.spread.entropy_bits:.2f}")


def _axis(width: int) -> str:
    gap = width // 2 - 2
    return f"\n0{' ' * gap}50{' ' * (width - gap - 6)}100"


def _plot(cell: Tally, colour: str, width: int) -> Text:
    """Return the score as a dot with its interval as a line, on a scale from 0 to 100."""
    score = cell.score
    if score.mean is None:
        return Text(" " * width)

    def column(value: float) -> int:
        return round(min(max(value, 0.0), 100.0) / 100 * (width - 1))

    plot = ["·" if at in (0, width // 2, width - 1) else " " for at in range(width)]
    if score.low is not None and score.high is not None:
        for at in range(column(score.low), column(score.high) + 1):
            plot[at] = "─"
    plot[column(score.mean)] = "●"
    shown = Text("".join(plot), style=colour)
    shown.highlight_regex("·", style="bright_black not bold")
    return shown


def _footer(results: Results) -> Group:
    states = results.n_dialogues
    shown = [*(cell for cell in results.cells if not cell.crisis), *(cell for own in results.own for cell in own.cells)]
    lines: list[Text] = [
        Text(
            f"\n{states['complete']} dialogues complete, {states['failed']} failed,"
            f" {states['speaking'] + states['pending']} unfinished"
        )
    ]
    lines += [Text(printable(line), style="red") for line in _failures(results)]
    cut = {name: count for name, count in results.cut_turns.items() if count}
    if cut:
        counted = ", ".join(f"{printable(name)} {count}" for name, count in cut.items())
        lines.append(Text(f"turns cut by the token limit, in the dialogues of: {counted}"))
    lines += [Text(printable(line)) for line in _elsewhere(results)]
    if isinstance(results.settings, SimulationSettings):
        settings = results.settings
        strict = ", strict" if settings.strict else ""
        lines.append(
            Text(f"seeker {printable(settings.seeker.name)}, {settings.rounds} rounds, seed {settings.seed}{strict}")
        )
    lines.append(Text(f"protocol {printable(results.protocol)}"))
    lines += [Text(line) for line in _explained(shown)]
    if any(cell.crisis for cell in results.cells):
        lines.append(Text(CRISIS_UNSCORED, style="bold yellow"))
    if results.own:
        lines.append(Text("Your own dimensions are asked by your own words, without adapters, and are in no average."))
    lines += [Text(printable(notice), style="bold yellow") for notice in results.notices]
    lines.append(Text(LIMITS, style="italic"))
    return Group(*lines)


def _elsewhere(results: Results) -> list[str]:
    """Return what is to be said of supporters that are no models here."""
    lines = [f"{name} answered as {_some(models)}" for name, models in results.answered_as.items()]
    if results.asked_again:
        lines.append("asked again: " + ", ".join(f"{name} {n} times" for name, n in results.asked_again.items()))
    if results.connections:
        lines.append(f"{results.connections} network connections were tried")
    return lines


def _some(names: Sequence[str]) -> str:
    """Return the first few of names that others chose; a server may call itself another thing every time."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def _explained(cells: list[Tally]) -> list[str]:
    """Return how to read the tables, in as many sentences as these tables need."""
    names = {"t": "Student t", "bootstrap": "the bootstrap"}
    methods = " or ".join(name for method, name in names.items() if any(cell.score.method == method for cell in cells))
    over = f" Interval: {methods} over cards." if methods else ""
    if not cells:
        return []
    lines = [f"Score: mean expected label x 25.{over} Labels: the scorer's own answers."]
    if any(cell.spread is not None and cell.spread.saturated for cell in cells):
        lines.append(
            "Saturated: one label takes 95 % or more, so that the labels separate little; the score may still."
        )
    found = [cell.variances for cell in cells if cell.variances is not None]
    known = [(v.between, v.within) for v in found if v.between is not None and v.within is not None]
    if known:
        between, within = (math.sqrt(sum(values) / len(known)) for values in zip(*known, strict=True))
        lines.append(f"Spread: SD {between:.1f} between cards, {within:.1f} between repeats on one card.")
    return lines


def _cut(message: str) -> str:
    """Return the beginning of a message on one line; `--json` has it whole."""
    line = " ".join(message.split())
    return line if len(line) <= _MESSAGE_CHARS else line[:_MESSAGE_CHARS] + "..."


def _failures(results: Results) -> list[str]:
    """Return what is missing and why, each reason once with how often and its first message."""
    kinds: dict[tuple[str, bool], list[str]] = {}
    for failure in results.all_failures:
        kinds.setdefault((failure.error, failure.dimension is None and failure.own is None), []).append(failure.message)
    lines = [
        f"{counted(len(messages), 'dialogue' if spoken else 'reading')} failed with {error}, "
        f"the first: {_cut(messages[0])}"
        for (error, spoken), messages in kinds.items()
    ]
    known = {failure.error for failure in results.all_failures}
    unread: Counter[str] = Counter()
    for cell in results.all_cells:
        unread.update({reason: n for reason, n in cell.failed.items() if reason not in known})
    return [*lines, *(f"{counted(count, 'reading')}: {reason}" for reason, count in unread.items())]
