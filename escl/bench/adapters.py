"""What a LoRA adapter costs: the same scorer, with and without one. Merged weights cost what the bare ones do."""

from __future__ import annotations

import asyncio
import time

from escl.bench.evaluate import MachineUse
from escl.bench.result import Table, faster, missing
from escl.bench.tuning import tuned_spec
from escl.core.dimension import adapter_name
from escl.engine.client import Engine
from escl.shelf.manifest import Model

_WORDS = "somebody said that nothing of all this would ever help them and then went on "


def measure_adapter_cost(scorer: Model, use: MachineUse, *, prompts: int, pairs: int) -> Table:
    """Return how many prompt tokens a second the scorer evaluates with an adapter, against without."""
    what, title, other = "prompt tokens with an adapter", "The cost of a LoRA adapter", "without, as if merged"
    if not scorer.adapters:
        row = missing(what, "tokens/s", why="the scorer has no adapters")
        return Table(key="adapters", title=title, other=other, rows=(row,))
    rates = asyncio.run(_measure(scorer, use, prompts=prompts, pairs=pairs))
    return Table(
        key="adapters",
        title=title,
        other=other,
        rows=(faster(what, "tokens/s", rates),),
        facts={"prompts": prompts, "threads": use.threads, "slots": use.slots, "gpu layers": use.gpu_layers},
        notes=("Through escl's own label reader, no two prompts sharing an opening.",),
    )


async def _measure(scorer: Model, use: MachineUse, *, prompts: int, pairs: int) -> list[tuple[float, float]]:
    name = adapter_name(*next(iter(scorer.adapters)))
    spec = tuned_spec(scorer, use, purpose="labels")
    async with await Engine.start(spec) as engine:
        # The first computation allocates and reads the weights in.
        await _tokens_a_second(engine, None, prompts=2)
        await _tokens_a_second(engine, name, prompts=2)
        return [
            (
                await _tokens_a_second(engine, name, prompts=prompts),
                await _tokens_a_second(engine, None, prompts=prompts),
            )
            for _ in range(pairs)
        ]


async def _tokens_a_second(engine: Engine, adapter: str | None, *, prompts: int) -> float:
    began = time.perf_counter()
    answers = await asyncio.gather(
        *(
            engine.read_label(adapter=adapter, system=None, prefix=f"{number}", rest=_WORDS * 30, max_tokens=1)
            for number in range(prompts)
        )
    )
    evaluated = sum(answer.n_prompt - answer.n_reused for answer in answers)
    return evaluated / (time.perf_counter() - began)
