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
from escl.core.message import Message
from escl.core.printable import printable
from escl.evaluation.compare import GateCheck, Group, OwnRow, Pairing, Row
from escl.evaluation.sides import AVERAGE, SideName
from escl.report.terminal import LIMITS, OF_CRISIS
from escl.stats.cluster import ClusteredMean
from escl.stats.paired import Comparison, Verdict
from escl.stats.points import NONE_SHOWN, alike_said, ends_said, signed, stuck_said
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
            for line in reserves([*group.rows, *group.own]):
                console.print(Text(printable(line), style="yellow"))
            if group.crisis:
                console.print(Text(OF_CRISIS, style="yellow"))
        if found.anytime is not None:
            console.print(Text(_anytime(found), style="yellow"))
        for line in found.notes:
            console.print(Text(printable(f"note: {line}"), style="yellow"))
    if pairings:
        console.print(_legend(pairings[0].margin))


def print_gate(console: Console, checks: Sequence[GateCheck], *, passed: bool, n_crisis: int = 0) -> None:
    """Print a gate's outcome and what it failed on, with the differences and their intervals.

    Args:
        console: Where to.
        checks: What the gate asked.
        passed: Its outcome.
        n_crisis: Crisis cards, about which it does not ask.
    """
    n = sum(check.outcome.passed for check in checks)
    for supporter, found in groupby(checks, key=lambda check: check.supporter):
        failed = [check for check in found if not check.outcome.passed]
        if failed:
            console.print(Text(printable(supporter), style="bold"))
        for check in failed:
            line = f"  {gate_name(check)}: {check.outcome.reason}"
            console.print(Text(printable(line), style="red" if check.outcome.is_worse else "yellow"))
    said = f"Gate {'passed' if passed else 'failed'}: {n} of {len(checks)} checks"
    blind = n_unmoved(checks)
    but = f", {blind} of them only because the scorer does not move." if blind else "."
    console.print(Text(said + but, style="bold green" if passed else "bold red"))
    if n_crisis:
        console.print(Text(f"Crisis cards left out: {n_crisis}. `escl crisis report RUN --gate` is the gate for them."))


def n_unmoved(checks: Sequence[GateCheck]) -> int:
    """Return how many checks passed although the scorer could not have shown otherwise."""
    return sum(check.outcome.passed and bool(check.comparison.stuck) for check in checks)


def reserves(rows: Sequence[Row]) -> list[str]:
    """Return what must be known of how much the rows' intervals and verdicts can be relied on, in sentences."""
    said: dict[str, list[str]] = {}
    for row in rows:
        for reserve in reserves_of(row.comparison):
            said.setdefault(reserve, []).append(row.shown)
    return [f"{', '.join(names)}: {reserve}." for reserve, names in said.items()]


def reserves_of(found: Comparison) -> list[Message]:
    """Return the same of one comparison, each a clause; empty where there is nothing to say."""
    said = []
    if found.stuck:
        said.append(stuck_said(found.stuck))
    if found.unseen is not None and found.difference.mean is not None:
        said.append(alike_said(found.difference.mean, found.unseen))
    if found.rests_on_few:
        said.append(Message("compared.few-differ", {"n": found.n_differing, "all": found.n_cards}))
    return said


def gate_name(check: GateCheck) -> str:
    """Return what a check is about, in a few words."""
    return f"{_LANGUAGE[check.language]}, {check.dimension.shown}"


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
    mark, style = MARKS[found.verdict]
    yield Text(signed(difference.mean), style="bold")
    yield Text(interval_shown(difference, between=" to "))
    yield Text(p_shown(found.p_holm))
    yield Text("-" if found.effect is None else f"{found.effect + 0.0:+.1f}")
    yield Text(detectable_shown(found.detectable))
    left_out = sum(found.left_out.values())
    asked = found.n_cards + left_out
    yield Text(f"{found.n_cards}/{asked}" if left_out else str(asked), style="bold red" if left_out else "")
    needed = "" if found.cards_needed is None else f" (~{found.cards_needed:,})"
    yield Text(f"{mark} {found.verdict}{needed}", style=style)


def interval_shown(found: ClusteredMean, *, between: str) -> str:
    """Return an interval, or why there is none."""
    if found.low is None or found.high is None:
        return found.reason or "-"
    return ends_said(found.low, found.high, between=between)


def detectable_shown(value: float | None) -> str:
    """Return the difference that could be seen; never as 0, which no number of cards shows."""
    return "-" if value is None else "<0.1" if value < NONE_SHOWN else f"{value:.1f}"


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
        f"\n▲ better, ▼ worse: Holm p is 0.05 or less, adjusted over the dimensions tested together; nothing is"
        f" adjusted across tables. = equivalent: the interval lies within ±{margin:g} points"
        f" ({margin / LABEL_TO_PERCENT:g} labels). ? cannot tell, with the cards that could.\n"
        f"Paired by card; p by sign flips. Effect: mean / SD of the differences (Hedges' g). Could see: the difference"
        f" found with probability 0.8, before Holm. What needs more than {MAX_CARDS:,} cards has no number.\n",
        (LIMITS, "italic"),
    )
