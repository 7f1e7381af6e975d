"""`escl convert`: a Hugging Face checkpoint or PEFT adapter becomes a GGUF file."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from escl.cli.output import print_json, progress_console, results_console
from escl.core.printable import printable

if TYPE_CHECKING:
    from escl.convert import OnProgress

_LINE_EVERY_S = 10.0


class StoredAs(StrEnum):
    """The choices of --outtype."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"


def convert(
    src: Annotated[Path, typer.Argument(help="Checkpoint folder, or with --base a PEFT adapter folder.")],
    dst: Annotated[Path, typer.Argument(help="GGUF file to write.")],
    *,
    outtype: Annotated[StoredAs, typer.Option(help="How matrices are stored.")] = StoredAs.F16,
    quantize: Annotated[str | None, typer.Option(help="llama.cpp quantization by name: Q4_K_M, IQ4_XS, ...")] = None,
    base: Annotated[Path | None, typer.Option(help="The base model's checkpoint folder, for an adapter.")] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(help="Chat format by name (vicuna, llama-2, ...) or Jinja file, instead of the checkpoint's."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace DST when it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Convert a Hugging Face checkpoint folder, or a PEFT LoRA adapter folder, to a GGUF file.

    Architectures: llama (Llama 2 and 3, Vicuna, Yi), mistral, qwen2, qwen3, internlm2. Reads safetensors only, never
    a pickle, and runs no code of the checkpoint. DST appears when it is complete.

    Example: escl convert ./ESC-Role gguf/esc-role.gguf --quantize Q4_K_M
    """
    from escl.convert import convert as convert_checkpoint

    with _termination_interrupts(), _progress(f"converting {src.name}") as on_progress:
        converted = convert_checkpoint(
            src,
            dst,
            outtype=outtype.value,
            quantize=quantize,
            base=base,
            force=force,
            chat_template=chat_template,
            on_progress=on_progress,
        )
    for note in converted.notes:
        progress_console().print(f"note: {printable(note)}", markup=False, soft_wrap=True)
    if as_json:
        print_json(converted)
        return
    results_console().print(
        f"{printable(converted.path)}: {converted.kind}, {converted.architecture}, {converted.outtype}, "
        f"{converted.n_tensors} tensors, {converted.size_bytes:,} bytes\nsha256 {converted.sha256}",
        markup=False,
        soft_wrap=True,
    )


@contextlib.contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Let SIGTERM and a closed terminal do what Ctrl-C does, so that they leave no half-written file either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[OnProgress]:
    """Give a callback that shows bytes done and the time left: a bar on a terminal, a line now and then elsewhere."""
    console = progress_console()
    if not console.is_terminal:
        yield _Lines(console, printable(what)).show
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(printable(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """Progress as plain lines, at most one every ten seconds."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._start = self._last = monotonic()

    def show(self, done: int, total: int) -> None:
        now = monotonic()
        if now - self._last < _LINE_EVERY_S or not done:
            return
        self._last = now
        left_s = (now - self._start) * (total - done) / done
        self._console.print(
            f"{self._what}: {done / 1e9:.2f} of {total / 1e9:.2f} GB, about {left_s:,.0f} s left", markup=False
        )
