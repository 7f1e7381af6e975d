"""`escl judge panel`: several scorers of the same dialogues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escl.cli.options import AsJson, Context, DeviceName, GpuLayers, Memory, NoTune, Parallel, RetryFailed, Threads
from escl.cli.output import print_json, results_console
from escl.errors import ExitCode, UsageError


def panel(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs that several scorers read, or will read.")],
    *,
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="Let this scorer read them too: any GGUF file, name or manifest. May be repeated."),
    ] = None,
    retry_failed: RetryFailed = False,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    no_tune: NoTune = False,
    as_json: AsJson = False,
) -> None:
    """Show how far the scorers of a run agree; --scorer adds one, which need not have adapters.

    Each scorer's readings stay in the run as a judging of its own: `escl report RUN --judging N` shows them.

    Example: escl judge panel my-model.db --scorer qwen2.5-7b-instruct-Q4_K_M.gguf
    """
    from escl.cli.judge import Side, read_with
    from escl.cli.planning import Wishes
    from escl.cli.work import load_model
    from escl.evaluation.panel import panel_of
    from escl.report.panel import print_panel
    from escl.shelf.manifest import ModelRole

    if len({path.resolve() for path in runs}) < len(runs):
        raise UsageError("a run is named twice", hint="name each run once")
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
    for model in [load_model(name, ModelRole.SCORER) for name in scorer or ()]:
        for path in runs:
            read_with(path, Side(model=model, kv_type=None), wishes, retry_failed=retry_failed)
    made = panel_of(runs)
    if as_json:
        print_json(made)
    else:
        print_panel(results_console(), made)
    raise typer.Exit(ExitCode.INCOMPLETE if any(each.failed for each in made.panelists) else ExitCode.OK)
