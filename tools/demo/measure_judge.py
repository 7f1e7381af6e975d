"""Measures the demo judge as it is shipped: a GGUF file through escl's own engine. No torch.

python -m tools.demo.measure_judge gguf/demo/judge.gguf --each 200
"""

from __future__ import annotations

import argparse
import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric, load_rubric
from escl.core.protocol import load_protocol
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec, LabelRead
from escl.stats.pairwise import PairVerdict, pair_verdict
from tools.demo.generator import Dialogue
from tools.demo.pairs import pair, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two generated dialogues, which is better, and what the judge said in both orders."""

    language: Language
    expected: int
    straight: LabelRead
    turned: LabelRead

    @property
    def found(self) -> PairVerdict | None:
        """The verdict of both orders; None when a reply has no label."""
        if self.straight.probabilities is None or self.turned.probabilities is None:
            return None
        p, q = self.straight.probabilities, self.turned.probabilities
        return pair_verdict((p[0], p[1], p[2], p[3], p[4]), (q[0], q[1], q[2], q[3], q[4]))

    @property
    def expected_score(self) -> float:
        """1 when the first of the two is better, 0 when the other is, 0.5 when they are equal."""
        return 0.5 if self.expected == 2 else float(self.expected < 2)


async def held_out_pairs(judge: Path, *, each: int, seed: int, threads: int = 2) -> list[JudgedPair]:
    """Return the judge's readings of `each` pairs in each language; no training saw their seed."""
    protocol, rubric = load_protocol("open"), load_rubric("open")
    made: list[tuple[Dialogue, Dialogue]] = []
    for language in Language:
        rng = random.Random(f"{seed} {language.value}")
        made += [pair(rng, language, protocol, rounds=5) for _ in range(each)]
    spec = EngineSpec(model=str(judge), purpose="labels", ctx_per_slot=2048, gpu_layers=0, threads=threads)
    async with await Engine.start(spec) as engine:
        reads = await asyncio.gather(
            *(_ask(engine, rubric, *both) for first, second in made for both in ((first, second), (second, first)))
        )
    return [
        JudgedPair(
            language=both[0].card.language, expected=verdict(*both), straight=reads[2 * at], turned=reads[2 * at + 1]
        )
        for at, both in enumerate(made)
    ]


async def _ask(engine: Engine, rubric: JudgingRubric, first: Dialogue, second: Dialogue) -> LabelRead:
    language = first.card.language
    texts = [rubric.transcript(language, one.turns) for one in (first, second)]
    prompt = rubric.question(language, Dimension.OVERALL, *texts)
    return await engine.read_label(adapter=None, system=prompt.system, prefix=prompt.prefix, rest=prompt.rest)


def shown(pairs: list[JudgedPair]) -> str:
    """Return a line for each language: labels right, sides right, flips, first place preferred."""
    rows = []
    for language in Language:
        mine = [one for one in pairs if one.language is language]
        found = [one.found for one in mine]
        labels = [one.straight.label == one.expected for one in mine] + [
            one.turned.label == 4 - one.expected for one in mine
        ]
        right = sum(v is not None and v.score == one.expected_score for v, one in zip(found, mine, strict=True))
        unequal = [(v, one) for v, one in zip(found, mine, strict=True) if one.expected != 2]
        sides = sum(v is not None and v.score == one.expected_score for v, one in unequal)
        wrong = sum(v is not None and v.score == 1 - one.expected_score for v, one in unequal)
        flips = sum(v is not None and v.agreement == "flipped" for v in found)
        decided = sum(v.decided for v in found if v is not None)
        first = sum(v.first_preferred for v in found if v is not None)
        rows.append(
            f"{language.value}: label {sum(labels)}/{len(labels)}, verdict {right}/{len(mine)}, of unequal pairs right "
            f"{sides}/{len(unequal)} wrong {wrong}, flipped {flips}, first place {first}/{decided}, without label "
            f"{sum(v is None for v in found)}"
        )
    return "\n".join(rows)


def main() -> None:
    """Print agreement on held-out pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", type=Path)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--seed", type=int, default=990_101)
    options = parser.parse_args()
    print(shown(asyncio.run(held_out_pairs(options.judge, each=options.each, seed=options.seed))))


if __name__ == "__main__":
    main()
