"""Scaled rotary embeddings turn as in the source, or are refused; a sliding window ends the context."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escl.convert import convert
from escl.errors import ConvertError
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import Checkpoint, write_json
from tests.decoder_checkpoints import ALL_WRITERS
from tests.llama_run import loaded
from tests.oracle import Oracle

pytestmark = pytest.mark.model

TOKENS = [(7 * at * at + 3 * at) % 400 for at in range(90)]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"type": "linear", "factor": 4.0},
    "llama3": LLAMA3 | {"original_max_position_embeddings": 64},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "yarn, other ramp": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 48, "beta_fast": 8.0},
}


def configured(checkpoint: Checkpoint, **changes: object) -> Checkpoint:
    config = checkpoint.config | changes
    write_json(checkpoint.folder / "config.json", config)
    return replace(checkpoint, config=config)


def error(checkpoint: Checkpoint, gguf: Path) -> float:
    """Return the largest deviation from the oracle in units of the logits' own spread."""
    expected = Oracle(checkpoint).logits(TOKENS)
    with loaded(gguf) as model:
        return float(np.abs(model.logits(TOKENS) - expected).max() / expected.std())


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        *(("vicuna", kind) for kind in KINDS),
        *(("mistral", kind) for kind in ("linear", "yarn")),
        *((family, "yarn") for family in ("qwen2", "qwen3")),
    ],
)
def test_a_scaling_that_llama_cpp_knows_gives_the_oracles_logits(tmp_path: Path, family: str, kind: str) -> None:
    # A small base, so that all pairs turn within the test's tokens.
    plain = configured(ALL_WRITERS[family](tmp_path / "src"), rope_theta=100.0, rope_scaling=None)
    scaled = configured(plain, rope_scaling=KINDS[kind])
    convert(scaled.folder, tmp_path / "m.gguf", outtype="f32")
    assert error(scaled, tmp_path / "m.gguf") < 2e-4
    assert error(plain, tmp_path / "m.gguf") > 0.1, "the scaling changes too little for this test to mean anything"


def test_transformers_5_says_the_same_in_rope_parameters(tmp_path: Path) -> None:
    checkpoint = configured(ALL_WRITERS["llama3"](tmp_path / "src"))
    convert(checkpoint.folder, tmp_path / "a.gguf")
    scaling = checkpoint.config["rope_scaling"] | {"rope_theta": checkpoint.config["rope_theta"]}
    configured(checkpoint, rope_scaling=None, rope_theta=None, rope_parameters=scaling)
    convert(checkpoint.folder, tmp_path / "b.gguf")
    tensors = [read_gguf_header(tmp_path / name).tensors for name in ("a.gguf", "b.gguf")]
    raw = [(tmp_path / name).read_bytes() for name in ("a.gguf", "b.gguf")]
    assert [t.name for t in tensors[0]] == [t.name for t in tensors[1]]
    (first, *_), (second, *_) = ([t for t in each if t.name == "rope_freqs.weight"] for each in tensors)
    assert raw[0][first.offset :][: first.size_bytes] == raw[1][second.offset :][: second.size_bytes]


def test_dynamic_scaling_is_left_out_with_a_note(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["vicuna"](tmp_path / "src")
    scaled = configured(checkpoint, rope_scaling={"type": "dynamic", "factor": 4.0})
    converted = convert(scaled.folder, tmp_path / "m.gguf", outtype="f32")
    assert [note for note in converted.notes if "'dynamic'" in note and "512" in note]
    assert error(scaled, tmp_path / "m.gguf") < 2e-4


@pytest.mark.parametrize(
    ("scaling", "reason"),
    [
        ({"rope_type": "longrope", "factor": 4.0}, "'longrope' cannot"),
        ({"rope_type": "su"}, "'su' cannot"),
        ({"type": "linear"}, "no factor"),
        ({"type": "linear", "factor": -1}, "factor is -1"),
        (LLAMA3, "no original_max_position_embeddings"),
        (LLAMA3 | {"original_max_position_embeddings": 64, "high_freq_factor": 1.0}, "low_freq_factor"),
        (KINDS["yarn"] | {"mscale": 1.0}, "mscale is set"),
        (KINDS["yarn"] | {"truncate": False}, "truncate is false"),
    ],
)
def test_another_scaling_is_refused_by_name(tmp_path: Path, scaling: dict[str, object], reason: str) -> None:
    checkpoint = configured(ALL_WRITERS["vicuna"](tmp_path / "src"), rope_scaling=scaling)
    with pytest.raises(ConvertError, match=reason):
        convert(checkpoint.folder, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_a_sliding_window_ends_the_context_up_to_which_nothing_changes(tmp_path: Path) -> None:
    window = configured(ALL_WRITERS["mistral"](tmp_path / "src"), sliding_window=90)
    converted = convert(window.folder, tmp_path / "m.gguf", outtype="f32")
    assert read_gguf_header(tmp_path / "m.gguf").metadata["llama.context_length"] == 90
    assert [note for note in converted.notes if "sliding window" in note]
    assert error(window, tmp_path / "m.gguf") < 2e-4
    assert error(configured(window, sliding_window=60), tmp_path / "m.gguf") > 0.01


def test_without_a_sliding_window_the_context_is_whole(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["mistral"](tmp_path / "src")
    assert convert(checkpoint.folder, tmp_path / "m.gguf").notes == []
    assert read_gguf_header(tmp_path / "m.gguf").metadata["llama.context_length"] == 512
