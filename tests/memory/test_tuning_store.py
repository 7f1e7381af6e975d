"""A tuning is used where it was measured and nowhere else; whatever else lies in its folder does no harm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.engine.launch import check_spec
from escl.engine.wire import EngineSpec
from escl.memory.devices import Hardware
from escl.memory.rates import Rates
from escl.memory.tuning_store import EngineSettings, Trial, Tuned, store_tuning, stored_tuning, tuning_folder
from tests.tiny_gguf import Script, write_model

HARDWARE = Hardware(
    devices=(), ram_total_bytes=None, ram_available_bytes=None, physical_cores=4, processor="Testium 3",
    llama_build="build 1",
)  # fmt: skip
SHA = "ab" * 32
SETTINGS = EngineSettings(repack=False, n_ubatch=1024, threads=3, flash_attention=False)
RATES = Rates(prefill_tps=12.5, decode_tps={1: 2.0, 8: 9.0}, load_s=0.25, source="measured")
TUNED = Tuned(
    sha256=SHA,
    machine="Testium 3, 4 cores",
    device=None,
    gpu_layers=0,
    llama_build="build 1",
    measured_utc="2025-01-01T00:00:00+00:00",
    settings=SETTINGS,
    rates=RATES,
    label_settings=SETTINGS,
    label_rates=RATES,
    trials=(Trial(settings=SETTINGS, threads=3, prompt_tokens=16, sequences=1, steps=0, prefill_tps=12.5),),
    seconds=4.5,
    complete=True,
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))


def only_file() -> Path:
    (path,) = tuning_folder().iterdir()
    return path


def test_what_is_stored_is_found_again(tmp_path: Path) -> None:
    assert stored_tuning(SHA, hardware=HARDWARE, device=None) is None
    store_tuning(TUNED, hardware=HARDWARE)
    for device in (None, "cpu", "CPU"):
        assert stored_tuning(SHA, hardware=HARDWARE, device=device) == TUNED
    assert only_file().is_relative_to(tmp_path)


@pytest.mark.parametrize("other", [{"llama_build": "build 2"}, {"processor": "Testium 4"}, {"physical_cores": 8}])
def test_another_machine_or_build_has_no_use_for_it(other: dict[str, object]) -> None:
    store_tuning(TUNED, hardware=HARDWARE)
    elsewhere = msgspec.structs.replace(HARDWARE, **other)
    assert stored_tuning(SHA, hardware=elsewhere, device=None) is None
    # Nor when somebody renames the file.
    store_tuning(msgspec.structs.replace(TUNED, machine=f"{elsewhere.processor}, {elsewhere.physical_cores} cores",
                                         llama_build=elsewhere.llama_build), hardware=elsewhere)  # fmt: skip
    first, second = sorted(tuning_folder().iterdir())
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    assert stored_tuning(SHA, hardware=elsewhere, device=None) is None
    assert stored_tuning(SHA, hardware=HARDWARE, device=None) is None


def test_another_file_or_device_has_no_use_for_it() -> None:
    store_tuning(TUNED, hardware=HARDWARE)
    assert stored_tuning("cd" * 32, hardware=HARDWARE, device=None) is None
    assert stored_tuning(SHA, hardware=HARDWARE, device="CUDA0") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"[1, 2]",
        b'{"sha256": "\xff"}',
        b"[" * 100_000,
        b" " * (1 << 20) + b" ",
        msgspec.json.encode({**msgspec.to_builtins(TUNED, str_keys=True), "added": 1}),
        msgspec.json.encode({**msgspec.to_builtins(TUNED, str_keys=True), "seconds": "long"}),
    ],
    ids=["empty", "bytes", "list", "broken text", "nested", "large", "unknown key", "wrong type"],
)
def test_a_corrupt_file_is_left_alone_with_a_note(content: bytes) -> None:
    store_tuning(TUNED, hardware=HARDWARE)
    only_file().write_bytes(content)
    notes: list[str] = []
    assert stored_tuning(SHA, hardware=HARDWARE, device=None, on_note=notes.append) is None
    assert len(notes) == 1
    assert str(only_file()) in notes[0]
    assert only_file().read_bytes() == content


@pytest.mark.parametrize("field", ["rates", "label_rates"])
def test_a_tuning_without_a_decoding_rate_is_none(field: str) -> None:
    silent = msgspec.structs.replace(RATES, decode_tps={})
    store_tuning(msgspec.structs.replace(TUNED, **{field: silent}), hardware=HARDWARE)
    assert stored_tuning(SHA, hardware=HARDWARE, device=None) is None


def test_the_tuning_of_another_model_under_this_name_is_left_alone_with_a_note() -> None:
    store_tuning(TUNED, hardware=HARDWARE)
    only_file().write_bytes(msgspec.json.encode(msgspec.structs.replace(TUNED, sha256=SHA[:16] + "0" * 48)))
    notes: list[str] = []
    assert stored_tuning(SHA, hardware=HARDWARE, device=None, on_note=notes.append) is None
    assert "something else" in notes[0]


def test_a_new_tuning_takes_the_place_of_the_old_one() -> None:
    store_tuning(TUNED, hardware=HARDWARE)
    only_file().write_bytes(b"junk")
    store_tuning(msgspec.structs.replace(TUNED, seconds=9.0), hardware=HARDWARE)
    found = stored_tuning(SHA, hardware=HARDWARE, device=None)
    assert found is not None
    assert found.seconds == 9.0
    assert only_file().suffix == ".json"


def test_a_folder_that_cannot_be_made_costs_a_note(tmp_path: Path) -> None:
    (tmp_path / "tuning").write_bytes(b"a file is in the way")
    notes: list[str] = []
    store_tuning(TUNED, hardware=HARDWARE, on_note=notes.append)
    assert "cannot be kept" in notes[0]


def test_settings_make_a_spec_that_is_no_contradiction(tmp_path: Path) -> None:
    path = str(write_model(tmp_path / "tiny.gguf", Script()))
    spec = SETTINGS.applied_to(EngineSpec(model=path, slots=4, ctx_per_slot=300))
    assert (spec.repack, spec.n_ubatch, spec.threads, spec.flash_attention) == (False, 1024, 3, False)
    assert (spec.slots, spec.ctx_per_slot, spec.n_batch) == (4, 300, 1024)
    check_spec(spec)
    assert EngineSettings(n_ubatch=256).applied_to(EngineSpec(model=path, n_batch=2048)).n_batch == 2048
