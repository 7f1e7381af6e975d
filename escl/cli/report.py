"""`escl report`: runs shown again, as a page, or as data."""

from __future__ import annotations

import contextlib
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
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--export",
            metavar="FORMAT DIR",
            help="Write the run into DIR instead. The format esc-eval: result/ and score/ as ESC-Eval has them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the results of runs again, write them as one page, or export them.

    Example: escl report my-model.db --html my-model.html

    Example: escl report my-model.db --by category

    Example: escl report my-model.db --export esc-eval exported
    """
    shown_cards = _how_many(transcripts)
    if html is not None:
        _write_page(runs, html, report_lang, judging=judging, force=force, transcripts=shown_cards)
        return
    if len(runs) > 1:
        raise UsageError(
            f"{len(runs)} runs are named; without --html one is shown at a time",
            hint="`escl compare` compares several in the terminal",
        )
    with contextlib.ExitStack() as stack:
        store = _read(runs[0], stack)
        if export is not None:
            _export(store, *export, judging_id=judging, as_json=as_json)
        elif by is not None:
            _divided(store, by, judging_id=judging, as_json=as_json)
        elif validity:
            _validity(store, as_json=as_json)
        elif loads:
            _loads(store, as_json=as_json)
        else:
            raise typer.Exit(_results(store, runs[0], judging_id=judging, as_json=as_json))


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


def _write_page(
    runs: list[Path], html: Path, language: Language, *, judging: int | None, force: bool, transcripts: int | None
) -> None:
    from datetime import UTC, datetime

    from escl.cli.output import progress_console
    from escl.core.printable import printable
    from escl.report.html.page import render_page
    from escl.report.html.subject import Choices, subject_of
    from escl.shelf.written import write_whole

    if judging is not None and len(runs) > 1:
        raise UsageError("--judging chooses in one run, and there are several", hint="report them apart")
    with contextlib.ExitStack() as stack:
        opened = [_opened(path, stack, judging=judging) for path in runs]
        subject = subject_of(opened, Choices(force=force, transcripts=transcripts))
        page = render_page(subject, language=language, made_utc=datetime.now(UTC).isoformat())
    write_whole(html, page.encode())
    progress_console().print(f"The report is in {printable(str(html))}", markup=False, soft_wrap=True)


def _opened(path: Path, stack: contextlib.ExitStack, *, judging: int | None) -> ReportedRun:
    from escl.report.html.subject import reported_run
    from escl.store.database import Database

    return reported_run(path, stack.enter_context(Database.reader(path)), judging_id=judging)


def _read(run: Path, stack: contextlib.ExitStack) -> RunStore:
    from escl.store.database import Database
    from escl.store.run import RunStore

    return RunStore.read(stack.enter_context(Database.reader(run)))


def _results(store: RunStore, run: Path, *, judging_id: int | None, as_json: bool) -> ExitCode:
    from escl.cli.work import show

    return show(store, run, interrupted=False, as_json=as_json, judging_id=judging_id)


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


def _export(store: RunStore, form: str, folder: Path, *, judging_id: int | None, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.core.printable import printable
    from escl.report.esc_eval import export_esc_eval

    if form != "esc-eval":
        raise UsageError(f"no export format {form}", hint="known: esc-eval")
    exported = export_esc_eval(store, folder, judging_id=judging_id)
    if as_json:
        print_json({"exported": exported})
        return
    for file in exported:
        left_out = f", {file.n_left_out} left out because they are not finished" if file.n_left_out else ""
        line = f"{file.path}: {file.n_dialogues} dialogues{left_out}"
        results_console().print(printable(line), markup=False, soft_wrap=True)
