"""Options that several commands share, declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from escl.core.dimension import Language


class LanguageChoice(StrEnum):
    """Which cards: one language or both."""

    ENGLISH = "en"
    CHINESE = "zh"
    BOTH = "both"

    @property
    def languages(self) -> tuple[Language, ...]:
        return tuple(Language) if self is LanguageChoice.BOTH else (Language(self.value),)


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="File of the run (SQLite). The same file and settings resume it.")
]
Scorer = Annotated[
    str | None,
    typer.Option(
        help="The model that rates: manifest (.toml), GGUF file or name on the shelf. [esc-rank; demo/scorer for demo/]"
    ),
]
ProtocolName = Annotated[
    str, typer.Option("--protocol", help="The words around it all: a built-in name or a TOML file.")
]
Parallel = Annotated[
    int,
    typer.Option(
        min=1, max=255, help="Dialogues (and scorer prompts) side by side. Each needs --ctx tokens of memory."
    ),
]
Context = Annotated[int, typer.Option("--ctx", min=256, help="Context in tokens for each dialogue.")]
GpuLayers = Annotated[int, typer.Option("--gpu-layers", min=-1, help="Layers on the GPU; -1 is all, 0 is CPU only.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; the physical cores when not given.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again what an earlier attempt gave up.")]
