"""`escl rate`: a person rates the dialogues of runs in the terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.output import progress_console, results_console
from escl.core.dimension import Dimension
from escl.core.printable import printable
from escl.errors import UsageError

if TYPE_CHECKING:
    from escl.evaluation.rating import Pair, Unrated


def rate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs whose dialogues are rated.")],
    *,
    rater: Annotated[str, typer.Option(help="Who rates: a short name without blanks.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The CSV file. Default: ratings-RATER.csv or pairs-RATER.csv.")
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Ask which of two dialogues on one card is better.")] = False,
    dimension: Annotated[
        list[str] | None,
        typer.Option(help="Ask only for these dimensions, also your own by their keys. Default: the seven."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Dialogues or pairs at most.")] = None,
    number: Annotated[
        int, typer.Option("--pass", min=1, max=99, help="2 rates everything a second time: do you agree with yourself?")
    ] = 1,
) -> None:
    """Rate dialogues one by one, blind to whose they are: one key for each label.

    Every answer is on the disk before the next question. The same command goes on where it was left.

    Example: escl rate my-model.db --rater ann

    Example: escl rate my-model.db other.db --rater ann --pairs
    """
    from contextlib import ExitStack

    from escl.cli.keys import terminal_keys
    from escl.cli.rating_desk import judge_pairs, rate_labels
    from escl.core.strict import identifier
    from escl.evaluation.rating import dialogues_to_rate, own_dimensions, pairs_to_judge, shown
    from escl.evaluation.rating_desk import Desk, label_questions, preference_questions
    from escl.evaluation.rating_sheet import label_sheet, preference_sheet, sheet_name
    from escl.store.database import Database
    from escl.store.run import RunStore

    try:
        identifier(rater)
    except ValueError as error:
        raise UsageError(f"--rater {error}") from error
    if pairs and dimension:
        raise UsageError("--pairs asks which dialogue is better as a whole", hint="leave out --dimension")
    path = out or Path(sheet_name(rater, pairs=pairs))
    console = results_console()
    desk: Desk[Unrated] | Desk[Pair]
    with terminal_keys() as keys, ExitStack() as opened:
        stores = [RunStore.read(opened.enter_context(Database.reader(run))) for run in runs]
        read = partial(shown, stores)
        if pairs:
            asked = pairs_to_judge(stores, rater=rater, limit=limit)
            sheet = preference_sheet(path)
            desk = Desk(preference_questions(sheet.before, asked, rater=rater, number=number), sheet)
            judge_pairs(console, keys, desk, read)
        else:
            dialogues = dialogues_to_rate(stores, rater=rater, limit=limit)
            named = list(dict.fromkeys(dimension or Dimension))
            own = own_dimensions(stores, [name for name in named if name not in set(Dimension)])
            seven = [each for each in Dimension if each in named]
            sheet = label_sheet(path)
            questions = label_questions(sheet.before, dialogues, dimensions=seven, own=own, rater=rater, number=number)
            desk = Desk(questions, sheet)
            rate_labels(console, keys, desk, read)
    rest = "nothing is left to rate" if desk.is_done else "the same command goes on"
    line = f"{desk.n_answered} judgements written to {path}; {rest}"
    progress_console().print(printable(line), markup=False, soft_wrap=True)
