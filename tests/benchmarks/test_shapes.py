"""Headers of stated shapes are what llama.cpp's own quantizer would have written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.shapes import (
    INTERNLM2_7B,
    QWEN1_5_14B,
    QWEN2_0_5B,
    REAL_SHAPES,
    TINY,
    Shape,
    tensors_of,
    type_of,
    write_adapter_header,
    write_header,
)
from escl.convert.quantize import QUANTIZATIONS
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.model_check import check_model

# Says on stdout what the quantizer would do with each tensor, without doing it.
DRY_RUN = """
import sys, llama_cpp
say = llama_cpp.llama_log_callback(lambda level, text, data: sys.stdout.write(text.decode()))
llama_cpp.llama_log_set(say, None)
params = llama_cpp.llama_model_quantize_default_params()
params.dry_run = True
for number in sys.argv[3:]:
    params.ftype = int(number)
    print("FTYPE", number)
    assert llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), params) == 0
"""


@pytest.mark.model
@pytest.mark.parametrize("shape", [QWEN1_5_14B, INTERNLM2_7B, QWEN2_0_5B], ids=lambda shape: shape.name)
def test_each_tensor_has_the_type_that_the_quantizer_gives(shape: Shape, tmp_path: Path) -> None:
    whole = write_header(tmp_path / "f16.gguf", shape, "F16")
    quants = {
        str(QUANTIZATIONS[name].number): name for name in ("Q4_K_M", "Q5_K_M", "IQ4_XS", "Q3_K_M", "Q6_K", "Q8_0")
    }
    said = subprocess.run(
        [sys.executable, "-c", DRY_RUN, str(whole), str(tmp_path / "none.gguf"), *quants],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for part in said.split("FTYPE ")[1:]:
        number, _, lines = part.partition("\n")
        rows = dict(re.findall(r"\] +(\S+) +- \[.*?-> .*?\((\w+)\)", lines))
        kept = re.findall(r"\] +(\S+) +- \[[^\]]*\], type = +f32", lines)
        expected = {row.name: type_of(row, shape, quants[number]).name for row in tensors_of(shape)}
        assert {name: kind.upper() for name, kind in rows.items()} | dict.fromkeys(kept, "F32") == expected


@pytest.mark.parametrize("shape", REAL_SHAPES, ids=lambda shape: shape.name)
def test_a_header_passes_for_a_model_and_takes_no_disk(shape: Shape, tmp_path: Path) -> None:
    path = write_header(tmp_path / "model.gguf", shape, "Q4_K_M")
    header = read_gguf_header(path)
    check_model(header, path=path)
    assert header.integer(f"{shape.architecture}.block_count") == shape.layers
    last = header.tensors[-1]
    assert path.stat().st_size >= last.offset + last.size_bytes > 4 << 30
    assert path.stat().st_blocks * 512 < 64 << 20


def test_an_adapter_covers_what_esc_ranks_do(tmp_path: Path) -> None:
    header = read_gguf_header(write_adapter_header(tmp_path / "lora.gguf", TINY, rank=8))
    assert header.text("general.type") == "adapter"
    assert len(header.tensors) == 2 * 3 * TINY.layers
    by_name = {tensor.name: tensor.shape for tensor in header.tensors}
    assert by_name["blk.1.attn_v.weight.lora_a"] == (TINY.n_embd, 8)
    assert by_name["blk.1.attn_v.weight.lora_b"] == (8, TINY.n_kv)
