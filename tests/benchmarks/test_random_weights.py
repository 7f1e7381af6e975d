"""Models with random weights say what the benchmark counts on, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.random_weights import LABELS, write_random, write_random_adapter
from benchmarks.shapes import TINY, TINY_SCORER
from benchmarks.vocabulary import LETTERS, byte_level
from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec

SAMPLING = Sampling(temperature=1.0, top_k=0, top_p=1.0, max_tokens=40)
ASKED = [Message("system", "You cannot sleep before night shifts."), Message("user", "How are you today?")]


@pytest.mark.model
@pytest.mark.parametrize("quant", ["Q4_K_M", "Q3_K_M", "F16"])
def test_replies_have_a_fixed_length_and_tokenize_back_letter_by_letter(quant: str, tmp_path: Path) -> None:
    path = write_random(tmp_path / "model.gguf", TINY, quant)

    async def talk() -> None:
        async with await Engine.start(EngineSpec(model=str(path), slots=4, ctx_per_slot=512, gpu_layers=0)) as engine:
            before = await engine.count_tokens([*ASKED, Message("assistant", ""), Message("user", "and")])
            replies = await asyncio.gather(
                *(engine.generate(session=str(i), messages=ASKED, sampling=SAMPLING, seed=i) for i in range(4))
            )
            for reply in replies:
                assert (reply.n_generated, reply.finish) == (40, "length")
                assert set(reply.text) <= set(LETTERS)
                after = await engine.count_tokens([*ASKED, Message("assistant", reply.text), Message("user", "and")])
                assert after == before + 40
            assert len({reply.text for reply in replies}) == 4

    asyncio.run(talk())


@pytest.mark.model
def test_a_scorer_answers_with_one_label_that_depends_on_the_adapter(tmp_path: Path) -> None:
    path = write_random(tmp_path / "scorer.gguf", TINY_SCORER, "Q4_K_M", speaks="label")
    adapter = write_random_adapter(tmp_path / "lora.gguf", TINY_SCORER, seed=1)
    spec = EngineSpec(
        model=str(path), adapters={"a": str(adapter)}, purpose="labels", slots=2, ctx_per_slot=512, gpu_layers=0
    )

    async def ask() -> None:
        async with await Engine.start(spec) as engine:
            bare, adapted = [
                await engine.read_label(adapter=name, system=None, prefix="Rate it. ", rest="Hello.")
                for name in (None, "a")
            ]
            for read in (bare, adapted):
                assert read.reply in LABELS
                assert read.off_label_mass == pytest.approx(0, abs=1e-4)
            assert bare.probabilities != pytest.approx(adapted.probabilities, abs=1e-3)

    asyncio.run(ask())


def test_no_merge_touches_a_letter() -> None:
    assert not [merge for merge in byte_level(TINY.n_vocab).merges if set(merge) & set(LETTERS)]


def test_a_vocabulary_has_the_size_of_its_shape_and_no_token_twice() -> None:
    vocabulary = byte_level(151_936)
    assert len(set(vocabulary.texts)) == len(vocabulary.texts) == len(vocabulary.types) == 151_936
