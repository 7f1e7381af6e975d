"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from escl.core.card import Category
from escl.core.card_choice import QUICK_CARDS, CardChoice
from escl.core.dimension import Language
from escl.errors import UsageError
from escl.supporters.outside import HUMAN


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
Supporters = Annotated[
    list[str],
    typer.Argument(
        help="Under test: GGUF files, names on the shelf, http(s)://host/v1#model, python:module:Name, TOML files, "
        "human (you)."
    ),
]
CardFiles = Annotated[
    list[Path] | None,
    typer.Option("--cards", help="Role cards (ours or upstream's JSON); the bundled ones when not given."),
]
CardLanguage = Annotated[LanguageChoice, typer.Option("--lang", help="Language of the cards.")]
CardLimit = Annotated[int | None, typer.Option("--limit", min=1, help="Cards of each language at most, in file order.")]
Quick = Annotated[
    bool,
    typer.Option("--quick", help=f"Play {QUICK_CARDS} cards, spread over languages, categories and sources."),
]
Sample = Annotated[
    int | None,
    typer.Option("--sample", min=1, help="Play so many cards, spread over languages, categories and sources."),
]
CardIds = Annotated[
    list[str] | None, typer.Option("--card", metavar="ID", help="Only the card of this id; may be given again.")
]
CardCategory = Annotated[Category | None, typer.Option("--category", help="Only cards about this part of life.")]
CardSource = Annotated[str | None, typer.Option("--source", help="Only cards of this collection, such as ESConv.")]
UnseenCards = Annotated[
    bool, typer.Option("--unseen", help="Only cards of collections that ESC-Role was not trained on.")
]
CrisisCards = Annotated[bool, typer.Option("--crisis", help="Use the crisis cards instead of the quality cards.")]
Rounds = Annotated[
    int | None, typer.Option(min=1, help="Rounds of a dialogue. Default: the protocol's, which is 5 unless it says so.")
]
Repeats = Annotated[int, typer.Option(min=1, help="Dialogues for each card and supporter.")]
MaxTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Tokens of a supporter's turn at most. Default: its manifest's, else the protocol's."),
]
Seeker = Annotated[
    str | None,
    typer.Option(help="The model that plays the person in need. Default: esc-role; demo/seeker for demo/ models."),
]
Scorer = Annotated[
    str | None,
    typer.Option(
        help="The model that rates: manifest (.toml), GGUF file or name on the shelf. "
        "Default: esc-rank; demo/scorer for demo/."
    ),
]
ProtocolName = Annotated[
    str, typer.Option("--protocol", help="The words around it all: a name that `escl protocol ls` lists, or a file.")
]
Rubrics = Annotated[
    list[Path] | None,
    typer.Option(
        "--rubrics",
        metavar="FILE",
        help="Dimensions of your own (docs/rubrics.md) that the scorer is asked about too. May be given again.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="What the models may take: of the accelerator, or of RAM without one; 8GiB. Default: what is free.",
    ),
]
DeviceName = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="The accelerator to use, CUDA0 for example; cpu uses none. Default: the first discrete one, or the first.",
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(min=1, max=255, help="Dialogues (and scorer prompts) side by side. Default: the plan's choice."),
]
Context = Annotated[
    int | None, typer.Option("--ctx", min=256, help="Context in tokens for each dialogue. Default: 4096, if it fits.")
]
GpuLayers = Annotated[
    int | None,
    typer.Option(
        "--gpu-layers", min=-1, help="Layers on the accelerator; -1 is all, 0 is CPU only. Default: as many as fit."
    ),
]
LayersOnDevice = Annotated[
    int, typer.Option("--gpu-layers", min=-1, help="Layers on the accelerator; -1 is all, 0 is CPU only.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of each model. Default: the plan's choice.")]
AnyQuant = Annotated[
    bool,
    typer.Option(
        "--any-quant", help="Let other quantizations on the shelf stand in where they are faster. Changes results."
    ),
]
NoTune = Annotated[bool, typer.Option("--no-tune", help="Do not measure new models on this machine before a long run.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again what an earlier attempt gave up.")]
Margin = Annotated[
    float,
    typer.Option(min=0.001, max=4, help="Difference in labels (0-4) that counts as none; 0.2 is 5 points of 100."),
]


def card_choice(
    files: list[Path] | None,
    lang: LanguageChoice,
    *,
    limit: int | None = None,
    quick: bool = False,
    sample: int | None = None,
    crisis: bool = False,
    category: Category | None = None,
    source: str | None = None,
    unseen: bool = False,
    ids: list[str] | None = None,
    supporters: Sequence[str] = (),
) -> CardChoice:
    """Return the cards that these options choose; where a person answers and no number is given, one.

    Raises:
        UsageError: Two of them choose how many cards are played.
    """
    given = {"--limit": limit, "--sample": sample, "--quick": QUICK_CARDS if quick else None}
    named = [f"{name} {n}" if name != "--quick" else name for name, n in given.items() if n is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} each choose how many cards are played", hint="leave out one")
    return CardChoice(
        files=tuple(files or ()),
        languages=lang.languages,
        ids=tuple(ids or ()),
        first=1 if HUMAN in supporters and not named and not ids else None,
        category=category,
        source=source,
        unseen=unseen,
        crisis=crisis,
        limit=limit,
        sample=QUICK_CARDS if quick else sample,
    )
