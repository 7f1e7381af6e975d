"""The crisis track as terminal tables. Everything from outside goes through `printable` and never as markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dialogue import Speaker, Turn
from escl.core.printable import printable
from escl.evaluation.crisis import NOT_THIS, CrisisGate, CrisisReport, CrisisSupporter, Finding
from escl.text.danger import Help, Severity

_LISTED = 60
_SHOWN_CHARS = 600
_COLOUR = {Severity.RED: "bold red", Severity.AMBER: "yellow"}


def print_crisis(console: Console, found: CrisisReport) -> None:
    """Print what the supporters did, every finding with its turn, and what this is not."""
    console.print(Text.assemble(("\nCrisis cards", "bold"), " · apart from quality, no score"))
    if found.supporters:
        console.print(_behaviour(found.supporters))
    if any(one.steps for one in found.supporters) and found.scorer is not None and found.scorer.n_followed:
        console.print(Text(f"\nAnswers of {printable(found.scorer.scorer)} to {found.scorer.flow}: 0, 1, 2, unread"))
        console.print(_steps(found.supporters))
    ordered = sorted(found.findings, key=lambda one: (one.severity is not Severity.RED, one.stands is False))
    if ordered:
        console.print(Text("\nFindings", style="bold"))
        console.print(_findings(ordered[:_LISTED]))
    if len(ordered) > _LISTED:
        console.print(Text(f"and {len(ordered) - _LISTED} more; --json lists all"))
    waiting = len(found.queue)
    if waiting:
        console.print(Text(f"{waiting} findings wait for a person: `escl crisis review RUN --by NAME`"))
    for notice in found.notices:
        console.print(Text(printable(notice), style="bold yellow"))
    console.print(Text(NOT_THIS, style="italic"))


def print_crisis_gate(console: Console, gate: CrisisGate) -> None:
    """Print whether the gate is passed, and why not."""
    word, style = ("passed", "bold green") if gate.passed else ("failed", "bold red")
    reasons = [f"{gate.red} red findings stand"] if gate.red else []
    why = "; ".join([*reasons, *gate.missing])
    console.print(Text(f"\nCrisis gate {word}{': ' if why else '.'}{why}", style=style))


def print_finding(console: Console, finding: Finding, turns: Sequence[Turn]) -> None:
    """Print a finding with the turn that it is about and the one before it; without a turn, the whole dialogue."""
    console.print(Text(f"\n{printable(finding.id)}", style="bold"))
    console.print(Text(f"{printable(finding.supporter)} on card {printable(finding.card)}"))
    console.print(
        Text(f"{finding.severity.value}, {printable(finding.kind)}: {finding.what}", _COLOUR[finding.severity])
    )
    at = finding.turn
    shown = range(len(turns)) if at is None else range(max(0, at - 1), min(len(turns), at + 2))
    for position in shown:
        turn = turns[position]
        style = "cyan" if turn.speaker is Speaker.SUPPORTER else ""
        text = printable(turn.text[:_SHOWN_CHARS]) + (" …" if len(turn.text) > _SHOWN_CHARS else "")
        console.print(Text(f"{position:>3} {turn.speaker.value}: {text}", style=style))


def _behaviour(supporters: Sequence[CrisisSupporter]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Dialogues, by rules", no_wrap=True, style="bold")
    for one in supporters:
        table.add_column(Text(printable(one.supporter)), justify="right", overflow="fold", max_width=16)
    rows: list[tuple[str, list[str]]] = [
        ("complete", [f"{one.n_complete}/{one.n_asked}" for one in supporters]),
        ("seeker voices danger", [str(one.risk_voiced) for one in supporters]),
        ("asks directly about it", [str(one.asked) for one in supporters]),
        *((f"names a {kind.value}", [str(one.named[kind]) for one in supporters]) for kind in Help),
    ]
    for name, cells in rows:
        table.add_row(name.replace("a emergency", "an emergency"), *map(Text, cells))
    table.add_section()
    table.add_row(
        "with a red finding", *(Text(str(one.red), style="bold red" if one.red else "") for one in supporters)
    )
    table.add_row(
        "with an amber one", *(Text(str(one.amber), style="yellow" if one.amber else "") for one in supporters)
    )
    return table


def _steps(supporters: Sequence[CrisisSupporter]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Question", no_wrap=True, style="bold")
    for one in supporters:
        table.add_column(Text(printable(one.supporter)), justify="right", overflow="fold", max_width=20)
    for at, step in enumerate(supporters[0].steps):
        counts = [one.steps[at] for one in supporters]
        cells = [" ".join([*map(str, count.answers), f"({count.unread})"]) for count in counts]
        table.add_row(Text(printable(step.step)), *map(Text, cells))
    return table


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    table.add_column("Card", overflow="fold", max_width=18)
    table.add_column("Supporter", overflow="fold", max_width=11)
    table.add_column("Turn", justify="right", no_wrap=True)
    table.add_column("Found", overflow="fold", ratio=1)
    for one in findings:
        repeat = f" #{one.repeat + 1}" if one.repeat else ""
        review = "" if one.review is None else f" [{one.review.verdict} by {printable(one.review.reviewer)}]"
        source = "" if one.source == "rules" else f"{printable(one.source)}: "
        table.add_row(
            Text(one.severity.value, style=_COLOUR[one.severity] if one.stands else "dim"),
            Text(printable(one.card) + repeat),
            Text(printable(one.supporter)),
            "all" if one.turn is None else str(one.turn),
            Text(f"{source}{printable(one.kind)}: {one.what}{review}", style="" if one.stands else "dim"),
        )
    return table
