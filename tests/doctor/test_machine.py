"""What the machine has: little, full, read-only or unknown is said, and looking leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from escl.doctor.finding import Finding
from escl.doctor.machine import device_findings, disk_finding, memory_finding
from escl.errors import ExitCode
from escl.memory.devices import Device, Hardware
from escl.memory.ram import Ram

GIB = 1 << 30
CARD = Device(
    name="CUDA0",
    backend="CUDA",
    description="A card",
    kind="gpu",
    total_bytes=24 * GIB,
    free_bytes=20 * GIB,
    shares_ram=False,
)


def machine(*devices: Device) -> Hardware:
    return Hardware(
        devices=devices,
        ram_total_bytes=None,
        ram_available_bytes=None,
        physical_cores=8,
        processor="A processor",
        llama_build="b",
    )


def devices(hardware: Hardware | None, driver: Path | None = None) -> list[Finding]:
    drivers = {} if driver is None else {driver: ("an NVIDIA GPU", "CMAKE_ARGS=-DGGML_CUDA=on")}
    return list(device_findings(hardware, drivers))


def test_an_accelerator_is_shown_with_its_memory() -> None:
    (found,) = devices(machine(CARD))
    assert (found.state, found.said) == ("ok", "CUDA0: A card, 20.0 GiB of 24.0 GiB free")


def test_memory_that_a_driver_does_not_tell_is_unknown_and_asked_for() -> None:
    (found,) = devices(machine(msgspec.structs.replace(CARD, total_bytes=None, free_bytes=None)))
    assert found.state == "warn"
    assert "--memory" in (found.to_do or "")
    assert "0" not in found.said.removeprefix("CUDA0")


def test_a_gpu_that_this_build_cannot_use_is_noticed_by_its_driver(tmp_path: Path) -> None:
    (found,) = devices(machine(), tmp_path)
    assert found.state == "warn"
    assert "GGML_CUDA" in (found.to_do or "")
    assert devices(machine(), tmp_path / "none")[0].state == "ok"
    assert devices(machine(CARD), tmp_path)[0].state == "ok"


def test_without_llama_cpp_the_accelerator_is_unknown() -> None:
    assert devices(None)[0].state == "warn"


@pytest.mark.parametrize(
    ("free", "state"), [(None, "warn"), (0, "warn"), (6 * GIB - 1, "warn"), (6 * GIB, "ok"), (60 * GIB, "ok")]
)
def test_little_or_unknown_memory_is_a_warning(free: int | None, state: str) -> None:
    assert memory_finding(Ram(total_bytes=64 * GIB, available_bytes=free)).state == state


def test_unknown_memory_is_called_unknown() -> None:
    assert "unknown" in memory_finding(Ram(total_bytes=None, available_bytes=None)).said


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1 << 40, used=0, free=free))


@pytest.mark.parametrize(
    ("free", "has_models", "state"),
    [
        (0, True, "fail"),
        (GIB - 1, True, "fail"),
        (GIB, True, "ok"),
        (GIB, False, "warn"),
        (60 * GIB, False, "ok"),
    ],
)
def test_a_full_disk_fails_and_a_small_one_matters_while_models_are_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, has_models: bool, state: str
) -> None:
    with_free(monkeypatch, free)
    found = disk_finding(tmp_path, has_models=has_models)
    assert found.state == state
    assert found.exit_code is (ExitCode.STORAGE if state == "fail" else ExitCode.OK)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_no_file_fails_with_the_systems_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**_: object) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = disk_finding(tmp_path, has_models=True)
    assert (found.state, found.exit_code) == ("fail", ExitCode.STORAGE)
    assert os.strerror(number) in found.said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root")
@pytest.mark.parametrize("name", ["", "new"])
def test_a_read_only_home_fails(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    assert disk_finding(home / name, has_models=True).state == "fail"


def test_a_file_in_place_of_the_home_fails(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    for path in (home, home / "deeper"):
        assert disk_finding(path, has_models=True).state == "fail"


def test_looking_at_a_disk_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 100 * GIB)
    assert disk_finding(tmp_path, has_models=False).state == "ok"
    assert "not there yet" in disk_finding(tmp_path / "a" / "b", has_models=False).said
    assert list(tmp_path.iterdir()) == []
