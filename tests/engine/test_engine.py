"""An engine answers, reuses what it evaluated, and keeps requests apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec
from tests.tiny_gguf import Script, chain, write_model

pytestmark = pytest.mark.model

GREEDY = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=20)


def test_a_scripted_model_says_its_sentence_and_stops(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.gguf", Script(chain("\n", "The", " score", " is", " 3", ".", "<|im_end|>")))

    async def say() -> tuple[str, str]:
        async with await Engine.start(EngineSpec(model=str(model), slots=2, ctx_per_slot=256)) as engine:
            reply = await engine.generate(session="s", messages=[Message("user", "hi")], sampling=GREEDY, seed=1)
            return reply.text, reply.finish

    assert asyncio.run(say()) == ("The score is 3.", "stop")
