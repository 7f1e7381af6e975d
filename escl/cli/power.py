"""`escl power`: how many cards a comparison needs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.compare import sides_named
from escl.cli.options import AsJson
from escl.cli.output import print_json, results_console
from escl.errors import UsageError

if TYPE_CHECKING:
    from escl.evaluation.pilot import PowerPlan

CARDS = (10, 20, 50, 100, 200, 331)
"""331 is the number of English cards of ESC-Eval."""
DIFFERENCES = (0.1, 0.2, 0.3, 0.5, 1.0)
MOST = 8


def power(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN[:SUPPORTER]]...", help="A pilot run with two supporters, or with one."),
    ] = None,
    *,
    difference: Annotated[
        list[float] | None, typer.Option(min=0.01, max=4, help="Difference in labels (0-4); may be given again.")
    ] = None,
    cards: Annotated[list[int] | None, typer.Option(min=2, help="Number of cards; may be given again.")] = None,
    sd: Annotated[
        float | None, typer.Option(min=0.01, max=2, help="Without a pilot: SD of a supporter's labels. Default: 0.8.")
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(min=-1, max=0.999, help="Of two supporters on the same cards, unless the pilot shows it. [0.5]"),
    ] = None,
    wanted: Annotated[
        float, typer.Option("--power", min=0.5, max=0.999, help="How likely a difference should be found.")
    ] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Say how many cards a difference needs, and what difference so many cards can see.

    Example: escl power pilot.db --difference 0.25
    Example: escl power --sd 0.8 --correlation 0.5
    """
    from escl.report.power import print_power

    asked = sorted(set(difference or DIFFERENCES)), sorted(set(cards or CARDS))
    if max(len(asked[0]), len(asked[1])) > MOST:
        raise UsageError(f"at most {MOST} differences and {MOST} numbers of cards fit a table", hint="name fewer")
    plan = _plan(runs or [], *asked, sd=sd, correlation=correlation, wanted=wanted)
    if as_json:
        print_json(plan)
    else:
        print_power(results_console(), plan)


def _plan(
    runs: list[str],
    differences: list[float],
    cards: list[int],
    *,
    sd: float | None,
    correlation: float | None,
    wanted: float,
) -> PowerPlan:
    from escl.evaluation.compare import pairing
    from escl.evaluation.pilot import plan_from_assumptions, plan_from_one, plan_from_pairing
    from escl.stats.power import ASSUMED_CORRELATION, ASSUMED_DEVIATION

    assumed = ASSUMED_CORRELATION if correlation is None else correlation
    if not runs:
        deviation = ASSUMED_DEVIATION if sd is None else sd
        return plan_from_assumptions(
            deviation=deviation, correlation=assumed, cards=cards, differences=differences, power=wanted
        )
    if sd is not None:
        raise UsageError("--sd is an assumption, and a pilot run shows it", hint="leave out one of them")
    with contextlib.ExitStack() as stack:
        sides = sides_named(runs, stack)
        if len(sides) == 1:
            return plan_from_one(sides[0], correlation=assumed, cards=cards, differences=differences, power=wanted)
        if correlation is not None or len(sides) > 2:
            said = "--correlation is an assumption, and two supporters show it"
            many = f"the pilot has {len(sides)} supporters"
            raise UsageError(said if len(sides) == 2 else many, hint="name one or two supporters as RUN:SUPPORTER")
        found = pairing(sides[1], sides[0], margin=1)
    return plan_from_pairing(found, cards=cards, differences=differences, power=wanted)
