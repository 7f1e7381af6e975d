"""`escl judge validate`: the scorer beside people's ratings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escl.cli.options import AsJson
from escl.cli.output import print_json, results_console
from escl.errors import ExitCode, RatingsError

HumanFile = Annotated[Path, typer.Argument(metavar="HUMAN.csv", help="People's judgements; `escl rate` makes one.")]
RunFiles = Annotated[list[Path], typer.Option("--runs", metavar="RUN...", help="The runs that they are about.")]
MoreRuns = Annotated[list[Path] | None, typer.Argument(metavar="[RUN]...", help="Further runs.")]
JudgingNumber = Annotated[
    int | None, typer.Option("--judging", min=1, help="Which judging of each run. Default: the latest used.")
]
IgnoreUnknown = Annotated[
    bool, typer.Option("--ignore-unknown", help="Leave out judgements of dialogues that are in none of the runs.")
]


def validate(
    human: HumanFile,
    more_runs: MoreRuns = None,
    *,
    runs: RunFiles,
    judging: JudgingNumber = None,
    ignore_unknown: IgnoreUnknown = False,
    as_json: AsJson = False,
) -> None:
    """Say how far the scorer agrees with people, and people with each other.

    HUMAN.csv has the columns dialogue, dimension, rater, label. A dialogue is named by the code that `escl rate`
    writes, or by hand as card/supporter. docs/judge-validation.md says what each number can show.

    Example: escl judge validate ratings.csv --runs my-model.db other.db
    """
    from escl.core.ratings_file import read_ratings
    from escl.evaluation.judged_runs import judged_runs
    from escl.evaluation.validation import validate_ratings
    from escl.report.validation import print_validation

    file = read_ratings(human)
    if not file.ratings:
        raise RatingsError(f"{human} holds no rating")
    judged = judged_runs([*runs, *(more_runs or [])], judging_id=judging)
    made = validate_ratings(file, judged, path=human, ignore_unknown=ignore_unknown)
    if as_json:
        print_json(made)
    else:
        print_validation(results_console(), made)
    gaps = any(cell.validation.failed for cell in made.cells)
    raise typer.Exit(ExitCode.INCOMPLETE if gaps else ExitCode.OK)
