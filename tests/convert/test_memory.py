"""Memory does not grow with the checkpoint: a matrix passes through in row blocks."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints import Shape, write_json, write_qwen2

# VmHWM is this program's own peak; ru_maxrss would begin with that of the process which started it.
MEASURE = """
import re, sys
from pathlib import Path
from escl.convert import convert
def peak_kib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
src, dst = map(Path, sys.argv[1:])
convert(src, dst)
before = peak_kib()
convert(src.with_name("large"), dst, force=True)
print(peak_kib() - before)
"""
N_VOCAB = 40_000
HIDDEN = 1024


def write_large(folder: Path) -> int:
    """Write a checkpoint with two matrices of 82 MB each, all zeros in a sparse file; return its bytes."""
    shape = Shape(hidden=HIDDEN, ffn=32, layers=1)
    checkpoint = write_qwen2(folder, shape=shape)
    write_json(folder / "config.json", checkpoint.config | {"vocab_size": N_VOCAB})
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    shapes |= dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), (N_VOCAB, HIDDEN))
    header, at = {}, 0
    for name, size in shapes.items():
        n_bytes = 2 * size[0] * (size[1] if len(size) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + at)
    return at


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is needed to measure")
def test_a_checkpoint_of_160_mb_needs_less_than_80_mb_more_than_a_tiny_one(tmp_path: Path) -> None:
    write_qwen2(tmp_path / "small")
    assert write_large(tmp_path / "large") > 160e6
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small"), str(tmp_path / "m.gguf")]
    root = Path(__file__).parents[2]
    child = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=120)
    grown_kib = int(child.stdout)
    assert grown_kib > 0
    # Row blocks take some 30 MB, and the texts of 40,000 tokens most of the rest.
    assert grown_kib < 80_000
