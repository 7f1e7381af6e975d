"""An arena as terminal tables. Everything from outside goes through `printable` and never as markup."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.printable import printable
from escl.evaluation.arena import NO_LABEL
from escl.evaluation.arena_results import Against, ArenaResults, Board
from escl.report.terminal import LIMITS
from escl.stats.cluster import ClusteredMean
from escl.stats.pairwise import Consistency
from escl.stats.ratings import Rating

MUCH_FLIPPED = 0.2
"""A judge that contradicts itself on more than this share of the pairs is named as such."""


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What `--dry-run --json` prints.

    Attributes:
        n_pairs: To be judged, each in both orders.
        n_readings: Questions to the judge in all.
        n_known: Those that are answered already.
        n_prefill: Tokens that the judge will read, estimated from characters.
        n_decode: Tokens that it will generate one by one.
        seconds: Predicted; None when nothing is left to do.
        is_assumed: Whether the judge's speed was never measured on this machine.
        peak_host_bytes: Main memory at most; None when nothing is left to do.
    """

    arena: str
    n_pairs: int
    n_readings: int
    n_known: int
    pairs: dict[str, int]
    n_prefill: int = 0
    n_decode: int = 0
    seconds: float | None = None
    is_assumed: bool = False
    peak_host_bytes: int | None = None


def print_dry_run(console: Console, shown: DryRun, plan: str) -> None:
    """Print what would be judged and what it would take."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Board")
    table.add_column("Possible pairs", justify="right")
    for board, n_pairs in shown.pairs.items():
        table.add_row(Text(board), f"{n_pairs:,}")
    console.print(table)
    known = f", {shown.n_known:,} of them are known" if shown.n_known else ""
    console.print(f"\n{shown.n_pairs:,} pairs in both orders: {shown.n_readings:,} readings{known}", soft_wrap=True)
    if shown.seconds is not None:
        console.print(f"about {shown.n_prefill:,} tokens to read and {shown.n_decode:,} to generate")
    console.print(Text(printable(plan)), soft_wrap=True)


def print_arena(console: Console, results: ArenaResults) -> None:
    """Print a table for each language and dimension, how consistent the judge was, and what must be said about it."""
    for board in results.boards:
        console.print(_title(board, results))
        if board.n_judged:
            console.print(_table(board, results))
        for line in _said_of(board):
            console.print(Padding(line, (0, 0, 0, 2)))
    for line in _footer(results):
        console.print(line)


def _title(board: Board, results: ArenaResults) -> Text:
    judged = f"{board.n_judged} of {board.n_asked} pairs" if board.failed else f"{board.n_judged} pairs"
    return Text.assemble(
        (f"\n{board.language.shown} · {board.dimension.shown}", "bold"),
        f" · {judged} · judge {printable(results.settings.judge)}",
    )


def _table(board: Board, results: ArenaResults) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nSupporter", overflow="fold", min_width=10, style="bold")
    table.add_column("\nRating", justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="center", no_wrap=True)
    table.add_column("\nBest", justify="right", no_wrap=True)
    table.add_column("\nElo", justify="right", no_wrap=True)
    table.add_column("Won-tied-\nlost", justify="right", no_wrap=True)
    table.add_column("Win rate\n± error", justify="right", no_wrap=True)
    table.add_column("Equal\nlength", justify="right", no_wrap=True)
    against = {one.supporter: one for one in board.against}
    for rating in board.ratings:
        table.add_row(*_row(rating, against.get(rating.supporter), is_reference=rating.supporter == results.reference))
    return table


def _row(rating: Rating, against: Against | None, *, is_reference: bool) -> list[Text]:
    interval = "-" if rating.low is None or rating.high is None else f"{rating.low:.0f}–{rating.high:.0f}"
    won = "reference" if is_reference else "-" if against is None else percent(against.rate)
    return [
        Text(printable(rating.supporter)),
        Text(f"{rating.rating:.0f}", style="bold"),
        Text(interval),
        Text(share(rating.ranks[0]) if rating.ranks else "-"),
        Text(f"{rating.elo:.0f}"),
        Text(f"{rating.wins}-{rating.ties}-{rating.losses}"),
        Text(won, style="dim" if is_reference else ""),
        Text("" if against is None else equal(against)),
    ]


def percent(rate: ClusteredMean) -> str:
    """Return a win rate with its error, "-" where there is none."""
    if rate.mean is None:
        return "-"
    return f"{100 * rate.mean:.1f} %" if rate.error is None else f"{100 * rate.mean:.1f} ± {100 * rate.error:.1f} %"


def equal(against: Against) -> str:
    """Return the win rate at equal length, with a star where it is extrapolated."""
    rate = against.at_equal_length
    mark = "*" if rate.extrapolated else ""
    return "-" if rate.rate is None else f"{100 * rate.rate:.0f} %{mark}"


def share(probability: float) -> str:
    """Return a probability that was drawn 2000 times: nothing is surer than that shows."""
    return "> 99 %" if probability > 0.99 else "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def _said_of(board: Board) -> Iterable[Text]:
    if board.n_judged:
        yield from _consistency(board.consistency)
    for reason, count in board.failed.items():
        yield Text(f"{count} pairs: {printable(reason)}", style="red")
    if NO_LABEL in board.failed:
        yield Text("A judge must follow instructions, and answer at once with one of the labels 0 to 4.", style="red")
    for one in board.against:
        if one.rate.error is None and one.rate.low is not None and one.rate.high is not None:
            within = f"{100 * one.rate.low:.1f} to {100 * one.rate.high:.1f} %"
            name = printable(one.supporter)
            yield Text(f"{name}: every card came out the same; win rate within {within}", style="dim")
        if one.at_equal_length.extrapolated and one.longer_by is not None:
            more = "longer" if one.longer_by > 0 else "shorter"
            yield Text(f"* {printable(one.supporter)}'s dialogues are all {more}: extrapolated", style="dim")


def _consistency(found: Consistency) -> Iterable[Text]:
    counts = ", ".join(f"{n} {name}" for name, n in found.counts.items())
    flipped = found.flip_rate.mean or 0.0
    many = flipped > MUCH_FLIPPED
    yield Text(
        f"Both orders: {counts} ({100 * flipped:.0f} %{ends(found.flip_rate)})",
        style="bold yellow" if many else "",
    )
    first = found.first_rate
    if first.mean is not None:
        is_biased = first.low is not None and first.high is not None and not first.low <= 0.5 <= first.high
        yield Text(
            f"First place preferred in {100 * first.mean:.0f} % of the readings with a preference{ends(first)}",
            style="yellow" if is_biased else "",
        )
    if many:
        yield Text("This judge contradicts itself when the order is turned; the ratings rest on the rest.", "yellow")


def ends(found: ClusteredMean) -> str:
    """Return the interval of a share in percent, behind a comma; nothing where there is none."""
    if found.low is None or found.high is None or found.low == found.high:
        return ""
    return f", {100 * found.low:.0f}–{100 * found.high:.0f}"


def _footer(results: ArenaResults) -> Iterable[Text]:
    if results.budget is not None:
        yield Text(f"\n{len(results.pairs)} of {results.n_possible} possible pairs, chosen to narrow the ratings most")
    elif len(results.pairs) < results.n_possible:
        yield Text(f"\n{len(results.pairs)} of {results.n_possible} possible pairs were judged")
    else:
        yield Text("")
    for reason, count in results.left_out.items():
        yield Text(f"left out: {counted(count, 'dialogue')}, {printable(reason)}")
    for line in results.forced:
        yield Text(f"compared by --force although the runs differ in {printable(line)}", style="bold yellow")
    if any(board.n_judged for board in results.boards):
        yield _legend(results)
    if results.unasked:
        named = "; ".join(f"{language.shown}, {dimension.shown}" for language, dimension in results.unasked)
        yield Text(f"The budget was spent before {named}: no pair of it was asked about.", style="bold yellow")
    for notice in results.notices:
        yield Text(printable(notice), style="bold yellow")
    yield Text(LIMITS, style="italic")


def _legend(results: ArenaResults) -> Text:
    return Text(
        "Rating: Bradley-Terry with ties, mean 1000, 400 points for odds of 10:1; prior: one imaginary comparison each."
        f" Best: probability of the first rank. Win rate: against {printable(results.reference)}, ties half."
        f" A pair is won when both orders agree, else tied. Rubric: {printable(results.settings.rubric)}."
    )
