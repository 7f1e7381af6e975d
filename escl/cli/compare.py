"""`escl compare`: which supporter is better, by how much, how sure; and a gate for CI and change control."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson, Margin
from escl.cli.output import print_json, progress_console, results_console
from escl.core.dimension import LABEL_TO_PERCENT, Dimension
from escl.core.printable import printable
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.evaluation.compare import GateCheck
    from escl.evaluation.sides import Side


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN[:SUPPORTER]...", help="Runs, or one supporter of a run.")],
    *,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN[:SUPPORTER]",
            help="A gate: exit code 8 unless every supporter is shown to be not worse than this, or than its namesake.",
        ),
    ] = None,
    margin: Margin = 0.2,
    dimension: Annotated[
        list[str] | None,
        typer.Option(help="Compare in this dimension only, also one of your own by its key; may be given again."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs with other cards, seeker, protocol, rounds or scorer too.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the gate's outcome as JUnit XML.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare supporters card by card: difference, interval, p, effect, and a verdict in words.

    All others are compared with the first supporter named, or with the baseline. Crisis cards stay apart.

    Example: escl compare my-model.db
    Example: escl compare new.db --baseline old.db --margin 0.2 --junit gate.xml
    """
    from escl.evaluation.compare import crisis_cards, gate_checks, pairing
    from escl.report.compare import print_pairings
    from escl.report.junit import write_junit

    if junit is not None and baseline is None:
        raise UsageError("--junit writes a gate's outcome, and there is no gate", hint="name a --baseline")
    with contextlib.ExitStack() as stack:
        sides = sides_named(runs, stack)
        dimensions, own = _chosen(dimension or [], sides)
        if baseline is not None and not dimensions:
            raise UsageError("a gate asks about the seven dimensions, and none is named", hint="name one beside yours")
        pairs = _against_first(sides) if baseline is None else _against_baseline(sides, sides_named([baseline], stack))
        found = [
            pairing(side, against, margin=margin * LABEL_TO_PERCENT, dimensions=dimensions, own=own, force=force)
            for side, against in pairs
        ]
    checks = [] if baseline is None else [check for one in found for check in gate_checks(one)]
    n_crisis = crisis_cards(found)
    if as_json:
        print_json({"pairings": found, "gate": None if baseline is None else _gate(checks, n_crisis=n_crisis)})
    else:
        print_pairings(results_console(), found)
    if baseline is not None:
        outcome = _judge(checks, n_crisis=n_crisis, as_json=as_json)
        if junit is not None:
            write_junit(junit, checks, against=baseline, margin=margin * LABEL_TO_PERCENT)
            progress_console().print(f"The gate's outcome is in {printable(str(junit))}", markup=False, soft_wrap=True)
        raise typer.Exit(outcome)


def _chosen(named: list[str], sides: list[Side]) -> tuple[list[Dimension], list[str] | None]:
    """Return which of the seven dimensions to compare in, and which of the user's own by their keys; None is all.

    Raises:
        UsageError: There is no such dimension.
    """
    from escl.core.strict import nearest

    if not named:
        return list(Dimension), None
    known = dict.fromkeys([*Dimension, *(each.dimension.key for side in sides for each in side.own)])
    for name in named:
        if name not in known:
            raise UsageError(f"no dimension {name}{nearest(name, known)}", hint=f"there are {', '.join(known)}")
    chosen = list(dict.fromkeys(named))
    return [each for each in Dimension if each in chosen], [name for name in chosen if name not in set(Dimension)]


def sides_named(references: list[str], stack: contextlib.ExitStack) -> list[Side]:
    """Return the supporters that the references name, each once.

    Raises:
        StorageError: A file holds no run.
        UsageError: A run has no such supporter, or was not scored.
    """
    from escl.evaluation.sides import sides_of
    from escl.store.database import Database
    from escl.store.run import RunStore

    found: dict[tuple[Path, str], Side] = {}
    for reference in references:
        path, name = split_reference(reference)
        sides = sides_of(path, RunStore.read(stack.enter_context(Database.reader(path))))
        known = [side.supporter for side in sides]
        if name is not None and name not in known:
            raise UsageError(f"{path} has no supporter {name}", hint=f"it has {', '.join(known)}")
        for side in sides:
            if name in (None, side.supporter):
                found.setdefault((path.resolve(), side.supporter), side)
    return list(found.values())


def split_reference(reference: str) -> tuple[Path, str | None]:
    """Return the run and the supporter that "RUN:SUPPORTER" names; either may hold colons itself."""
    at = len(reference)
    while at > 0:
        path = Path(reference[:at])
        if path.is_file():
            return path, reference[at + 1 :] or None
        at = reference.rfind(":", 0, at)
    return Path(reference), None


def _against_first(sides: list[Side]) -> list[tuple[Side, Side]]:
    if len(sides) < 2:
        named = f"{sides[0].path} has one supporter, {sides[0].supporter}" if sides else "no supporter is named"
        raise UsageError(f"{named}: there is nothing to compare it with", hint="name another run beside it")
    return [(side, sides[0]) for side in sides[1:]]


def _against_baseline(sides: list[Side], baselines: list[Side]) -> list[tuple[Side, Side]]:
    """Return each supporter with the one it must not be worse than: the only one, or the one of the same name.

    Raises:
        UsageError: There are several, and none of that name.
    """
    pairs = []
    for side in sides:
        against = baselines[0] if len(baselines) == 1 else None
        against = against or next((one for one in baselines if one.supporter == side.supporter), None)
        if against is None:
            names = ", ".join(one.supporter for one in baselines)
            raise UsageError(
                f"the baseline has no supporter {side.supporter}",
                hint=f"name the one to compare with, as {baselines[0].path}:SUPPORTER; it has {names}",
            )
        if (side.path.resolve(), side.supporter) != (against.path.resolve(), against.supporter):
            pairs.append((side, against))
    if not pairs:
        raise UsageError("the baseline is all there is: there is nothing to compare with it", hint="name another run")
    return pairs


def _gate(checks: list[GateCheck], *, n_crisis: int) -> dict[str, object]:
    from escl.report.compare import n_unmoved
    from escl.stats.noninferiority import all_shown

    passed = all_shown([check.outcome for check in checks])
    return {
        "passed": passed,
        "passed_without_resolution": n_unmoved(checks),
        "crisis_cards_left_out": n_crisis,
        "checks": checks,
    }


def _judge(checks: list[GateCheck], *, n_crisis: int, as_json: bool) -> ExitCode:
    """Print a gate's outcome; return the exit code."""
    from escl.report.compare import print_gate
    from escl.stats.noninferiority import all_shown

    passed = all_shown([check.outcome for check in checks])
    if not as_json:
        print_gate(results_console(), checks, passed=passed, n_crisis=n_crisis)
    return ExitCode.OK if passed else ExitCode.GATE
