"""Rates are read between what is known, and what is assumed follows the stated formulas."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.shapes import LLAMA_3_8B, QWEN1_5_7B, Shape, write_header
from escl.memory.rates import Rates, assumed_rates
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[Shape, GGUFHeader]:
    folder: Path = tmp_path_factory.mktemp("shapes")
    shapes = (QWEN1_5_7B, LLAMA_3_8B)
    return {shape: read_gguf_header(write_header(folder / f"{shape.name}.gguf", shape, "Q4_K_M")) for shape in shapes}


def test_between_two_measured_numbers_a_rate_lies_on_the_line() -> None:
    rates = Rates(prefill_tps=1.0, decode_tps={2: 20.0, 4: 30.0, 16: 90.0}, load_s=1.0, source="measured")
    assert [rates.decode_tps_at(n) for n in (1, 2, 3, 4, 10, 16)] == [10.0, 20.0, 25.0, 30.0, 60.0, 90.0]


def test_beyond_the_measured_numbers_a_sequence_adds_what_a_prompts_token_takes() -> None:
    rates = Rates(prefill_tps=400.0, decode_tps={1: 40.0, 8: 80.0}, load_s=1.0, source="measured")
    # 8 take 0.1 s, and 24 more 0.06 s.
    assert rates.decode_tps_at(32) == pytest.approx(32 / 0.16)
    slow_reader = Rates(prefill_tps=50.0, decode_tps={8: 80.0}, load_s=1.0, source="measured")
    assert slow_reader.decode_tps_at(32) == 80.0


def test_assumed_rates_follow_the_formulas(headers: dict[Shape, GGUFHeader]) -> None:
    header = headers[LLAMA_3_8B]
    read = [tensor for tensor in header.tensors if tensor.name != "token_embd.weight"]
    parameters = sum(tensor.shape[0] * (tensor.shape[1] if len(tensor.shape) > 1 else 1) for tensor in read)
    kv_bytes = 32 * 2 * 1024 * 2  # layers, keys and values, 8 heads of 128, f16
    step_s = sum(tensor.size_bytes for tensor in read) / 40e9
    # 32 layers of 32 heads compute longer than the keys and values of 8 are read.
    cached_s = 32 * 32 * 20e-9 / 4
    assert cached_s > kv_bytes / 40e9
    each_s = 2 * parameters / (4 * 100e9) + 1024 * cached_s
    rates = assumed_rates(header, place="cpu", cores=4)
    assert rates.prefill_tps == pytest.approx(4 * 100e9 / (2 * parameters))
    assert rates.decode_tps[8] == pytest.approx(8 / (step_s + 8 * each_s))
    assert rates.source == "assumed"


@given(cores=st.integers(1, 64))
def test_more_sequences_never_decode_less_and_a_gpu_is_faster_than_any_processor(
    headers: dict[Shape, GGUFHeader], cores: int
) -> None:
    header = headers[QWEN1_5_7B]
    on_cpu = assumed_rates(header, place="cpu", cores=cores)
    on_gpu = assumed_rates(header, place="gpu", cores=cores)
    steps = sorted(on_cpu.decode_tps)
    assert [on_cpu.decode_tps[n] for n in steps] == sorted(on_cpu.decode_tps.values())
    assert all(on_gpu.decode_tps[n] > on_cpu.decode_tps[n] for n in steps)
