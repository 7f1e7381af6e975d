"""Comparisons as terminal tables: one line for each dimension, the verdict in words below.

Everything from outside goes through `printable` and never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.core.printable import printable
from escl.evaluation.compare import GateCheck, Group, OwnRow, Pairing, Row
from escl.evaluation.sides import AVERAGE, SideName
from escl.report.terminal import LIMITS
from escl.stats.paired import Verdict
from escl.stats.power import MAX_CARDS

_LANGUAGE = {Language.ENGLISH: "English", Language.CHINESE: "Chinese", None: "Both languages pooled"}
_WIDEST_NAME = 24
MARKS: dict[Verdict, tuple[str, str]] = {
    "better": ("▲", "green"),
    "worse": ("▼", "red"),
    "equivalent": ("=", "cyan"),
    "cannot tell": ("?", "yellow"),
}


def print_pairings(console: Console, pairings: Sequence[Pairing]) -> None:
    """Print every pairing, a table for each set of cards, and how to read them."""
    for found in pairings:
        one, other = _named(found.supporter, found.against)
        for line in found.forced:
            console.print(Text(printable(f"FORCED although not comparable: {line}"), style="bold red"))
        console.print(Text.assemble(("\n" + printable(one), "bold"), " against ", (printable(other), "bold")))
        for group in found.groups:
            console.print(_title(group))
            console.print(_table([*group.rows, *group.own]))
            console.print(Text(printable(_summary(one, other, group))))
        if found.anytime is not None:
            console.print(Text(_anytime(found), style="yellow"))
        for line in found.notes:
            console.print(Text(printable(f"note: {line}"), style="yellow"))
    if pairings:
        console.print(_legend(pairings[0].margin))


def print_gate(console: Console, checks: Sequence[GateCheck], *, passed: bool) -> None:
    """Print a gate's outcome and what it failed on, with the differences and their intervals."""
    n = sum(check.outcome.passed for check in checks)
    said = f"\nGate {'passed' if passed else 'failed'}: {n} of {len(checks)} checks."
    console.print(Text(said, style="bold green" if passed else "bold red"))
    for supporter, found in groupby(checks, key=lambda check: check.supporter):
        failed = [check for check in found if not check.outcome.passed]
        if failed:
            console.print(Text(printable(supporter), style="bold"))
        for check in failed:
            line = f"  {gate_name(check)}: {check.outcome.reason}"
            console.print(Text(printable(line), style="red" if check.outcome.is_worse else "yellow"))


def gate_name(check: GateCheck) -> str:
    """Return what a check is about, in a few words."""
    crisis = ", crisis cards" if check.crisis else ""
    return f"{_LANGUAGE[check.language]}{crisis}, {check.dimension.shown}"


def _named(one: SideName, other: SideName) -> tuple[str, str]:
    """Return both names; with the run's file where the supporter alone does not tell them apart."""
    if one.supporter != other.supporter:
        return one.supporter, other.supporter
    return f"{one.supporter} ({one.run})", f"{other.supporter} ({other.run})"


def _title(group: Group) -> Text:
    crisis = ", crisis cards" if group.crisis else ""
    return Text.assemble((f"\n{_LANGUAGE[group.language]}{crisis}", "bold"), " · points of 100")


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nDimension", no_wrap=True, max_width=_WIDEST_NAME, style="bold")
    table.add_column("Differ-\nence", justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="center", no_wrap=True)
    for name in ("Holm\np", "Effect\ng", "Could\nsee", "\nCards"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("\nVerdict")
    for at, row in enumerate(rows):
        # The average, and the first of the user's own dimensions.
        if at and (row.dimension == AVERAGE or isinstance(row, OwnRow) > isinstance(rows[at - 1], OwnRow)):
            table.add_section()
        table.add_row(Text(printable(row.shown)), *_cells(row))
    return table


def _cells(row: Row) -> Iterable[Text]:
    found = row.comparison
    difference = found.difference
    interval = difference.reason or "-"
    if difference.low is not None and difference.high is not None:
        interval = f"{signed(difference.low)} to {signed(difference.high)}"
    mark, style = MARKS[found.verdict]
    yield Text(signed(difference.mean), style="bold")
    yield Text(interval)
    yield Text(p_shown(found.p_holm))
    yield Text("-" if found.effect is None else f"{found.effect + 0.0:+.1f}")
    yield Text("-" if found.detectable is None else f"{found.detectable:.1f}")
    left_out = sum(found.left_out.values())
    asked = found.n_cards + left_out
    yield Text(f"{found.n_cards}/{asked}" if left_out else str(asked), style="bold red" if left_out else "")
    needed = "" if found.cards_needed is None else f" (~{found.cards_needed:,})"
    yield Text(f"{mark} {found.verdict}{needed}", style=style)


def signed(value: float | None) -> str:
    """Return a difference with its sign, "-" where there is none."""
    # Without -0.0, which would seem to have a direction.
    return "-" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def p_shown(value: float | None) -> str:
    """Return a p as papers print it."""
    if value is None:
        return "-"
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def _summary(name: str, against: str, group: Group) -> str:
    """Return the verdicts over the dimensions in a sentence or two, and why cards were left out."""
    seven = [row for row in group.rows if row.dimension != AVERAGE]
    lines = [_verdicts(name, against, seven)] if seven else []
    if group.own:
        lines.append(f"In your own dimensions: {_verdicts(name, against, group.own)}")
    for reason, count in _left_out(group).items():
        who = reason.replace("the first", name).replace("the second", against)
        lines.append(f"Cards left out, {who}: {count}.")
    return "\n".join(lines)


def _verdicts(name: str, against: str, rows: Sequence[Row]) -> str:
    by_verdict = {verdict: [r.shown for r in rows if r.comparison.verdict == verdict] for verdict in MARKS}
    how_said: dict[Verdict, str] = {"better": "better in", "worse": "worse in", "equivalent": "as good in"}
    said = []
    for verdict, how in how_said.items():
        named = by_verdict[verdict]
        if named:
            said.append(f"{how} {'all ' + str(len(rows)) if len(named) == len(rows) > 1 else ', '.join(named)}")
    lines = [f"{name} is {'; '.join(said)}." if said else f"It cannot be told how {name} compares with {against}."]
    if said and by_verdict["cannot tell"]:
        lines.append(f"It cannot be told for {', '.join(by_verdict['cannot tell'])}.")
    return "\n".join(lines)


def _anytime(found: Pairing) -> str:
    """Return what is known of a run that may have ended by what was seen in it."""
    known = found.anytime
    assert known is not None
    said = f"\nOnly {known.n} of {found.n_cards} cards were played. If that is because the run was sure, the intervals"
    between = f"{known.low:+.2f} to {known.high:+.2f}"
    return f"{said} above are too narrow; the one that allows for looking: average {between} labels."


def _left_out(group: Group) -> dict[str, int]:
    """Return the most cards that any dimension left out, by reason."""
    most: dict[str, int] = {}
    for row in [*group.rows, *group.own]:
        for reason, count in row.comparison.left_out.items():
            most[reason] = max(most.get(reason, 0), count)
    return most


def _legend(margin: float) -> Text:
    return Text.assemble(
        f"\n▲ better, ▼ worse: Holm p is 0.05 or less. = equivalent: the interval lies within ±{margin:g} points"
        f" ({margin / LABEL_TO_PERCENT:g} labels). ? cannot tell, with the cards that could.\n"
        f"Paired by card; p by sign flips. Effect: mean / SD of the differences (Hedges' g). Could see: the difference"
        f" found with probability 0.8. What needs more than {MAX_CARDS:,} cards has no number.\n",
        (LIMITS, "italic"),
    )
