"""`escl convert`: a Hugging Face checkpoint or PEFT adapter becomes a GGUF file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from escl.cli.output import print_json, progress_console, results_console
from escl.cli.progress import progress, termination_interrupts
from escl.core.printable import printable


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

    if chat_template is not None:
        _check_template(chat_template)
    with termination_interrupts(), progress(f"converting {src.name}") as on_progress:
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


def _check_template(choice: str) -> None:
    """Refuse a template that the engine could not compile before hours go into the weights."""
    from escl.convert.chat_templates import chosen_template
    from escl.engine.template import ChatTemplate

    source, _ = chosen_template(choice)
    ChatTemplate(source, bos="", eos="", frozen_time=0)
