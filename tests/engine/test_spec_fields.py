"""What a spec says about micro-batch, KV type, attention and weight layout reaches llama.cpp, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest

from escl.engine.batcher import Batcher
from escl.engine.labels import LabelReader
from escl.engine.launch import check_spec
from escl.engine.llama import Context, Model
from escl.engine.wire import EngineSpec
from escl.errors import ModelLoadError
from tests.engine.conftest import LoadModel, WriteModel
from tests.tiny_gguf import Script, chain

pytestmark = pytest.mark.model

SCRIPT = Script(chain("\n", "The", "<|im_end|>"))
Schedulers = (Batcher, LabelReader)


@pytest.fixture
def context_of(loaded: LoadModel) -> Callable[[type[Batcher | LabelReader], EngineSpec], Context]:
    """Return a function that makes a scheduler and returns its context."""

    def make(kind: type[Batcher | LabelReader], spec: EngineSpec) -> Context:
        model, chat = loaded("fields", SCRIPT)
        return kind(model, chat, spec, n_ctx=256, threads=1)._context

    return make


def stored_bytes(context: Context) -> int:
    """Return what llama.cpp needs to write down 64 tokens of sequence 0."""
    context.tokens[:64], context.positions[:64], context.sequences[:64], context.wanted[:64] = 5, np.arange(64), 0, 0
    context.decode(64)
    size: int = lib.llama_state_seq_get_size(context.pointer, 0)
    context.close()
    return size


@pytest.mark.parametrize("kind", Schedulers)
def test_the_micro_batch_is_the_specs(kind: type[Batcher | LabelReader], context_of: Any) -> None:  # noqa: ANN401
    context = context_of(kind, EngineSpec(model="", slots=2, n_batch=256, n_ubatch=64))
    assert (lib.llama_n_batch(context.pointer), lib.llama_n_ubatch(context.pointer)) == (256, 64)
    context.close()


@pytest.mark.parametrize("kind", Schedulers)
def test_a_quantized_kv_cache_takes_less(kind: type[Batcher | LabelReader], context_of: Any) -> None:  # noqa: ANN401
    f16, q8, q4 = (
        stored_bytes(context_of(kind, EngineSpec(model="", slots=2, kv_type=kv_type)))
        for kv_type in ("f16", "q8_0", "q4_0")
    )
    # Bits per value: 16, 8.5 and 4.5.
    assert q8 / f16 == pytest.approx(8.5 / 16, abs=0.02)
    assert q4 / f16 == pytest.approx(4.5 / 16, abs=0.02)


@pytest.mark.parametrize("kind", Schedulers)
def test_flash_attention_is_the_specs(kind: type[Batcher | LabelReader], context_of: Any) -> None:  # noqa: ANN401
    with pytest.raises(ModelLoadError):
        context_of(kind, EngineSpec(model="", slots=2, kv_type="q8_0", flash_attention=False))
    context_of(kind, EngineSpec(model="", slots=2, kv_type="q8_0", flash_attention=True)).close()
    context_of(kind, EngineSpec(model="", slots=2, flash_attention=False)).close()


@pytest.mark.parametrize("repack", [True, False])
def test_rearranged_weights_are_read_and_others_mapped(
    model_file: WriteModel, monkeypatch: pytest.MonkeyPatch, repack: bool
) -> None:
    seen: list[tuple[bool, int]] = []
    load = lib.llama_model_load_from_file

    def watch(path: bytes, params: Any) -> Any:  # noqa: ANN401
        seen.append((params.use_extra_bufts, params.load_mode))
        return load(path, params)

    monkeypatch.setattr(lib, "llama_model_load_from_file", watch)
    Model(model_file("fields", SCRIPT), gpu_layers=0, repack=repack).close()
    # A mapped file whose weights are copied into another order would be resident twice.
    assert seen == [(repack, lib.LLAMA_LOAD_MODE_NONE if repack else lib.LLAMA_LOAD_MODE_AUTO)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kv_type": "q8_0", "flash_attention": False}, "needs flash attention"),
        ({"n_batch": 512, "n_ubatch": 1024}, "contradict"),
        ({"n_ubatch": 0}, "contradict"),
    ],
)
def test_contradictions_are_refused_before_a_child_is_started(
    model_file: WriteModel, fields: dict[str, Any], message: str
) -> None:
    path = str(model_file("fields", SCRIPT))
    check_spec(EngineSpec(model=path))
    check_spec(EngineSpec(model=path, kv_type="q8_0", n_batch=1024, n_ubatch=1024))
    with pytest.raises(ModelLoadError, match=message):
        check_spec(EngineSpec(model=path, **fields))


def test_a_missing_file_is_named_before_numbers_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"none\.gguf cannot be opened"):
        check_spec(EngineSpec(model=str(tmp_path / "none.gguf"), n_ubatch=0))
