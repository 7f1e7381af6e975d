"""Measures the demo models as they are shipped: GGUF files through escl's own engine. No torch.

python -m tools.demo.measure gguf/demo --each 40
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path

from escl.core.bundled import bundled
from escl.core.card import RoleCard
from escl.core.card_file import load_cards
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol, load_protocol
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec, LabelRead
from escl.shelf.manifest import load_manifest
from tools.demo.generator import Dialogue, dialogue

PAIRS = tuple((language, dimension) for language in Language for dimension in Dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the scorer said about one dialogue, and the generator's label."""

    language: Language
    dimension: Dimension
    expected: int
    read: LabelRead


def adapter_name(language: Language, dimension: Dimension) -> str:
    """Return the name of an adapter, which is also the name of its file."""
    return f"{dimension.value}_{language.value}"


def scorer_spec(folder: Path, *, threads: int) -> EngineSpec:
    """Return how to load the demo scorer with all its adapters."""
    names = [adapter_name(language, dimension) for language, dimension in PAIRS]
    return EngineSpec(
        model=str(folder / "scorer.gguf"),
        adapters={name: str(folder / "scorer" / f"{name}.gguf") for name in names},
        purpose="labels",
        ctx_per_slot=2048,
        gpu_layers=0,
        threads=threads,
    )


async def ask(
    engine: Engine,
    protocol: Protocol,
    turns: tuple[Turn, ...],
    pair: tuple[Language, Dimension],
    *,
    adapter: str | None = "",
) -> LabelRead:
    """Return the scorer's reading of one dimension of a dialogue; "" takes the adapter made for it."""
    if adapter == "":
        adapter = adapter_name(*pair)
    prompt = protocol.scorer_prompt(*pair, turns)
    return await engine.read_label(adapter=adapter, system=prompt.system, prefix=prompt.prefix, rest=prompt.rest)


async def held_out(folder: Path, *, each: int, seed: int, threads: int = 2) -> list[Reading]:
    """Return readings of `each` dialogues for every language and dimension; no training saw their seed."""
    protocol = load_protocol("open")
    asked: list[tuple[Language, Dimension, Dialogue]] = []
    for language, dimension in PAIRS:
        # Seeded for each pair, so that a smaller measurement is the beginning of a larger one.
        rng = random.Random(f"{seed} {adapter_name(language, dimension)}")
        for _ in range(each):
            made = dialogue(rng, language=language, protocol=protocol, focus=dimension, rounds=5)
            asked.append((language, dimension, made))
    async with await Engine.start(scorer_spec(folder, threads=threads)) as engine:
        reads = await asyncio.gather(
            *(ask(engine, protocol, made.turns, (language, dimension)) for language, dimension, made in asked)
        )
    return [
        Reading(language=language, dimension=dimension, expected=made.label(dimension), read=read)
        for (language, dimension, made), read in zip(asked, reads, strict=True)
    ]


async def talk(
    folder: Path, supporter: str, cards: list[RoleCard], *, rounds: int = 5, seed: int = 0, threads: int = 2
) -> list[tuple[Turn, ...]]:
    """Return a dialogue of the demo seeker with a demo supporter for each card."""
    protocol = load_protocol("open")
    specs = [
        EngineSpec(model=str(folder / f"{name}.gguf"), ctx_per_slot=2048, gpu_layers=0, threads=threads)
        for name in ("seeker", supporter)
    ]
    settings = [load_manifest(folder / f"{name}.toml").sampling or Sampling() for name in ("seeker", supporter)]
    async with await Engine.start(specs[0]) as seeker, await Engine.start(specs[1]) as other:

        async def one(number: int, card: RoleCard) -> tuple[Turn, ...]:
            turns = [protocol.greeting(card.language)]
            for turn in range(rounds):
                for engine, speaker, sampling in zip((seeker, other), Speaker, settings, strict=True):
                    messages = (
                        protocol.seeker_messages(card, turns)
                        if speaker is Speaker.SEEKER
                        else protocol.supporter_messages(card.language, turns)
                    )
                    said = await engine.generate(
                        session=str(number), messages=messages, sampling=sampling, seed=seed + 1000 * number + turn
                    )
                    turns.append(Turn(speaker=speaker, text=said.text))
            return tuple(turns)

        return list(await asyncio.gather(*(one(number, card) for number, card in enumerate(cards))))


def shown_agreement(readings: list[Reading]) -> str:
    """Return a line for each language and dimension: right, asked, mean difference, replies without a label."""
    rows = []
    for language, dimension in PAIRS:
        mine = [r for r in readings if (r.language, r.dimension) == (language, dimension)]
        right = sum(r.read.label == r.expected for r in mine)
        near = sum(r.read.label is not None and abs(r.read.label - r.expected) <= 1 for r in mine)
        none = sum(r.read.label is None for r in mine)
        rows.append(
            f"{language.value} {dimension.shown:12} {right}/{len(mine)} = {right / len(mine):.1%}, within one "
            f"{near / len(mine):.1%}, without label {none}"
        )
    return "\n".join(rows)


def main() -> None:
    """Print agreement on held-out dialogues, and dialogues of the demo models with their scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--seed", type=int, default=990_001)
    parser.add_argument("--cards", type=int, default=0, help="also play this many cards per language and score them")
    parser.add_argument("--skip", type=int, default=0, help="cards to skip first")
    options = parser.parse_args()
    if options.each:
        since = time.monotonic()
        print(shown_agreement(asyncio.run(held_out(options.folder, each=options.each, seed=options.seed))))
        print(f"{time.monotonic() - since:.1f} s")
    if options.cards:
        asyncio.run(_play(options))


async def _play(options: argparse.Namespace) -> None:
    protocol = load_protocol("open")
    cards = [
        card
        for language in Language
        for card in load_cards(bundled("role_cards") / f"{language.value}.toml")[options.skip :][: options.cards]
    ]
    for supporter in ("warm", "curt"):
        dialogues = await talk(options.folder, supporter, cards, seed=options.seed)
        async with await Engine.start(scorer_spec(options.folder, threads=2)) as engine:
            for card, turns in zip(cards, dialogues, strict=True):
                labels = {
                    dimension.shown: (await ask(engine, protocol, turns, (card.language, dimension))).label
                    for dimension in Dimension
                }
                print(f"--- {card.id} {supporter} {labels}\n{protocol.transcript(card.language, turns)}")


if __name__ == "__main__":
    main()
