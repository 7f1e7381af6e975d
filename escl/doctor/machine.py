"""Checks of the machine: accelerators, main memory, and the disk below escl's folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from escl.doctor.finding import Finding, fail, ok, warn
from escl.errors import ExitCode
from escl.memory.devices import Device, Hardware, in_size
from escl.memory.ram import Ram

LITTLE_MEMORY_BYTES: Final = 6 << 30
"""The least that docs/memory.md has a plan for with the real models."""
LITTLE_DISK_BYTES: Final = 1 << 30
"""What runs, tunings and a temporary file need at most."""
ROOM_FOR_MODELS_BYTES: Final = 60 << 30
"""Checkpoints of about 45 GB, and what is made of them."""

# What a driver leaves on a Linux machine, and the build of llama.cpp that uses it.
_DRIVERS: Final = {
    Path("/dev/nvidiactl"): ("an NVIDIA GPU", "CMAKE_ARGS=-DGGML_CUDA=on"),
    Path("/dev/kfd"): ("an AMD GPU", "CMAKE_ARGS=-DGGML_VULKAN=on"),
}


def device_findings(hardware: Hardware | None, drivers: dict[Path, tuple[str, str]] = _DRIVERS) -> Iterator[Finding]:
    """Yield each accelerator with its memory, or that there is none.

    Args:
        hardware: None when llama.cpp could not be asked.
        drivers: Files that tell of a GPU, what it is, and how to build for it.
    """
    if hardware is None:
        to_do = "put llama.cpp right first"
        yield warn("accelerator", "unknown: llama.cpp could not be asked", to_do=to_do)
        return
    for device in hardware.devices:
        yield _device_finding(device)
    if hardware.devices:
        return
    for path, (what, build) in drivers.items():
        if path.exists():
            said = f"none that llama.cpp can use, but {path} tells of {what}"
            to_do = f"build for it: {build} pip install --force-reinstall --no-cache-dir llama-cpp-python"
            yield warn("accelerator", said, to_do=to_do)
            return
    yield ok("accelerator", f"none; models run on the processor: {hardware.processor}, {hardware.physical_cores} cores")


def _device_finding(device: Device) -> Finding:
    name = f"{device.name}: {device.description}"
    if device.free_bytes is None:
        to_do = "say with --memory how much of it may be used, 8GiB for example"
        return warn("accelerator", f"{name}, whose driver does not say how much memory there is", to_do=to_do)
    total = "" if device.total_bytes is None else f" of {in_size(device.total_bytes)}"
    shared = ", shared with the processor" if device.shares_ram else ""
    return ok("accelerator", f"{name}, {in_size(device.free_bytes)}{total} free{shared}")


def memory_finding(ram: Ram) -> Finding:
    """Return how much main memory there is for models."""
    total = "unknown" if ram.total_bytes is None else in_size(ram.total_bytes)
    if ram.available_bytes is None:
        to_do = "say with --memory how much may be used, 8GiB for example"
        return warn("memory", f"{total} in all; how much is free is unknown here", to_do=to_do)
    said = f"{in_size(ram.available_bytes)} of {total} free"
    if ram.available_bytes < LITTLE_MEMORY_BYTES:
        to_do = "close other programs, or use smaller models; `escl plan` says what fits"
        return warn("memory", f"{said}; ESC-Role and ESC-RANK need about {in_size(LITTLE_MEMORY_BYTES)}", to_do=to_do)
    return ok("memory", said)


def disk_finding(home: Path, *, has_models: bool) -> Finding:
    """Return whether escl's folder can be written to, and how much room there is.

    Args:
        home: The folder, which need not exist yet.
        has_models: Whether the real models are on the shelf already.
    """
    there = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    if not there.is_dir():
        to_do = "move that file, or set ESCL_HOME to another folder"
        return fail("disk", f"{there} is no folder", to_do=to_do, exit_code=ExitCode.STORAGE)
    try:
        free = shutil.disk_usage(there).free
        _try_to_write(there, makes_folder=there != home)
    except OSError as error:
        to_do = "free some room or make it writable, or set ESCL_HOME to another folder"
        said = f"{there} cannot be written to: {error.strerror or error}"
        return fail("disk", said, to_do=to_do, exit_code=ExitCode.STORAGE)
    said = f"{in_size(free)} free at {home}" + ("" if there == home else ", which is not there yet")
    if free < LITTLE_DISK_BYTES:
        to_do = "free some room, or set ESCL_HOME to a folder on another disk"
        return fail("disk", said, to_do=to_do, exit_code=ExitCode.STORAGE)
    if free < ROOM_FOR_MODELS_BYTES and not has_models:
        to_do = f"free {in_size(ROOM_FOR_MODELS_BYTES)} for checkpoints, or bring ready models: `escl bundle install`"
        return warn("disk", f"{said}; to pull and convert ESC-Role and ESC-RANK takes more", to_do=to_do)
    return ok("disk", said)


def _try_to_write(folder: Path, *, makes_folder: bool) -> None:
    """Raise OSError where nothing can be made in `folder`; leave nothing behind."""
    if makes_folder:
        effective = os.access in os.supports_effective_ids
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
            raise PermissionError(13, "permission denied")
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0" * 4096)
        file.flush()
