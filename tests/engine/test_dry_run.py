"""What llama.cpp says that it would allocate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from escl.engine.dry_run import DryRun, dry_run, read_log
from escl.engine.wire import EngineSpec
from escl.errors import EngineError, ModelLoadError
from tests.tiny_gguf import N_EMBD, N_VOCAB, Script, write_model

MIB = 1 << 20

LOG = (
    "llama_context:  CUDA_Host  output buffer size =     2.82 MiB",
    "llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB",
    "llama_kv_cache: size = 4096.00 MiB (  4096 cells,  32 layers,  8/8 seqs), K (f16): 2048.00 MiB, V (f16): 2048 MiB",
    "sched_reserve:      CUDA0 compute buffer size =   304.75 MiB",
    "sched_reserve:  CUDA_Host compute buffer size =    16.01 MiB",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("dry") / "tiny.gguf", Script())


def test_sizes_are_read_from_the_log_by_buffer() -> None:
    assert read_log(LOG) == DryRun(
        kv_bytes=4096 * MIB,
        kv_cells=4096,
        compute_bytes={"CUDA0": round(304.75 * MIB), "CUDA_Host": round(16.01 * MIB)},
        output_bytes={"CUDA_Host": round(2.82 * MIB)},
    )


@pytest.mark.parametrize("missing", [0, 2])
def test_a_log_in_other_words_is_an_error_not_a_zero(missing: int) -> None:
    with pytest.raises(EngineError, match="wording has changed"):
        read_log(line for index, line in enumerate(LOG) if index != missing)


@pytest.mark.model
def test_the_real_llama_cpp_words_its_log_as_expected(model: Path) -> None:
    found = dry_run(EngineSpec(model=str(model), slots=2, ctx_per_slot=512))
    assert (found.kv_cells, found.kv_bytes) == (512, 2 * 512 * N_EMBD * 2 * 2)
    assert set(found.compute_bytes) == set(found.output_bytes) == {"CPU"}
    assert found.output_bytes["CPU"] == pytest.approx(2 * N_VOCAB * 4, abs=0.01 * MIB)


@pytest.mark.model
def test_no_weights_are_read(model: Path, tmp_path: Path) -> None:
    header = tmp_path / "hole.gguf"
    content = model.read_bytes()
    # All of the weights but for the first few bytes: a hole of the same size.
    with header.open("wb") as file:
        file.write(content[: -N_EMBD * N_VOCAB * 4])
        file.truncate(len(content))
    spec = EngineSpec(model=str(model), slots=2, ctx_per_slot=512)
    assert dry_run(EngineSpec(model=str(header), slots=2, ctx_per_slot=512)) == dry_run(spec)


@pytest.mark.model
def test_what_llama_cpp_refuses_is_an_error_with_its_reason(model: Path) -> None:
    with pytest.raises(ModelLoadError, match="needs flash attention"):
        dry_run(EngineSpec(model=str(model), kv_type="q8_0", flash_attention=False))
    with pytest.raises(ModelLoadError, match="cannot be opened"):
        dry_run(EngineSpec(model="/nowhere.gguf"))


@pytest.mark.model
def test_a_device_that_is_not_there_is_refused_by_name(model: Path) -> None:
    with pytest.raises(ModelLoadError, match="'CUDA77'"):
        dry_run(EngineSpec(model=str(model), device="CUDA77"))


@pytest.mark.model
def test_the_parent_loads_no_llama_cpp(model: Path) -> None:
    code = (
        "import sys; from escl.engine.dry_run import dry_run; from escl.engine.wire import EngineSpec;"
        f"dry_run(EngineSpec(model={str(model)!r})); sys.exit('llama_cpp' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
