"""What the machine has, and the budget that follows."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from escl.engine import devices as engine_devices
from escl.engine.devices import ListedDevice, Listing
from escl.errors import EngineCrashedError, UsageError
from escl.memory import devices
from escl.memory.devices import Budget, Device, Hardware, budget_of, choose_device, parse_bytes, probe_hardware
from escl.memory.ram import cgroup_limits

GIB = 1 << 30

CUDA = Device(
    name="CUDA0",
    backend="CUDA",
    description="A card",
    kind="gpu",
    total_bytes=24 * GIB,
    free_bytes=20 * GIB,
    shares_ram=False,
)
SILENT = msgspec.structs.replace(CUDA, name="Vulkan1", backend="Vulkan", total_bytes=None, free_bytes=None)
METAL = msgspec.structs.replace(CUDA, name="MTL0", backend="Metal", shares_ram=True, free_bytes=10 * GIB)


def machine(*found: Device, available: int | None = 16 * GIB) -> Hardware:
    return Hardware(
        devices=found,
        ram_total_bytes=32 * GIB,
        ram_available_bytes=available,
        physical_cores=8,
        processor="A processor",
        llama_build="A build",
    )


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """ggml answers with a CPU, a GPU, a companion of the CPU and an integrated GPU that tells no memory."""
    types = {10: 0, 11: 1, 12: 3, 13: 2}
    texts = {
        "ggml_backend_dev_name": {11: b"CUDA0", 13: b"Vulkan0"},
        "ggml_backend_dev_description": {11: b"A card", 13: b"A chip"},
        "ggml_backend_reg_name": {101: b"CUDA", 103: b"Vulkan"},
    }

    def memory(device: int, free: object, total: object) -> None:
        if device == 11:
            free._obj.value, total._obj.value = 20 * GIB, 24 * GIB  # type: ignore[attr-defined]

    answers = {
        "ggml_backend_dev_count": lambda: 4,
        "ggml_backend_dev_get": lambda index: 10 + index,
        "ggml_backend_dev_type": types.__getitem__,
        "ggml_backend_dev_backend_reg": lambda device: device + 90,
        "ggml_backend_dev_memory": memory,
        **{name: known.__getitem__ for name, known in texts.items()},
    }
    monkeypatch.setattr(engine_devices, "_ggml", lambda name, *_: answers[name])


def told(monkeypatch: pytest.MonkeyPatch, *found: ListedDevice) -> Hardware:
    answer = msgspec.json.encode(Listing(devices=found, llama_build="A build")).decode()
    code = f"print('a driver says hello'); print('''{answer}''')"
    monkeypatch.setattr(devices, "_PROBE", (sys.executable, "-c", code))
    return probe_hardware()


@pytest.mark.usefixtures("listed")
def test_processors_and_their_companions_are_no_accelerators() -> None:
    assert [(device.name, device.kind) for device in engine_devices.list_devices()] == [
        ("CUDA0", "gpu"),
        ("Vulkan0", "integrated"),
    ]


@pytest.mark.usefixtures("listed")
def test_a_named_device_is_picked_and_cpu_picks_none() -> None:
    assert engine_devices.device_pointers("Vulkan0") == [13]
    assert engine_devices.device_pointers("cpu") == []
    assert engine_devices.device_pointers(None) is None


@pytest.mark.usefixtures("listed")
def test_a_device_that_ggml_does_not_know_is_refused_with_those_it_knows() -> None:
    with pytest.raises(Exception, match=r"(?s)'CUDA7'.*CUDA0, Vulkan0, cpu"):
        engine_devices.device_pointers("CUDA7")


@pytest.mark.usefixtures("listed")
def test_memory_that_a_driver_does_not_tell_is_unknown_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    card, chip = told(monkeypatch, *engine_devices.list_devices()).devices
    assert (card.free_bytes, card.total_bytes, card.shares_ram) == (20 * GIB, 24 * GIB, False)
    assert (chip.free_bytes, chip.total_bytes, chip.shares_ram) == (None, None, True)


def test_the_real_llama_cpp_is_asked_in_a_child() -> None:
    hardware = probe_hardware()
    assert hardware.llama_build.startswith("llama-cpp-python")
    assert hardware.physical_cores >= 1
    assert hardware.processor
    assert hardware.ram_total_bytes is not None
    assert hardware.ram_available_bytes is not None
    assert 0 < hardware.ram_available_bytes <= hardware.ram_total_bytes


def test_a_probe_that_dies_is_an_error_that_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; sys.stderr.write('no driver\\n'); sys.stderr.flush(); os.kill(os.getpid(), 4)"
    monkeypatch.setattr(devices, "_PROBE", (sys.executable, "-c", code))
    with pytest.raises(EngineCrashedError, match=r"SIGILL: no driver"):
        probe_hardware()


# Control groups


def v2(folder: Path, *, limit: str, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cache}\nactive_file 0\ninactive_file {cache}\n")


def test_the_tightest_limit_above_a_process_holds(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    v2(root / "outer", limit=str(8 * GIB), used=7 * GIB)
    v2(root / "outer" / "inner", limit="max", used=2 * GIB)
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (limit,) = cgroup_limits(tmp_path / "own", root)
    assert (limit.limit_bytes, limit.available_bytes) == (8 * GIB, 1 * GIB)


def test_page_cache_counts_as_available(tmp_path: Path) -> None:
    v2(tmp_path, limit=str(8 * GIB), used=7 * GIB, cache=4 * GIB)
    (tmp_path / "own").write_text("0::/\n")
    assert cgroup_limits(tmp_path / "own", tmp_path)[0].available_bytes == 5 * GIB


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(str(4 * GIB))
    (folder / "memory.usage_in_bytes").write_text(str(3 * GIB))
    (folder / "memory.stat").write_text(f"total_active_file 0\ntotal_inactive_file {GIB}\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1")
    (tmp_path / "own").write_text("12:pids:/x\n4:memory:/job\n0::/\n")
    (limit,) = cgroup_limits(tmp_path / "own", tmp_path)
    assert (limit.limit_bytes, limit.available_bytes) == (4 * GIB, 2 * GIB)


def test_a_machine_without_control_groups_has_no_such_limit(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path / "missing", tmp_path) == []


# Budgets


def test_without_an_accelerator_the_budget_is_main_memory_with_a_margin() -> None:
    budget = budget_of(machine(), memory=None, device=None)
    assert budget.device is None
    assert budget.device_bytes is None
    assert 16 * GIB - budget.host_bytes == int(16 * GIB * 0.05)


def test_of_little_free_memory_at_least_half_a_gibibyte_stays_free() -> None:
    assert budget_of(machine(available=2 * GIB), memory=None, device="cpu").host_bytes == 2 * GIB - (512 << 20)
    assert budget_of(machine(available=1 << 20), memory=None, device="cpu").host_bytes == 0


def test_a_limit_holds_for_the_discrete_card_and_main_memory_stays_what_it_is() -> None:
    budget = budget_of(machine(CUDA), memory=8 * GIB, device=None)
    assert (budget.device, budget.shares_ram) == ("CUDA0", False)
    assert budget.device_bytes == 8 * GIB - int(8 * GIB * 0.05)
    assert budget.host_bytes == budget_of(machine(), memory=None, device=None).host_bytes


def test_a_limit_holds_for_main_memory_where_nothing_else_is_used() -> None:
    budget = budget_of(machine(CUDA), memory=8 * GIB, device="CPU")
    assert (budget.device, budget.host_bytes) == (None, 8 * GIB - int(8 * GIB * 0.05))


def test_a_device_that_shares_main_memory_has_no_more_than_that() -> None:
    budget = budget_of(machine(METAL, available=4 * GIB), memory=None, device=None)
    assert budget.shares_ram
    assert budget.device_bytes == budget.host_bytes < 4 * GIB


def test_the_first_card_with_memory_of_its_own_is_taken_however_much_is_free() -> None:
    emptier = msgspec.structs.replace(CUDA, name="CUDA1", free_bytes=22 * GIB)
    assert choose_device(machine(METAL, CUDA, emptier), None) == CUDA
    assert choose_device(machine(METAL), None) == METAL
    assert choose_device(machine(CUDA), "cpu") is choose_device(machine(), None) is None


def test_unknown_free_memory_asks_for_a_limit() -> None:
    with pytest.raises(UsageError, match=r"(?s)Vulkan1 is free is unknown.*--memory 8GiB"):
        budget_of(machine(SILENT), memory=None, device="Vulkan1")
    assert budget_of(machine(SILENT), memory=GIB, device="vulkan1").device == "Vulkan1"


def test_a_limit_is_enough_where_nothing_is_known_about_memory() -> None:
    budget = budget_of(machine(SILENT, available=None), memory=8 * GIB, device=None)
    assert budget.device_bytes == budget.host_bytes == 8 * GIB - int(8 * GIB * 0.05)


def test_an_unknown_device_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"(?s)--device CUDA9.*CUDA0, cpu"):
        budget_of(machine(CUDA), memory=None, device="CUDA9")


def test_a_budget_says_where_it_comes_from() -> None:
    budget: Budget = budget_of(machine(CUDA), memory=8 * GIB, device=None)
    assert budget.reason == "CUDA0: 8.0 GiB by --memory, less 0.4 GiB; main memory: 16.0 GiB free, less 0.8 GiB"


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 * GIB), ("8G", 8 * GIB), (" 500 mb ", 500 * 10**6), ("1.5GiB", 3 * GIB // 2), ("4096B", 4096)],
)
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["8", "", "GiB", "-1G", "0G", "8 giga", "1e9B", "٨G", "nanG", "8GiB 2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_bytes(text)
