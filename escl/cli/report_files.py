"""`escl report`, the part that writes: runs as a page, as tables, as data, each to its file or to stdout."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from escl.core.dimension import Language
from escl.errors import UsageError

if TYPE_CHECKING:
    from escl.report.html.subject import Choices, ReportedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWishes:
    """What the user decided about the page alone.

    Attributes:
        transcripts: How many cards have their dialogues there, as given: a number, all or none.
        margin: Labels (0-4) that count as no difference.
        calibration: A map of the scores to people's that is applied.
        reference: Dialogues for BLEU and ROUGE-L; only with `metrics`.
        ratings: People's labels for the metrics; only with `metrics`.
    """

    language: Language
    transcripts: str
    arenas: list[Path]
    margin: float
    published: bool
    calibration: Path | None
    metrics: bool
    reference: Path | None
    ratings: Path | None


def write_files(
    runs: list[Path], targets: dict[str, str], wishes: PageWishes, *, force: bool, judging: int | None
) -> None:
    """Write the runs in every form that was asked for, each to its file, or to stdout for "-".

    Args:
        runs: Their files.
        targets: Where to, by form: html, csv, markdown, jsonl.
        wishes: About the page.
        force: Put runs together that are not comparable.
        judging: Which judging of the one run.
    """
    from escl.report.html.subject import incomparable

    if judging is not None and len(runs) > 1:
        raise UsageError("--judging chooses in one run, and there are several", hint="report them apart")
    if sum(target == "-" for target in targets.values()) > 1:
        raise UsageError("two forms cannot both go to stdout", hint="name a file for one of them")
    choices = _choices(wishes, runs, force=force)
    with contextlib.ExitStack() as stack:
        opened = [_opened(path, stack, judging=judging, choices=choices) for path in runs]
        for line in incomparable(opened, force=force):
            _say(f"FORCED although not comparable: {line}")
        for form, target in targets.items():
            content = _page(opened, wishes, choices) if form == "html" else _text(opened, form)
            _put(content, target)


def _choices(wishes: PageWishes, runs: list[Path], *, force: bool) -> Choices:
    from escl.core.dimension import LABEL_TO_PERCENT
    from escl.core.ratings_file import rated_labels
    from escl.evaluation.calibration import read_calibration
    from escl.evaluation.judged_runs import own_keys
    from escl.report.html.subject import Choices
    from escl.store.upstream import read_upstream

    named = wishes.calibration
    return Choices(
        force=force,
        margin=wishes.margin * LABEL_TO_PERCENT,
        transcripts=_how_many(wishes.transcripts),
        published=wishes.published,
        calibration=None if named is None else (read_calibration(named), named.name),
        metrics=wishes.metrics,
        references=None if wishes.reference is None else read_upstream(wishes.reference).dialogues,
        ratings=None if wishes.ratings is None else rated_labels(wishes.ratings, own=own_keys(runs)),
    )


def _how_many(wanted: str) -> int | None:
    """Return how many cards `--transcripts` asks for; None for all.

    Raises:
        UsageError: It is neither a number nor a word for one.
    """
    if wanted == "all":
        return None
    if wanted == "none":
        return 0
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 7:
        return int(wanted)
    raise UsageError(f"--transcripts {wanted} is no number", hint="give a number, all or none")


def _page(runs: list[ReportedRun], wishes: PageWishes, choices: Choices) -> str:
    from datetime import UTC, datetime

    from escl.report.html.arena_file import read_arena
    from escl.report.html.page import render_page
    from escl.report.html.subject import subject_of

    subject = subject_of(runs, choices, arenas=[read_arena(path) for path in wishes.arenas])
    return render_page(subject, language=wishes.language, made_utc=datetime.now(UTC).isoformat())


def _text(runs: list[ReportedRun], form: str) -> str:
    """Return the runs as "csv", "markdown" or "jsonl"."""
    import msgspec

    from escl.core.printable import printable_json
    from escl.report.dialogue_lines import dialogue_lines
    from escl.report.html.subject import incomparable
    from escl.report.result_table import as_csv, as_markdown, result_rows
    from escl.report.terminal import LIMITS

    if form == "jsonl":
        lines = [line for run in runs for line in dialogue_lines(run.store, run.path, judging_id=run.judging_id)]
        return "".join(printable_json(msgspec.json.encode(line).decode()) + "\n" for line in lines)
    rows = [row for run in runs for row in result_rows(run.store, run.path, judging_id=run.judging_id)]
    if form == "csv":
        return as_csv(rows)
    said = [f"Forced although not comparable: {line}" for line in incomparable(runs, force=True)]
    said += dict.fromkeys(notice for run in runs for notice in run.results.notices)
    return as_markdown(rows, notices=[*said, LIMITS])


def _put(content: str, target: str) -> None:
    import sys

    from escl.shelf.written import write_whole

    if target == "-":
        sys.stdout.buffer.write(content.encode())
        return
    write_whole(Path(target), content.encode())
    _say(f"Written: {target}")


def _say(line: str) -> None:
    from escl.cli.output import progress_console
    from escl.core.printable import printable

    progress_console().print(printable(line), markup=False, soft_wrap=True)


def _opened(path: Path, stack: contextlib.ExitStack, *, judging: int | None, choices: Choices) -> ReportedRun:
    from escl.report.html.subject import reported_run
    from escl.store.database import Database

    database = stack.enter_context(Database.reader(path))
    return reported_run(path, database, judging_id=judging, calibration=choices.calibration)
