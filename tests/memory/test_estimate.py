"""The memory estimate beside llama.cpp's dry allocation, real loads, and the rules of layers and devices."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import msgspec
import pytest

from benchmarks.random_weights import write_random, write_random_adapter
from benchmarks.shapes import (
    INTERNLM2_7B,
    QWEN1_5_14B,
    QWEN2_0_5B,
    TINY,
    TINY_SCORER,
    Shape,
    write_adapter_header,
    write_header,
)
from escl.engine.wire import EngineSpec
from escl.errors import GGUFError
from escl.memory.check_estimate import against_dry_run, against_peak
from escl.memory.estimate import Need, estimate
from escl.memory.model_shape import shape_of
from escl.memory.work_graph import WorkShape, work_bytes
from escl.shelf.gguf_header import Array, GGUFHeader, Scalar, read_gguf_header

SETTINGS = (
    EngineSpec(model="", slots=3, ctx_per_slot=1000, n_ubatch=128, flash_attention=False),
    EngineSpec(model="", slots=16, ctx_per_slot=2048, n_ubatch=1024, n_batch=1024, kv_type="q8_0"),
    EngineSpec(model="", slots=8, ctx_per_slot=2048, purpose="labels"),
)

# A tiny model is little beside its process, which differs by builds and platforms.
TINY_TOLERANCE_BYTES = 16 << 20


@pytest.fixture(scope="session")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("headers")
    return {
        shape.name: write_header(folder / f"{shape.name}.gguf", shape, "Q4_K_M")
        for shape in (QWEN1_5_14B, INTERNLM2_7B)
    }


@pytest.fixture(scope="session")
def seeker(headers: dict[str, Path]) -> GGUFHeader:
    return read_gguf_header(headers[QWEN1_5_14B.name])


def need(model: GGUFHeader, **changes: object) -> Need:
    return estimate(model, msgspec.structs.replace(EngineSpec(model=""), **changes))


def with_key(model: GGUFHeader, **values: Scalar | Array) -> GGUFHeader:
    prefix = model.architecture
    changed = {f"{prefix}.{name.replace('__', '.')}": value for name, value in values.items()}
    return msgspec.structs.replace(model, metadata=model.metadata | changed)


# Against llama.cpp


@pytest.mark.model
@pytest.mark.parametrize("shape", [QWEN1_5_14B, INTERNLM2_7B], ids=lambda shape: shape.name)
@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_every_part_is_what_llama_cpp_would_allocate(
    headers: dict[str, Path], shape: Shape, setting: EngineSpec
) -> None:
    rows = against_dry_run(msgspec.structs.replace(setting, model=str(headers[shape.name])))
    assert {row.part for row in rows} == {"KV cells", "work memory", "logits", "all but weights"}
    assert {row.part: row.ratio for row in rows if not 0.99 < row.ratio < 1.01} == {}


@pytest.mark.model
@pytest.mark.parametrize("repack", [True, False])
def test_a_real_dialogue_engine_peaks_where_the_estimate_says(tmp_path: Path, repack: bool) -> None:
    model = write_random(tmp_path / "tiny.gguf", TINY, "Q4_K_M")
    spec = EngineSpec(model=str(model), slots=4, ctx_per_slot=512, repack=repack, threads=2)
    row = asyncio.run(against_peak(spec))
    assert abs(row.estimated_bytes - row.reference_bytes) < TINY_TOLERANCE_BYTES


@pytest.mark.model
def test_a_real_label_engine_with_adapters_peaks_where_the_estimate_says(tmp_path: Path) -> None:
    model = write_random(tmp_path / "tiny.gguf", TINY_SCORER, "Q8_0", speaks="label")
    adapters = {
        name: str(write_random_adapter(tmp_path / f"{name}.gguf", TINY_SCORER, seed=seed))
        for seed, name in enumerate(("tech", "human"))
    }
    spec = EngineSpec(
        model=str(model), adapters=adapters, purpose="labels", slots=4, ctx_per_slot=512, threads=2, repack=False
    )
    row = asyncio.run(against_peak(spec))
    assert abs(row.estimated_bytes - row.reference_bytes) < TINY_TOLERANCE_BYTES


# Rules


def test_weights_are_the_tensor_table(seeker: GGUFHeader) -> None:
    assert need(seeker).host.weights == sum(tensor.size_bytes for tensor in seeker.tensors)
    assert need(seeker).device is None


def test_layers_go_to_the_device_from_the_end_with_the_output_first(seeker: GGUFHeader) -> None:
    output = sum(tensor.size_bytes for tensor in seeker.tensors if tensor.name.startswith("output"))
    last = sum(tensor.size_bytes for tensor in seeker.tensors if tensor.name.startswith("blk.39."))
    one, two = need(seeker, device="CUDA0", gpu_layers=1).device, need(seeker, device="CUDA0", gpu_layers=2).device
    assert one is not None
    assert two is not None
    assert one.weights == output
    assert two.weights == output + last
    assert one.kv == 0 < two.kv


def test_nothing_is_lost_between_host_and_device(seeker: GGUFHeader) -> None:
    whole = need(seeker).host
    for gpu_layers in (1, 20, 40, 41, -1, 99):
        split = need(seeker, device="CUDA0", gpu_layers=gpu_layers)
        assert split.device is not None
        assert split.host.weights + split.device.weights == whole.weights
        assert split.host.kv + split.device.kv == whole.kv


def test_the_embedding_stays_in_main_memory(seeker: GGUFHeader) -> None:
    embedding = next(tensor.size_bytes for tensor in seeker.tensors if tensor.name == "token_embd.weight")
    assert need(seeker, device="CUDA0").host.weights == embedding
    assert need(seeker, device="CUDA0").host.kv == 0


def test_tied_embeddings_are_on_the_device_again(seeker: GGUFHeader) -> None:
    tensors = tuple(tensor for tensor in seeker.tensors if tensor.name != "output.weight")
    tied = msgspec.structs.replace(seeker, tensors=tensors)
    embedding = next(tensor.size_bytes for tensor in tensors if tensor.name == "token_embd.weight")
    split = need(tied, device="CUDA0")
    assert split.device is not None
    assert split.host.weights + split.device.weights == sum(tensor.size_bytes for tensor in tensors) + embedding
    assert need(tied, repack=False).host.weights == sum(tensor.size_bytes for tensor in tensors)
    # What else is looked up is no part of the output.
    places = msgspec.structs.replace(tensors[0], name="position_embd.weight", size_bytes=1 << 20)
    with_places = msgspec.structs.replace(tied, tensors=(*tensors, places))
    assert need(with_places, repack=False).host.weights == sum(tensor.size_bytes for tensor in (*tensors, places))


def test_cpu_and_no_device_mean_main_memory_only(seeker: GGUFHeader) -> None:
    assert need(seeker, device="cpu", gpu_layers=20) == need(seeker) == need(seeker, device="CUDA0", gpu_layers=0)


def test_kv_cells_come_in_blocks_of_256_per_slot(seeker: GGUFHeader) -> None:
    per_token = 40 * 5120 * 2 * 2
    assert need(seeker, slots=3, ctx_per_slot=257).host.kv == 3 * 512 * per_token
    assert need(seeker, slots=3, ctx_per_slot=257, kv_type="q8_0").host.kv == 3 * 512 * per_token // 64 * 34
    assert need(seeker, slots=3, ctx_per_slot=257, strict=True).host.kv == 512 * per_token


def test_a_slot_has_no_more_cells_than_the_model_was_made_for(seeker: GGUFHeader) -> None:
    assert need(seeker, ctx_per_slot=1 << 20).host.kv == need(seeker, ctx_per_slot=32_768).host.kv


def test_adapters_lie_where_the_matrices_they_change_do(seeker: GGUFHeader, tmp_path: Path) -> None:
    adapter = read_gguf_header(write_adapter_header(tmp_path / "lora.gguf", QWEN1_5_14B))
    total = sum(tensor.size_bytes for tensor in adapter.tensors)
    spec = EngineSpec(model="", purpose="labels", device="CUDA0", gpu_layers=21)
    split = estimate(seeker, spec, adapters=[adapter] * 3)
    assert split.device is not None
    assert split.host.adapters == split.device.adapters == 3 * total // 2
    assert estimate(seeker, msgspec.structs.replace(spec, device="cpu"), adapters=[adapter]).host.adapters == total


def test_heads_may_differ_by_layer(seeker: GGUFHeader) -> None:
    by_layer = Array(item_type="int32", length=40, items=(*[40] * 20, *[10] * 20))
    varied = with_key(seeker, attention__head_count_kv=by_layer)
    assert need(varied).host.kv * 8 == need(seeker).host.kv * 5


def test_an_architecture_that_nobody_knows_gets_the_generic_formula(seeker: GGUFHeader) -> None:
    renamed = {key.replace("qwen2.", "newest.", 1): value for key, value in seeker.metadata.items()}
    unknown = msgspec.structs.replace(seeker, metadata=renamed | {"general.architecture": "newest"})
    assert need(unknown) == need(seeker)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(
            ("block_count", "embedding_length", "feed_forward_length", "attention__head_count"),
            (-1, True, "many", 2**31),
        ),
        *((name, 0) for name in ("block_count", "embedding_length", "feed_forward_length")),
    ],
)
def test_sizes_that_cannot_be_are_refused(seeker: GGUFHeader, name: str, value: Scalar) -> None:
    with pytest.raises(GGUFError, match=name.replace("__", ".")):
        shape_of(with_key(seeker, **{name: value}))


def test_a_header_cannot_ask_for_endless_work(seeker: GGUFHeader) -> None:
    with pytest.raises(GGUFError, match="block_count"):
        shape_of(with_key(seeker, block_count=4097))


@pytest.mark.parametrize("name", ["attention__key_length", "attention__value_length", "attention__head_count_kv"])
@pytest.mark.parametrize("value", [0, 1 << 25])
def test_sizes_that_may_be_left_out_must_be_possible_too(seeker: GGUFHeader, name: str, value: int) -> None:
    with pytest.raises(GGUFError, match=name.replace("__", ".")):
        shape_of(with_key(seeker, **{name: value}))


def test_more_heads_than_the_embedding_has_elements_are_refused(seeker: GGUFHeader) -> None:
    with pytest.raises(GGUFError, match=r"attention\.head_count is 2"):
        need(with_key(seeker, embedding_length=1, attention__head_count=2))


def test_a_head_length_of_nothing_ends() -> None:
    shape = WorkShape(
        n_layers=1,
        n_embd=1,
        n_ff=1,
        n_head=1,
        n_head_kv=1,
        key_length=0,
        value_length=1,
        n_vocab=1,
        n_tokens=1,
        n_cells=1,
        n_outputs=1,
        flash=True,
    )
    assert work_bytes(shape) > 0


# Without attention


def recurrent(model: GGUFHeader, **values: Scalar | Array) -> GGUFHeader:
    """Return the header with the keys of a Mamba model instead of those of attention."""
    kept = {key: value for key, value in model.metadata.items() if ".attention." not in key}
    state = {"ssm__state_size": 16, "ssm__inner_size": 256, "ssm__conv_kernel": 4, "ssm__group_count": 0}
    return with_key(msgspec.structs.replace(model, metadata=kept), feed_forward_length=0, **(state | values))


@pytest.mark.parametrize("heads", [{}, {"attention__head_count": 0}])
def test_a_model_without_attention_takes_its_weights_a_tenth_more_and_a_state_for_each_sequence(
    seeker: GGUFHeader, heads: dict[str, Scalar]
) -> None:
    model = recurrent(seeker, **heads)
    weights = sum(tensor.size_bytes for tensor in seeker.tensors)
    one, four = need(model, slots=1).host, need(model, slots=4).host
    assert one.weights == weights
    assert one.compute == weights // 10 + (256 << 20)
    assert one.kv == 40 * 4 * (16 * 256 + 3 * 256)
    assert four.kv == 4 * one.kv
    assert need(model, slots=1, ctx_per_slot=8192).host.kv == one.kv


def test_layers_without_attention_are_divided_like_others(seeker: GGUFHeader) -> None:
    whole = need(recurrent(seeker)).host
    split = need(recurrent(seeker), device="CUDA0", gpu_layers=20)
    assert split.device is not None
    assert split.host.weights + split.device.weights == whole.weights
    assert split.host.kv + split.device.kv == whole.kv


def test_a_state_of_rwkv_is_a_square_for_each_head(seeker: GGUFHeader) -> None:
    model = recurrent(seeker, ssm__state_size=1, ssm__inner_size=1, wkv__head_size=64)
    assert need(model, slots=1).host.kv == 40 * 4 * 5120 * (64 + 2)


def test_an_adapter_whose_matrix_is_a_row_is_refused(seeker: GGUFHeader, tmp_path: Path) -> None:
    adapter = read_gguf_header(write_adapter_header(tmp_path / "lora.gguf", QWEN1_5_14B))
    row = msgspec.structs.replace(adapter.tensors[0], name="blk.0.attn_q.weight.lora_a", shape=(8,))
    broken = msgspec.structs.replace(adapter, tensors=(row, *adapter.tensors[1:]))
    with pytest.raises(GGUFError, match=r"blk\.0\.attn_q\.weight\.lora_a"):
        estimate(seeker, EngineSpec(model="", purpose="labels"), adapters=[broken])


def test_a_smaller_model_takes_less(seeker: GGUFHeader, tmp_path: Path) -> None:
    small = read_gguf_header(write_header(tmp_path / "small.gguf", QWEN2_0_5B, "Q4_K_M"))
    assert need(small).host.total < need(seeker).host.total / 10
