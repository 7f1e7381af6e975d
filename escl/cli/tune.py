"""`escl tune`: which settings make a model file fastest on this machine, measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson, DeviceName
from escl.cli.output import print_json, progress_console, results_console
from escl.core.printable import printable
from escl.errors import GGUFError, ManifestError

if TYPE_CHECKING:
    from rich.table import Table

    from escl.memory.devices import Hardware
    from escl.memory.tuning_store import EngineSettings, Trial, Tuned
    from escl.shelf.manifest import Model


def tune(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="GGUF file, manifest (.toml) or name on the shelf.")
    ],
    *,
    again: Annotated[bool, typer.Option("--again", help="Measure even what was measured before.")] = False,
    seconds: Annotated[float, typer.Option(min=2, help="Time for each file.")] = 20.0,
    device: DeviceName = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast a model works here, by setting, and keep the best settings for later runs.

    A file that stands beside others of the same name in other quantizations is measured together with them: a scorer
    mostly reads and a seeker mostly writes, so the best file may differ. All layers are on the device, or none.

    Example: escl tune esc-role esc-rank
    """
    from escl.memory.devices import probe_hardware

    hardware, tunings = probe_hardware(), {}
    for reference in models:
        for model in _files_of(reference):
            tunings[str(model.path)] = _of_file(model, hardware, again=again, seconds=seconds, device=device)
    if as_json:
        print_json(tunings)
        return
    console = results_console()
    for path, tuned in tunings.items():
        console.print(f"\n{printable(Path(path).name)}", style="bold", markup=False)
        console.print(_trials(tuned.trials))
        console.print(_chosen(tuned), markup=False, soft_wrap=True)
    if len(tunings) > 1:
        console.print(_files(tunings))


def _files_of(reference: str) -> Iterator[Model]:
    """Yield the model and its other quantizations; what is broken among those is passed over with a note."""
    from escl.cli.work import load_model
    from escl.memory.choices import other_quantizations
    from escl.shelf.manifest import find_model

    model = load_model(reference)
    yield model
    for path in other_quantizations(model.path):
        try:
            yield find_model(str(path))
        except (GGUFError, ManifestError) as error:
            progress_console().print(f"note: {printable(error.message)}", markup=False, soft_wrap=True)


def _of_file(model: Model, hardware: Hardware, *, again: bool, seconds: float, device: str | None) -> Tuned:
    from escl.memory.devices import choose_device
    from escl.memory.tune import stored_tuning
    from escl.memory.tune import tune as measure

    console = progress_console()

    def note(line: str) -> None:
        console.print(f"note: {printable(line)}", markup=False, soft_wrap=True)

    chosen = choose_device(hardware, device)
    where = None if chosen is None else chosen.name
    known = None if again else stored_tuning(model.sha256, hardware=hardware, device=where, on_note=note)
    if known is not None:
        console.print(f"{printable(model.name)}: measured {known.measured_utc}; --again measures anew", markup=False)
        return known
    console.print(f"{printable(model.name)}: measuring, {seconds:.0f} s at most", markup=False)
    return measure(
        model.path,
        model.sha256,
        hardware=hardware,
        device=where,
        at_most_s=seconds,
        adapter=next((path for path, _ in model.adapters.values()), None),
        on_note=note,
    )


def _trials(trials: tuple[Trial, ...]) -> Table:
    from rich.table import Table

    table = Table("weights", "ubatch", "threads", "attention", "prompt", "side by side", "prefill t/s", "decode t/s")
    for column in table.columns[1:]:
        column.justify = "right"
    for trial in trials:
        if trial.failed is not None:
            table.add_row(*_words(trial.settings, trial.threads), "", "", printable(trial.failed)[:40], "")
            continue
        table.add_row(
            *_words(trial.settings, trial.threads),
            str(trial.prompt_tokens),
            str(trial.sequences),
            _rate(trial.prefill_tps),
            _rate(trial.decode_tps),
        )
    return table


def _words(settings: EngineSettings, threads: int) -> tuple[str, str, str, str]:
    attention = {None: "auto", True: "flash", False: "plain"}[settings.flash_attention]
    return "repacked" if settings.repack else "as is", str(settings.n_ubatch), str(threads), attention


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _chosen(tuned: Tuned) -> str:
    lines = []
    for purpose, settings, rates in (
        ("dialogue", tuned.settings, tuned.rates),
        ("labels", tuned.label_settings, tuned.label_rates),
    ):
        weights, n_ubatch, _, attention = _words(settings, 0)
        side_by_side = ", ".join(f"{_rate(rate)} with {count}" for count, rate in sorted(rates.decode_tps.items()))
        lines.append(
            f"for {purpose}: weights {weights}, n_ubatch {n_ubatch}, attention {attention}: prefill "
            f"{_rate(rates.prefill_tps)} t/s, decode t/s {side_by_side or 'unknown'}; loads in {rates.load_s:.1f} s"
        )
    end = "" if tuned.complete else "; the time was up before everything was tried"
    return "\n".join([*lines, f"{len(tuned.trials)} measurements in {tuned.seconds:.1f} s{end}"])


def _files(tunings: dict[str, Tuned]) -> Table:
    from rich.table import Table

    table = Table("file", "prefill t/s (scorer)", "decode t/s, 8 at once", "decode t/s, 1", "load s", title="files")
    for column in table.columns[1:]:
        column.justify = "right"
    for path, tuned in tunings.items():
        decode = tuned.rates.decode_tps
        table.add_row(
            printable(Path(path).name),
            _rate(tuned.label_rates.prefill_tps),
            _rate(decode.get(8)),
            _rate(decode.get(1)),
            f"{tuned.rates.load_s:.1f}",
        )
    return table
