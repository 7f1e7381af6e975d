"""`escl judge validate` and `escl judge calibrate`: the scorer beside people's ratings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson
from escl.cli.output import print_json, progress_console, results_console
from escl.core.dimension import Dimension
from escl.core.printable import printable
from escl.errors import ExitCode, RatingsError, UsageError

if TYPE_CHECKING:
    from escl.evaluation.preferences import PreferenceValidation
    from escl.evaluation.validation import JudgeValidation

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
    judge: Annotated[
        Path | None,
        typer.Option(
            help="For preferences: a judge's votes: a CSV file like people's, or arena --json. Default: the scores."
        ),
    ] = None,
    dimension: Annotated[
        Dimension, typer.Option(help="For preferences: whose score is higher in this dimension is preferred.")
    ] = Dimension.OVERALL,
    tie_within: Annotated[
        float, typer.Option(min=0, max=100, help="For preferences: points of 100 that still are a tie.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say how far the scorer agrees with people, and people with each other.

    HUMAN.csv has the columns dialogue, dimension, rater, label; or for preferences card, a, b, rater, preference. A
    dialogue is named by the code that `escl rate` writes, or by hand as card/supporter. docs/judge-validation.md says
    what each number can show.

    Example: escl judge validate ratings.csv --runs my-model.db other.db
    """
    from escl.core.ratings_file import read_ratings
    from escl.evaluation.judged_runs import judged_runs, own_keys
    from escl.evaluation.preferences import validate_preference_file
    from escl.evaluation.validation import validate_ratings
    from escl.report.validation import print_preferences, print_validation

    named = [*runs, *(more_runs or [])]
    file = read_ratings(human, own=own_keys(named))
    if not file.ratings and not file.own and not file.preferences:
        raise RatingsError(f"{human} holds no judgement")
    if judge is not None and not file.preferences:
        raise UsageError("--judge names votes about pairs", hint=f"{human} holds labels")
    judged = judged_runs(named, judging_id=judging)
    made: JudgeValidation | PreferenceValidation
    if not file.preferences:
        made = validate_ratings(file, judged, path=human, ignore_unknown=ignore_unknown)
        gaps = any(cell.validation.failed for cell in made.cells) or any(cell.validation.failed for cell in made.own)
        show = partial(print_validation, made=made)
    else:
        made = validate_preference_file(
            human, judged, judge=judge, dimension=dimension, tie_within=tie_within, ignore_unknown=ignore_unknown
        )
        gaps = any(cell.agreement.failed for cell in made.cells)
        show = partial(print_preferences, made=made)
    if as_json:
        print_json(made)
    else:
        show(results_console())
    raise typer.Exit(ExitCode.INCOMPLETE if gaps else ExitCode.OK)


def calibrate(
    human: HumanFile,
    more_runs: MoreRuns = None,
    *,
    runs: RunFiles,
    judging: JudgingNumber = None,
    ignore_unknown: IgnoreUnknown = False,
    seed: Annotated[int, typer.Option(help="Divides the cards: one half makes the map, the other checks it.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The calibration. Default: in the user's folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Map the scorer's scores to people's, where that makes them closer on cards that the map was not made from.

    Where it does not help, the scores stay as they are; where it helps nowhere, no file is written and the exit code
    says so. A report uses a calibration only when told to, and says so.

    Example: escl judge calibrate ratings.csv --runs my-model.db --out ann.json

    Then: escl report my-model.db --calibration ann.json
    """
    from escl.core.ratings_file import read_ratings
    from escl.evaluation.calibration import calibrate as made_of
    from escl.evaluation.calibration import default_path, write_calibration
    from escl.evaluation.judged_runs import judged_runs, own_keys
    from escl.evaluation.validation import judged_dialogues, known_ratings
    from escl.report.calibration import print_calibration
    from escl.shelf.manifest import sha256_of

    named = [*runs, *(more_runs or [])]
    file = read_ratings(human, own=own_keys(named))
    if not file.ratings:
        raise RatingsError(f"{human} holds no rating in the seven dimensions")
    judged = judged_runs(named, judging_id=judging)
    known = known_ratings(file, judged, path=human, ignore_unknown=ignore_unknown)
    made = made_of(
        judged_dialogues(known, judged),
        judged.by,
        ratings=human,
        ratings_sha256=sha256_of(human),
        runs=judged.files,
        seed=seed,
    )
    kept = out or default_path(made)
    if made.helping:
        write_calibration(made, kept)
    if as_json:
        print_json(made)
    else:
        print_calibration(results_console(), made)
    said = f"The calibration is kept in {kept}" if made.helping else "Refused: it helps nowhere, so none is kept"
    progress_console().print(printable(said), markup=False, soft_wrap=True)
    raise typer.Exit(ExitCode.OK if made.helping else ExitCode.GATE)
