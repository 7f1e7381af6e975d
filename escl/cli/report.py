"""`escl report`: runs shown again, as a page, or as data."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson, Margin
from escl.core.counted import counted
from escl.core.dimension import Language
from escl.core.division import Division
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.store.run import RunStore


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Files of runs, or score/*.json of ESC-Eval.")],
    *,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one page that needs nothing else: for reading and printing.")
    ] = None,
    report_lang: Annotated[Language, typer.Option("--report-lang", help="Language of the page.")] = Language.ENGLISH,
    transcripts: Annotated[
        str,
        typer.Option(metavar="N|all|none", help="How many cards have their dialogues on the page, evenly chosen."),
    ] = "12",
    margin: Margin = 0.2,
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

    Example: escl report score/llama3_en.json
    """
    named = {"html": None if html is None else str(html), "csv": csv, "markdown": markdown, "jsonl": jsonl}
    targets = {form: target for form, target in named.items() if target is not None}
    divided = [by, validity, loads, export]
    if all(path.suffix.lower() == ".json" for path in runs):
        _labels(runs, other=[*targets, *divided, metrics, published, calibration, judging], as_json=as_json)
        return
    beside = published or calibration is not None
    _refuse_what_goes_not_together(targets, divided=any(divided), beside=beside, arena=bool(arena))
    if targets:
        from escl.cli.report_files import PageWishes, write_files

        wishes = PageWishes(
            language=report_lang,
            transcripts=transcripts,
            arenas=arena or [],
            margin=margin,
            published=published,
            calibration=calibration,
            metrics=metrics or reference is not None or ratings is not None,
            reference=reference,
            ratings=ratings,
        )
        write_files(runs, targets, wishes, force=force, judging=judging)
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


def _refuse_what_goes_not_together(targets: dict[str, str], *, divided: bool, beside: bool, arena: bool) -> None:
    if beside and (divided or set(targets) - {"html"}):
        raise UsageError("--published and --calibration are about the scores in the terminal, on the page or as --json")
    if arena and "html" not in targets:
        raise UsageError("--arena puts an arena on the page, and there is none", hint="name the page with --html")


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


def _labels(files: list[Path], *, other: list[object], as_json: bool) -> None:
    """Print what stands in score files of ESC-Eval, which are no runs."""
    from escl.cli.output import print_json, results_console
    from escl.evaluation.label_files import labels_of
    from escl.report.label_files import print_labels

    if any(one is not None and one is not False for one in other):
        raise UsageError("score files hold labels only: they are shown in the terminal, or as --json")
    found = labels_of(files)
    if as_json:
        print_json({"labels": found})
    else:
        print_labels(results_console(), found)


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
    from escl.core.ratings_file import rated_labels
    from escl.evaluation.judged_runs import own_keys
    from escl.evaluation.text_metrics import text_metrics
    from escl.report.text_metrics import print_metrics
    from escl.store.upstream import read_upstream

    found = text_metrics(
        store,
        references=None if reference is None else read_upstream(reference).dialogues,
        ratings=None if ratings is None else rated_labels(ratings, own=own_keys([run])),
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
        line = f"{file.path}: {counted(file.n_dialogues, 'dialogue')}{left_out}"
        results_console().print(printable(line), markup=False, soft_wrap=True)
