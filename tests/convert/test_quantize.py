"""llama.cpp's quantizer runs in a child; whatever becomes of it, the file is whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import llama_cpp
import pytest

import escl.convert.quantize as quantizer
from escl.convert import convert
from escl.convert.quantize import QUANTIZATIONS, quantization
from escl.errors import ConvertError, UsageError
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import Checkpoint, Shape, write_adapter, write_internlm2
from tests.llama_run import loaded

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    # Rows of 256, so that the types with blocks of 256 are really used.
    return write_internlm2(tmp_path_factory.mktemp("src"), shape=Shape(hidden=256, ffn=256, layers=1))


def test_names_have_llama_cpps_own_numbers() -> None:
    for name, entry in QUANTIZATIONS.items():
        assert getattr(llama_cpp, "LLAMA_FTYPE_MOSTLY_" + name) == entry.number


def test_what_needs_an_importance_matrix_says_so() -> None:
    with pytest.raises(UsageError, match="importance matrix") as caught:
        quantization("iq2_xs")
    assert "IQ4_XS" in (caught.value.hint or "")
    assert quantization("q4_k_m") is QUANTIZATIONS["Q4_K_M"]


def test_a_quantized_model_loads_and_keeps_its_provenance(tmp_path: Path, checkpoint: Checkpoint) -> None:
    shares: list[tuple[int, int]] = []
    dst = tmp_path / "m.gguf"
    converted = convert(checkpoint.folder, dst, quantize="IQ4_XS", on_progress=lambda *seen: shares.append(seen))
    header = read_gguf_header(dst)
    types = {tensor.name: tensor.type_name for tensor in header.tensors}
    assert types["blk.0.attn_q.weight"] == "IQ4_XS"
    assert converted.outtype == "IQ4_XS"
    assert header.metadata["general.file_type"] == QUANTIZATIONS["IQ4_XS"].number
    assert "escl.source.sha256" in header.metadata
    assert "escl.chat.default_system_prompt" in header.metadata
    assert shares == sorted(shares)
    assert shares[-1][0] == shares[-1][1]
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    adapter = write_adapter(tmp_path / "adapter", checkpoint)
    convert(adapter.folder, tmp_path / "a.gguf", base=checkpoint.folder)
    with loaded(dst) as model:
        assert model.logits([1, 5, 7], adapter=tmp_path / "a.gguf").shape == (3, model.n_vocab)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('no room for that'); sys.exit(7)", "code 7: no room for that"),
        ("import os; os.abort()", "code -6"),
    ],
)
def test_a_child_that_fails_or_dies_leaves_nothing(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    popen = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[str]:
        assert command[1:3] == ["-m", "escl.convert.quantize"]
        return popen([sys.executable, "-c", code], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(ConvertError, match=reason):
        convert(checkpoint.folder, tmp_path / "m.gguf", quantize="Q4_0")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_model_is_refused_by_the_child(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ConvertError, match="quantizer ended with code 1"):
        quantizer.quantize(
            tmp_path / "no.gguf",
            tmp_path / "q.gguf",
            chosen=QUANTIZATIONS["Q4_0"],
            threads=1,
            on_share=lambda _share: None,
        )


def test_the_child_is_told_no_secrets(tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    environments: list[dict[str, str]] = []
    start = subprocess.Popen

    def noticing(command: list[str], *, env: dict[str, str], **more: object) -> subprocess.Popen[str]:
        environments.append(env)
        return start(command, env=env, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("escl.convert.quantize.subprocess.Popen", noticing)
    convert(checkpoint.folder, tmp_path / "m.gguf", quantize="Q8_0")
    assert len(environments) == 1
    assert "canary" not in environments[0].values()
