"""The models of the benchmark: written once into a folder, by shape and quantization, with hashes for the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.random_weights import Speaks, write_random, write_random_adapter
from benchmarks.shapes import (
    INTERNLM2_0_2B,
    INTERNLM2_1_8B,
    INTERNLM2_7B,
    LLAMA_3_8B,
    QWEN1_5_7B,
    QWEN1_5_14B,
    QWEN2_0_6B,
    QWEN2_1_5B,
    RUNNABLE_INTERNLM2_7B,
    TINY,
    TINY_SCORER,
    Shape,
    write_header,
)
from escl.bench.evaluate import Casting
from escl.core.bundled import bundled
from escl.core.card import RoleCard, select_cards
from escl.core.card_file import load_cards
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.shelf.manifest import Model, sha256_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which shapes play which role."""

    seeker: Shape
    supporter: Shape
    scorer: Shape
    quant: str = "Q4_K_M"


SMALL: Final = Choice(seeker=QWEN2_0_6B, supporter=QWEN2_0_6B, scorer=INTERNLM2_0_2B)
MEDIUM: Final = Choice(seeker=QWEN2_1_5B, supporter=QWEN2_1_5B, scorer=INTERNLM2_1_8B)
SMALLEST: Final = Choice(seeker=TINY, supporter=TINY, scorer=TINY_SCORER)
REAL: Final = Choice(seeker=QWEN1_5_14B, supporter=QWEN1_5_7B, scorer=RUNNABLE_INTERNLM2_7B)


def cast(folder: Path, choice: Choice, *, dialogues: int, say: Say) -> Casting:
    """Return models of the chosen shapes, written into `folder` unless they are there, and cards for them.

    Args:
        dialogues: Cards, half of them English and half Chinese.
        say: Called with a line for each file that is written.
    """
    return Casting(
        protocol=load_protocol("open"),
        cards=tuple(_cards(dialogues)),
        seeker=_model(folder, choice.seeker, choice.quant, role="seeker", say=say),
        supporter=_model(folder, choice.supporter, choice.quant, role="supporter", say=say),
        scorer=_model(folder, choice.scorer, choice.quant, role="scorer", say=say),
    )


def headers(folder: Path) -> tuple[Path, ...]:
    """Return headers without data of real models, written into `folder` unless they are there."""
    paths = []
    for shape in (QWEN1_5_14B, QWEN1_5_7B, INTERNLM2_7B, LLAMA_3_8B):
        path = folder / f"header-{shape.name}-Q4_K_M.gguf"
        paths.append(path if path.exists() else write_header(path, shape, "Q4_K_M"))
    return tuple(paths)


def _cards(count: int) -> list[RoleCard]:
    loaded = load_cards(bundled("role_cards"))
    halves = {Language.ENGLISH: count - count // 2, Language.CHINESE: count // 2}
    return [
        card
        for language, half in halves.items()
        if half
        for card in select_cards(loaded, language=language, limit=half, crisis=False)
    ]


def _model(folder: Path, shape: Shape, quant: str, *, role: str, say: Say) -> Model:
    path = folder / f"{role}-{shape.name}-{quant}.gguf"
    speaks: Speaks = "label" if role == "scorer" else "letters"
    if not path.exists():
        say(f"writing {path.name}")
        write_random(path, shape, quant, speaks=speaks, seed=len(role))
    adapters = _adapters(folder, shape) if role == "scorer" else {}
    return Model(
        name=f"{role} {shape.name.removeprefix('scorer-')} {quant}",
        path=path.resolve(),
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        adapters=adapters,
    )


def _adapters(folder: Path, shape: Shape) -> dict[tuple[Language, Dimension], tuple[Path, str]]:
    adapters = {}
    for number, (language, dimension) in enumerate((one, other) for one in Language for other in Dimension):
        path = folder / f"adapter-{shape.name}-{language.value}-{dimension.value}.gguf"
        if not path.exists():
            part = path.with_name(path.name + ".part")
            write_random_adapter(part, shape, seed=number).replace(path)
        adapters[language, dimension] = (path.resolve(), sha256_of(path))
    return adapters
