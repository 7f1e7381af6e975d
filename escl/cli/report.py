"""`escl report`: runs shown again, as a page, or as data."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson
from escl.core.dimension import Language
from escl.core.division import Division
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.report.html.subject import ReportedRun
    from escl.store.run import RunStore


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Files of runs.")],
    *,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one page that needs nothing else: for reading and printing.")
    ] = None,
    report_lang: Annotated[Language, typer.Option("--report-lang", help="Language of the page.")] = Language.ENGLISH,
    transcripts: Annotated[
        str,
        typer.Option(metavar="N|all|none", help="How many cards have their dialogues on the page, evenly chosen."),
    ] = "12",
    arena: Annotated[
        list[Path] | None,
        typer.Option("--arena", help="Put an arena on the page: what `escl arena --json` printed. May be given again."),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(
            "--csv",
            metavar="FILE|-",
            help="Write the scores as CSV. Text that would act as a formula gets an apostrophe.",
        ),
    ] = None,
    markdown: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE|-", help="Write the scores as Markdown tables.")
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(
            "--jsonl",
            metavar="FILE|-",
            help="Write the dialogues, one JSON object a line with turns and labels.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put runs together that are not comparable; the page says so.")
    ] = False,
    judging: Annotated[
        int | None,
        typer.Option(min=1, help="Which judging to show, 1 for the first. Default: the latest used."),
    ] = None,
    loads: Annotated[
        bool, typer.Option("--loads", help="Show which models were in memory when, with seconds and bytes.")
    ] = False,
    by: Annotated[
        Division | None, typer.Option("--by", help="Divide the scores by this; round: how much was said when.")
    ] = None,
    validity: Annotated[
        bool, typer.Option("--validity", help="Show in which dialogues the seeker fell out of its role, and how.")
    ] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Show automatic text metrics, and how they go with the labels.")
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="With --metrics: dialogues as ESC-Eval writes them, keyed by card, for BLEU and ROUGE-L.",
        ),
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option("--ratings", help="With --metrics: people's labels (CSV) instead of the scorer's.")
    ] = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--export",
            metavar="FORMAT DIR",
            help="Write the run into DIR. esc-eval: result/ and score/ as ESC-Eval has them. inspect: logs of Inspect.",
        ),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Show the paper's leaderboard beside the run, and what differs.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Show the scores as `escl judge calibrate` mapped them to people's; the report says so."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the results of runs again, write them as one page, or export them.

    Example: escl report my-model.db --html my-model.html

    Example: escl report my-model.db --by category

    Example: escl report one.db other.db --csv scores.csv

    Example: escl report my-model.db --export esc-eval exported
    """
    written = {"html": None if html is None else str(html), "csv": csv, "markdown": markdown, "jsonl": jsonl}
    if (published or calibration) and any([*written.values(), export, by, validity, loads]):
        raise UsageError("--published and --calibration are about the scores in the terminal or as --json")
    if arena and html is None:
        raise UsageError("--arena puts an arena on the page, and there is none", hint="name the page with --html")
    if any(target is not None for target in written.values()):
        targets = {form: target for form, target in written.items() if target is not None}
        page = _Page(language=report_lang, transcripts=_how_many(transcripts), arenas=arena or [])
        _write(runs, targets, page, force=force, judging=judging)
        return
    if len(runs) > 1:
        raise UsageError(
            f"{len(runs)} runs are named; one is shown at a time",
            hint="--html, --csv, --markdown and --jsonl take several; `escl compare` compares them in the terminal",
        )
    with contextlib.ExitStack() as stack:
        store = _read(runs[0], stack)
        if export is not None:
            _export(store, runs[0], *export, judging_id=judging, as_json=as_json)
        elif by is not None:
            _divided(store, by, judging_id=judging, as_json=as_json)
        elif validity:
            _validity(store, as_json=as_json)
        elif metrics:
            _metrics(store, runs[0], reference, ratings, judging_id=judging, as_json=as_json)
        elif loads:
            _loads(store, as_json=as_json)
        else:
            wanted = Wanted(judging=judging, published=published, calibration=calibration, as_json=as_json)
            raise typer.Exit(_results(store, runs[0], wanted))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What the user decided about the page alone."""

    language: Language
    transcripts: int | None
    arenas: list[Path]


def _write(runs: list[Path], targets: dict[str, str], page: _Page, *, force: bool, judging: int | None) -> None:
    """Write the runs in every form that was asked for, each to its file, or to stdout for "-"."""
    from escl.report.html.subject import incomparable

    if judging is not None and len(runs) > 1:
        raise UsageError("--judging chooses in one run, and there are several", hint="report them apart")
    if sum(target == "-" for target in targets.values()) > 1:
        raise UsageError("two forms cannot both go to stdout", hint="name a file for one of them")
    with contextlib.ExitStack() as stack:
        opened = [_opened(path, stack, judging=judging) for path in runs]
        for line in incomparable(opened, force=force):
            _say(f"FORCED although not comparable: {line}")
        for form, target in targets.items():
            content = _page(opened, page, force=force) if form == "html" else _text(opened, form)
            _put(content, target)


def _page(runs: list[ReportedRun], wanted: _Page, *, force: bool) -> str:
    from datetime import UTC, datetime

    from escl.report.html.arena_file import read_arena
    from escl.report.html.page import render_page
    from escl.report.html.subject import Choices, subject_of

    arenas = [read_arena(path) for path in wanted.arenas]
    subject = subject_of(runs, Choices(force=force, transcripts=wanted.transcripts), arenas=arenas)
    return render_page(subject, language=wanted.language, made_utc=datetime.now(UTC).isoformat())


def _text(runs: list[ReportedRun], form: str) -> str:
    """Return the runs as "csv", "markdown" or "jsonl"."""
    import msgspec

    from escl.report.dialogue_lines import dialogue_lines
    from escl.report.html.subject import incomparable
    from escl.report.result_table import as_csv, as_markdown, result_rows
    from escl.report.terminal import LIMITS

    if form == "jsonl":
        lines = [line for run in runs for line in dialogue_lines(run.store, run.path, judging_id=run.judging_id)]
        return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)
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


def _opened(path: Path, stack: contextlib.ExitStack, *, judging: int | None) -> ReportedRun:
    from escl.report.html.subject import reported_run
    from escl.store.database import Database

    return reported_run(path, stack.enter_context(Database.reader(path)), judging_id=judging)


def _read(run: Path, stack: contextlib.ExitStack) -> RunStore:
    from escl.store.database import Database
    from escl.store.run import RunStore

    return RunStore.read(stack.enter_context(Database.reader(run)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the scores of a run are shown."""

    judging: int | None
    published: bool
    calibration: Path | None
    as_json: bool


def _results(store: RunStore, run: Path, wanted: Wanted) -> ExitCode:
    from escl.cli.work import show
    from escl.evaluation.calibration import calibrated_results, read_calibration
    from escl.evaluation.published import published_beside
    from escl.evaluation.results import results_of

    if wanted.calibration is None:
        results = results_of(store, judging_id=wanted.judging)
    else:
        made, file = read_calibration(wanted.calibration), wanted.calibration.name
        results = calibrated_results(store, made, file=file, judging_id=wanted.judging)
    return show(
        store,
        run,
        interrupted=False,
        as_json=wanted.as_json,
        judging_id=wanted.judging,
        results=results,
        published=published_beside(results, store) if wanted.published else None,
    )


def _loads(store: RunStore, *, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.report.loads import print_loads

    if as_json:
        print_json({"loads": store.loads()})
    else:
        print_loads(results_console(), store.loads())


def _divided(store: RunStore, division: Division, *, judging_id: int | None, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.evaluation.breakdown import slices_of
    from escl.report.breakdown import print_rounds, print_slices

    if division is Division.ROUND:
        rounds = store.rounds()
        if as_json:
            print_json({"by": division, "rounds": rounds})
        else:
            print_rounds(results_console(), rounds)
        return
    slices = slices_of(store, division, judging_id=judging_id)
    if as_json:
        print_json({"by": division, "slices": slices})
    else:
        print_slices(results_console(), slices, division=division)


def _validity(store: RunStore, *, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.evaluation.validity import validity_of
    from escl.report.validity import print_validity

    found = validity_of(store)
    if as_json:
        print_json({"validity": found})
    else:
        print_validity(results_console(), found)


def _metrics(
    store: RunStore,
    run: Path,
    reference: Path | None,
    ratings: Path | None,
    *,
    judging_id: int | None,
    as_json: bool,
) -> None:
    from escl.cli.output import print_json, results_console
    from escl.core.ratings_file import read_ratings
    from escl.evaluation.text_metrics import text_metrics
    from escl.report.text_metrics import print_metrics
    from escl.store.upstream import read_upstream

    given = None if ratings is None else read_ratings(ratings).ratings
    if given is not None and not given:
        raise UsageError(f"{ratings} holds no labels", hint="its columns are dialogue, dimension, rater, label")
    found = text_metrics(
        store,
        references=None if reference is None else read_upstream(reference).dialogues,
        ratings=given,
        path=run,
        judging_id=judging_id,
    )
    if as_json:
        print_json({"metrics": found})
    else:
        print_metrics(results_console(), found)


def _export(store: RunStore, run: Path, form: str, folder: Path, *, judging_id: int | None, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.core.printable import printable
    from escl.report.esc_eval import export_esc_eval
    from escl.report.inspect_log import export_inspect

    if form == "esc-eval":
        exported = export_esc_eval(store, folder, judging_id=judging_id)
    elif form == "inspect":
        exported = export_inspect(store, run, folder, judging_id=judging_id)
    else:
        raise UsageError(f"no export format {form}", hint="known: esc-eval, inspect")
    if as_json:
        print_json({"exported": exported})
        return
    for file in exported:
        left_out = f", {file.n_left_out} left out because they are not complete" if file.n_left_out else ""
        line = f"{file.path}: {file.n_dialogues} dialogues{left_out}"
        results_console().print(printable(line), markup=False, soft_wrap=True)
