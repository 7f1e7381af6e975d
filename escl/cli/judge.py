"""`escl judge fidelity`: does one scorer still judge like another?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.judge_panel import panel
from escl.cli.judge_people import calibrate, validate
from escl.cli.options import AsJson, Context, DeviceName, GpuLayers, Memory, NoTune, Parallel, RetryFailed, Threads
from escl.cli.output import print_json, progress_console, results_console
from escl.core.printable import printable
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.cli.planning import Wishes
    from escl.engine.wire import KVType
    from escl.evaluation.certificate import Certificate
    from escl.evaluation.observer import RunObserver
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore

judge_app = typer.Typer(name="judge", no_args_is_help=True)


class KVChoice(StrEnum):
    """How keys and values are stored."""

    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: the model, and how its keys and values must be stored; None leaves that to the plan."""

    model: Model
    kv_type: KVType | None


@judge_app.callback()
def judge() -> None:
    """Look at the scorer itself."""


@judge_app.command()
def fidelity(
    more_runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUN]...", help="Further runs.")] = None,
    *,
    scorer: Annotated[str, typer.Option(help="The scorer in question: name, manifest or GGUF file.")],
    against: Annotated[str, typer.Option(help="The reference, most often a larger quantization of the same model.")],
    runs: Annotated[list[Path], typer.Option("--runs", metavar="RUN...", help="Runs whose dialogues both read.")],
    kv: Annotated[KVChoice | None, typer.Option("--kv", help="KV of the scorer. Default: the plan's choice.")] = None,
    against_kv: Annotated[
        KVChoice | None, typer.Option("--against-kv", help="KV of the reference. Default: the plan's choice.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option(min=0.01, max=100, help="Points of 100 that a mean may shift and still count as the same."),
    ] = 1.0,
    retry_failed: RetryFailed = False,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    no_tune: NoTune = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The certificate. Default: with the others, where reports find it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let two scorers read the same dialogues, say how far they agree, and keep that as a certificate.

    Compares two quantizations, or one file with and without a quantized KV. What either has read already is used; the
    same command resumes. A GGUF file without a manifest takes the other one's adapters if it is the same model.

    Example: escl judge fidelity --scorer esc-rank --against internlm2-chat-7b-Q8_0.gguf --runs my-model.db
    """
    from escl.cli.planning import Wishes
    from escl.evaluation.certificate import default_path, write_certificate
    from escl.evaluation.fidelity import ReadRun, certify, common_protocol
    from escl.report.fidelity import print_certificate

    paths = [*runs, *(more_runs or [])]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is named twice", hint="name each run once")
    protocol = common_protocol(paths)
    tested, reference = _sides(scorer, against, kv=kv, against_kv=against_kv)
    wishes = Wishes(
        memory=memory,
        device=device,
        parallel=parallel,
        ctx=ctx,
        gpu_layers=gpu_layers,
        threads=threads,
        tune=not no_tune,
        named_only=True,
    )
    read = []
    for path in paths:
        ids = [read_with(path, side, wishes, retry_failed=retry_failed) for side in (tested, reference)]
        read.append(ReadRun(path=path, scorer_judging=ids[0], against_judging=ids[1]))
    certificate = certify(read, tested.model, reference.model, protocol=protocol, margin=margin)
    kept = out or default_path(certificate)
    write_certificate(certificate, kept)
    if as_json:
        print_json(certificate)
    else:
        print_certificate(results_console(), certificate)
    progress_console().print(f"The certificate is kept in {printable(str(kept))}", markup=False, soft_wrap=True)
    raise typer.Exit(_exit_code(certificate))


def _sides(scorer: str, against: str, *, kv: KVChoice | None, against_kv: KVChoice | None) -> tuple[Side, Side]:
    """Return both sides, with adapters lent to a bare file of the same model.

    Raises:
        UsageError: They are the same readings.
    """
    from escl.cli.work import load_model
    from escl.shelf.manifest import ModelRole

    one, other = (load_model(reference, ModelRole.SCORER) for reference in (scorer, against))
    one, other = _with_adapters(one, scorer, lender=other), _with_adapters(other, against, lender=one)
    tested = Side(model=one, kv_type=None if kv is None else kv.value)
    reference = Side(model=other, kv_type=None if against_kv is None else against_kv.value)
    is_same = (one.name, one.sha256, one.adapters) == (other.name, other.sha256, other.adapters)
    if is_same and tested.kv_type == reference.kv_type:
        raise UsageError(
            "both are the same file, read the same way: there is nothing to compare",
            hint="--kv q8_0 reads with a quantized KV; --kv f16 reads again, and so shows what batching alone changes",
        )
    return tested, reference


def _with_adapters(model: Model, reference: str, *, lender: Model) -> Model:
    """Return the model with the lender's adapters if it is a bare file of the same model, and say so."""
    import msgspec

    from escl.evaluation.fidelity import is_same_model

    if not reference.endswith(".gguf") or model.adapters or not lender.adapters:
        return model
    if not is_same_model(model.path, lender.path):
        line = f"note: {model.name} has no adapters, and is another model than {lender.name}, so it reads without"
        progress_console().print(printable(line), markup=False, soft_wrap=True, style="yellow")
        return model
    line = f"{model.name} takes the {len(lender.adapters)} adapters of {lender.name}"
    progress_console().print(printable(line), markup=False, soft_wrap=True)
    return msgspec.structs.replace(model, adapters=lender.adapters)


def read_with(path: Path, side: Side, wishes: Wishes, *, retry_failed: bool) -> int:
    """Let one side read what it has not read yet of a run; return the id of its judging.

    Raises:
        Exit: The user stopped it.
    """
    from escl.cli.work import open_run
    from escl.evaluation.run import judging_settings
    from escl.evaluation.score import unread
    from escl.store.database import Database
    from escl.store.run import RunStore

    with Database.reader(path) as database:
        earlier = RunStore.read(database)
        settings, words = earlier.settings, earlier.protocol
    store = open_run(path, settings, words)
    try:
        judging_id = store.add_judging(judging_settings(store, side.model, kv_type=side.kv_type), is_shown=False)
        if retry_failed:
            store.retry_failed(judging_id=judging_id)
        complete = [dialogue for dialogue in store.dialogues() if dialogue.state == "complete"]
        if unread(store, judging_id, complete):
            _read_on(store, side, replace(wishes, kv_type=side.kv_type), judging_id)
        else:
            store.finish("finished")
    finally:
        store.close()
    return judging_id


def _read_on(store: RunStore, side: Side, wishes: Wishes, judging_id: int) -> None:
    from escl.cli.planning import explaining_out_of_memory, plan_scoring
    from escl.cli.work import say_plan, work
    from escl.evaluation.engines import Engines
    from escl.evaluation.run import run_scoring

    try:
        plan = plan_scoring(side.model, store, wishes)
        say_plan(plan, [("scorer", side.model)])
    except BaseException as error:
        store.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "error")
        raise

    async def task(store: RunStore, observer: RunObserver, stop: asyncio.Event) -> None:
        async with Engines(plan, store, observer=observer, stop=stop) as engines:
            await run_scoring(side.model, store, engines=engines, observer=observer, stop=stop, judging_id=judging_id)

    with explaining_out_of_memory(plan, wishes, lambda less: plan_scoring(side.model, store, less)):
        if work(store, task):
            progress_console().print("Stopped; every reading so far is kept. The same command goes on.", markup=False)
            raise typer.Exit(ExitCode.INTERRUPTED)


def _exit_code(certificate: Certificate) -> ExitCode:
    has_gaps = any(cell.agreement.failed for cell in certificate.cells)
    return ExitCode.INCOMPLETE if has_gaps else ExitCode.OK


judge_app.command()(validate)
judge_app.command()(calibrate)
judge_app.command()(panel)
