"""`escl models`: bring models to the shelf, list, show, check and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson, Memory
from escl.cli.output import print_json, progress_console, results_console
from escl.core.counted import counted
from escl.core.printable import printable
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from escl.memory.devices import Budget
    from escl.pulling.pull import Pulled
    from escl.shelf.inventory import ShelfModel

_ANY_WIDTH = 10_000

models_app = typer.Typer(
    name="models",
    help="Bring models to the shelf, list, show, check and remove them.\n\nExample: escl models pull esc-role esc-rank",
    no_args_is_help=True,
)

_Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Names on the shelf, or hf.co/owner/repo[:QUANT][@revision]."),
]


@models_app.command("pull")
def pull_models(
    names: _Names,
    *,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="Quantization of checkpoints: Q4_K_M, Q8_0, ... Default: the largest that suits the machine."
        ),
    ] = None,
    memory: Memory = None,
    chat_template: Annotated[
        str | None,
        typer.Option(help="Chat format by name (vicuna, ...) or Jinja file, for a model that has no template."),
    ] = None,
    keep_checkpoint: Annotated[
        bool, typer.Option("--keep-checkpoint", help="Keep what was downloaded after it is converted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Download models, check every file, convert and quantize checkpoints. Nothing else downloads models.

    A stopped pull goes on with the same command. Files in the caches of Hugging Face and llama.cpp are used. A ready
    GGUF file is taken as it is. The downloaded checkpoint is removed when its model is made and checked.

    Example: escl models pull esc-role esc-rank
    """
    from escl.cli.progress import progress, termination_interrupts
    from escl.pulling.pull import pull

    pulled = []
    try:
        with termination_interrupts():
            for name in names:
                with progress(name) as show:
                    done = pull(
                        name,
                        quantize=quantize,
                        chat_template=chat_template,
                        keep_checkpoint=keep_checkpoint,
                        budget=lambda: _budget(memory),
                        on_progress=show,
                        on_note=_say_note,
                    )
                pulled.append(done)
                _say_pulled(done, as_json=as_json)
    except KeyboardInterrupt:
        progress_console().print("Stopped; what was received is kept. The same command goes on from there.")
        raise
    finally:
        # One that fails takes nothing from those before it.
        if as_json and pulled:
            print_json(pulled)


@models_app.command("ls")
def list_models(*, as_json: AsJson = False) -> None:
    """List the models that have a manifest, and which of them are here.

    Example: escl models ls
    """
    from escl.shelf.inventory import inventory

    found = inventory()
    if as_json:
        print_json(found)
        return
    console = results_console()
    table = _table(found, sources=True)
    if console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum > console.width:
        table = _table(found, sources=False)
    # A name that is broken over lines cannot be copied; the terminal breaks what is still too wide.
    console.width = max(console.width, console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum)
    console.print(table)
    for model in found:
        if model.problem is not None:
            console.print(_line(f"{model.name}: {model.problem}"), markup=False, soft_wrap=True)


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name on the shelf, hf.co/..., or a GGUF file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a model is: architecture, sizes, licence, chat template, where every file came from.

    Example: escl models show esc-role
    """
    from escl.shelf.inventory import describe

    found = describe(name)
    if as_json:
        print_json(found)
        return
    console = results_console()
    for heading, value in found.rows():
        console.print(printable(f"{heading:<14} {value}"), markup=False, soft_wrap=True)
    if found.template is not None:
        console.print(f"\nchat template (sha256 {found.template_sha256})\n", markup=False, soft_wrap=True)
        console.print(printable(found.template), markup=False, soft_wrap=True)


@models_app.command("verify")
def verify_models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Those to check; all that are here if left out.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Hash every file again and compare with the manifests. Exit code 3 if anything is wrong.

    Example: escl models verify esc-role
    """
    from escl.cli.progress import progress
    from escl.shelf.inventory import verify

    with progress("hashing") as show:
        checks = verify(names, on_progress=show)
    bad = [check for check in checks if not check.ok]
    if as_json:
        print_json(checks)
    else:
        for check in checks:
            results_console().print(printable(str(check)), markup=False, soft_wrap=True)
        results_console().print(f"{counted(len(checks), 'file')}, {len(bad)} wrong", markup=False)
    if bad:
        raise typer.Exit(ExitCode.BAD_INPUT)


@models_app.command("rm")
def remove_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name on the shelf, or hf.co/owner/repo:QUANT.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a pulled model's files, its record, and what is left of its download. Asks first.

    Example: escl models rm esc-role
    """
    from escl.shelf.removal import removal, remove

    found = removal(name)
    if not yes:
        console = progress_console()
        for path in found.paths:
            console.print(f"  {printable(path)}", markup=False, soft_wrap=True)
        if not typer.confirm(f"Remove these, {_size(found.size_bytes)}?", err=True):
            raise UsageError("nothing was removed")
    remove(found)
    if as_json:
        print_json(found)
    else:
        gone = counted(len(found.paths), "file or folder", "files and folders")
        line = f"removed {name}: {gone}, {_size(found.size_bytes)}"
        results_console().print(printable(line), markup=False, soft_wrap=True)


def _table(found: Sequence[ShelfModel], *, sources: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Name", "Role", "State", "Quant", "Size", *(["Source"] if sources else [])):
        table.add_column(heading, justify="right" if heading == "Size" else "left", no_wrap=True)
    for model in found:
        words = [model.name, model.role, model.state, model.quantization or "-", _size(model.size_bytes)]
        words += [model.source or "-"] if sources else []
        table.add_row(*(Text(_line(word)) for word in words))
    return table


def _line(text: str) -> str:
    return " ".join(printable(text).split())


def _say_note(text: str) -> None:
    progress_console().print(f"note: {printable(text)}", markup=False, soft_wrap=True)


def _say_pulled(done: Pulled, *, as_json: bool) -> None:
    for folder in done.checkpoint:
        progress_console().print(f"its checkpoint stays in {printable(folder)}", markup=False, soft_wrap=True)
    if not as_json:
        state = "is on the shelf already" if done.already else "is on the shelf now"
        line = f"{done.name} {state}: {done.path}, {done.quantization or '?'}, {_size(done.size_bytes)}"
        results_console().print(printable(line), markup=False, soft_wrap=True)


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "-"
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10**8 else f"{size_bytes / 1e6:.1f} MB"


def _budget(memory: str | None) -> Budget:
    from escl.cli.planning import Wishes, machine_and_budget

    return machine_and_budget(Wishes(memory=memory))[1]
