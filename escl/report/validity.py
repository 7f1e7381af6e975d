"""The seeker's role-play as a terminal table: how often each check found something, and in which dialogues."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.printable import printable
from escl.evaluation.validity import CheckedDialogue, Validity
from escl.text.seeker_checks import Check, Thresholds

_LISTED = 40
"""Dialogues that the terminal lists; `--json` has all."""

LIMITS = (
    "Rules see words, not sense: a flag is a reason to read the dialogue, and no flag is no proof of a good seeker."
)


def print_validity(console: Console, found: Validity) -> None:
    """Print how often the seeker is flagged beside each supporter, and where."""
    share = found.share
    said = "no dialogue is complete yet" if share is None else f"{found.n_flagged} flagged ({share:.0%})"
    console.print(
        Text.assemble(("\nRole-play of the seeker", "bold"), f" · {counted(found.n_dialogues, 'dialogue')}, {said}")
    )
    if share is None:
        return
    console.print(_counts(found))
    flagged = [one for one in found.dialogues if one.is_flagged]
    if flagged:
        console.print(_listing(flagged[:_LISTED]))
    if len(flagged) > _LISTED:
        console.print(Text(f"and {len(flagged) - _LISTED} more; --json lists all"))
    if found.n_without_card:
        console.print(
            Text(f"{counted(found.n_without_card, 'dialogue')} came without a card, so copying was not checked there")
        )
    console.print(Text("Flagged dialogues stay in every score. Mood: trend for each turn, -1 to 1, by a word list."))
    console.print(Text(LIMITS, style="italic"))


def _counts(found: Validity) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Check", no_wrap=True, style="bold")
    table.add_column("Flags a dialogue when", overflow="fold", ratio=1)
    for one in found.supporters:
        table.add_column(Text(printable(one.supporter)), justify="right", overflow="fold", max_width=14)
    for check in Check:
        counts = [one.by_check[check] for one in found.supporters]
        cells = [Text(f"{n}/{one.n_dialogues}" if n else "·") for n, one in zip(counts, found.supporters, strict=True)]
        table.add_row(check.value, meaning(check, found.thresholds), *cells, style="" if any(counts) else "dim")
    table.add_section()
    table.add_row("flagged", "any of these", *(Text(f"{one.flagged}/{one.n_dialogues}") for one in found.supporters))
    slopes = ["-" if one.mean_slope is None else f"{one.mean_slope + 0.0:+.2f}" for one in found.supporters]
    table.add_row("mood", "never; shown only", *map(Text, slopes))
    return table


def meaning(check: Check, at: Thresholds) -> str:
    """Return in a few words what makes a finding of a check."""
    return {
        Check.ROLE_BREAK: "it supports, says it is an AI, or names its card",
        Check.CARD_COPIED: f"a turn has {at.copied_words} words ({at.copied_characters} characters) as its card",
        Check.TOLD_AT_ONCE: f"the first turn tells {at.told_share:.0%} of the card",
        Check.OTHER_LANGUAGE: f"{at.other_script:.0%} of a turn is in another script",
        Check.REPETITION: f"{at.repeated_share:.0%} of a turn was said before, or it loops",
        Check.ECHO: f"{at.echoed_share:.0%} of a turn is the supporter's last",
        Check.EMPTY: "a turn without a word",
        Check.CUT: "a turn cut by the token limit",
        Check.LENGTH: f"under {at.shortest:g} or over {at.longest:g} words for each of the supporter's",
    }[check]


def _listing(flagged: list[CheckedDialogue]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("Card", overflow="fold", max_width=22)
    table.add_column("Supporter", overflow="fold", max_width=14)
    table.add_column("Turn", justify="right", no_wrap=True)
    table.add_column("Check", no_wrap=True)
    table.add_column("Found", overflow="fold", ratio=1)
    for one in flagged:
        repeat = f" #{one.repeat + 1}" if one.repeat else ""
        for at, finding in enumerate(one.checked.findings):
            table.add_row(
                Text(printable(one.card) + repeat if at == 0 else ""),
                Text(printable(one.supporter) if at == 0 else ""),
                "all" if finding.turn is None else str(finding.turn),
                finding.check.value,
                Text(printable(finding.what)),
            )
    return table
