"""Pairs of generated dialogues on the same story, and which of the two is better. No torch."""

from __future__ import annotations

import random

from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from tools.demo import stories
from tools.demo.generator import BANKS, Dialogue, dialogue

STYLES = (("mixed", "mixed", 0.6), ("warm", "curt", 0.1), ("warm", "mixed", 0.1), ("curt", "mixed", 0.1))


def verdict(first: Dialogue, second: Dialogue) -> int:
    """Return the exact verdict, 0 to 4: equal when both have the same Overall label, clear from 3 labels apart."""
    apart = second.label(Dimension.OVERALL) - first.label(Dimension.OVERALL)
    return 2 + (apart > 0) - (apart < 0) + (apart >= 3) - (apart <= -3)


def pair(
    rng: random.Random, language: Language, protocol: Protocol, *, rounds: int | None = None
) -> tuple[Dialogue, Dialogue]:
    """Return two dialogues of the same length on the same story, in random order."""
    story = stories.story(rng, language, BANKS[language], free=0.15)
    draw = rng.random()
    styles = ("warm", "warm") if draw < 0.05 else ("curt", "curt") if draw < 0.1 else None
    if styles is None:
        styles = rng.choices([names[:2] for names in STYLES], [names[2] for names in STYLES])[0]
    if rounds is None:
        rounds = 5 if rng.random() < 0.9 else rng.choice((3, 4))
    made = [
        dialogue(
            rng,
            language=language,
            protocol=protocol,
            style=style,
            focus=Dimension.OVERALL,
            rounds=rounds,
            story=story,
        )
        for style in styles
    ]
    first, second = rng.sample(made, 2)
    return first, second
