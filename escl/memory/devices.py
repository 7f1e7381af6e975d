"""What this machine has, and how much of it a run may use.

Owns Hardware, Budget and the margins. llama.cpp is asked in a short-lived child, so that this process keeps no context
on a device. Knows nothing of models.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from escl.engine.child import physical_cores
from escl.engine.devices import CPU_ONLY, Kind, ListedDevice, Listing
from escl.engine.launch import child_environment, how_it_ended
from escl.errors import EngineCrashedError, UsageError
from escl.memory.ram import read_ram

_PROBE: Final = (sys.executable, "-P", "-m", "escl.engine.devices")
# The first use of a GPU can take tens of seconds when the driver has to compile its kernels.
_PROBE_WITHIN_S: Final = 120.0
_BACKEND_NAMES: Final = {"MTL": "Metal"}

ESTIMATE_MARGIN: Final = 0.05
"""The share of any budget that stays unused: how far the estimates may be off."""
MIN_FREE_MARGIN_BYTES: Final = 512 << 20
"""The least that is left of memory that is merely free now: other programs, the desktop and drivers come and go."""

SMALL_BYTES: Final = 1 << 28
"""Below this, GiB with one decimal would say too little."""
_UNITS: Final = {
    "B": 1,
    "K": 1 << 10, "KIB": 1 << 10, "KB": 10**3,
    "M": 1 << 20, "MIB": 1 << 20, "MB": 10**6,
    "G": 1 << 30, "GIB": 1 << 30, "GB": 10**9,
    "T": 1 << 40, "TIB": 1 << 40, "TB": 10**12,
}  # fmt: skip
_SIZE: Final = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{1,3})\s*", re.ASCII)


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """An accelerator.

    Attributes:
        name: What --device picks, "CUDA0" for example.
        backend: "CUDA", "Metal", "Vulkan", "ROCm" and so on.
        total_bytes: Its memory; None when the driver does not say.
        free_bytes: What no one uses now; None when the driver does not say. Metal does not see other programs' use.
        shares_ram: Its memory is the processor's.
    """

    name: str
    backend: str
    description: str
    kind: Kind
    total_bytes: int | None
    free_bytes: int | None
    shares_ram: bool


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """The machine as a run finds it.

    Attributes:
        devices: Accelerators only, in llama.cpp's order.
        ram_total_bytes: The machine's, or a container's limit; None is unknown.
        ram_available_bytes: What can be taken without swapping; None is unknown.
        llama_build: Version and processor features of llama.cpp; which weights can be repacked follows from it.
    """

    devices: tuple[Device, ...]
    ram_total_bytes: int | None
    ram_available_bytes: int | None
    physical_cores: int
    processor: str
    llama_build: str


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes the engines of a run may take at any moment.

    Attributes:
        host_bytes: Of main memory.
        device_bytes: Of the accelerator's memory; None without one.
        device: The accelerator's name; None is CPU only.
        shares_ram: Host and device needs come out of the same memory: their sum must stay within `host_bytes`, and the
            device's part within `device_bytes`.
        reason: Where the numbers come from, in words.
    """

    host_bytes: int
    device_bytes: int | None
    device: str | None
    shares_ram: bool
    reason: str = ""


def probe_hardware() -> Hardware:
    """Return the machine as it is now; takes about half a second, more with a GPU.

    Raises:
        EngineCrashedError: llama.cpp cannot be loaded here, or a driver does not answer.
    """
    listing, ram = _ask_llama(), read_ram()
    return Hardware(
        devices=tuple(_device(listed) for listed in listing.devices),
        ram_total_bytes=ram.total_bytes,
        ram_available_bytes=ram.available_bytes,
        physical_cores=physical_cores(),
        processor=_processor(),
        llama_build=listing.llama_build,
    )


def _ask_llama() -> Listing:
    try:
        done = subprocess.run(
            _PROBE,
            capture_output=True,
            env=child_environment(os.environ),
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineCrashedError(
            f"llama.cpp did not list its devices within {_PROBE_WITHIN_S:.0f} s", hint="is the GPU's driver sound?"
        ) from None
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", errors="replace").strip().splitlines()[-3:]
        raise EngineCrashedError(
            f"llama.cpp could not list its devices: the process {how_it_ended(done.returncode)}: {' | '.join(last)}",
            hint="install llama-cpp-python anew; SIGILL means a build for another processor",
        )
    try:
        # Drivers may print on stdout too; the listing is the last line.
        return msgspec.json.decode(b"".join(done.stdout.splitlines()[-1:]), type=Listing)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise EngineCrashedError(
            f"what llama.cpp's process said of its devices cannot be read: {error}",
            hint="install escl and llama-cpp-python anew",
        ) from error


def _device(listed: ListedDevice) -> Device:
    backend = _BACKEND_NAMES.get(listed.backend, listed.backend)
    # ggml: a driver that does not report memory gives 0 for both (some Vulkan drivers do).
    known = listed.total_bytes > 0
    return Device(
        name=listed.name,
        backend=backend,
        description=listed.description,
        kind=listed.kind,
        total_bytes=listed.total_bytes if known else None,
        free_bytes=listed.free_bytes if known else None,
        shares_ram=listed.kind == "integrated" or backend == "Metal",
    )


def _processor() -> str:
    system = platform.system()
    if system == "Linux":
        return name_in_cpuinfo(Path("/proc/cpuinfo")) or platform.machine()
    if system == "Darwin":
        ask = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def name_in_cpuinfo(path: Path) -> str | None:
    """Return the processor's name as Linux gives it; ARM kernels give none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next((name for name in names if name), None)


def budget_of(hardware: Hardware, *, memory: int | None, device: str | None) -> Budget:
    """Return what a run may use.

    Args:
        hardware: The machine.
        memory: The user's limit in bytes: for the accelerator, and for main memory where no other is used. With it a
            small machine is rehearsed on a large one. None takes what is free.
        device: An accelerator's name or "cpu"; see `choose_device` for None.

    Raises:
        UsageError: No such device, or its free memory is unknown and no limit was given.
    """
    chosen = choose_device(hardware, device)
    if chosen is None:
        host, reason = _usable("main memory", hardware.ram_available_bytes, memory)
        return Budget(host_bytes=host, device_bytes=None, device=None, shares_ram=False, reason=reason)
    if chosen.shares_ram:
        host, reason = _usable("main memory", hardware.ram_available_bytes, memory)
        on_device, _ = _usable(chosen.name, chosen.free_bytes if chosen.free_bytes is not None else host, memory)
        reason = f"{reason}; {chosen.name} shares it"
        return Budget(
            host_bytes=host, device_bytes=min(host, on_device), device=chosen.name, shares_ram=True, reason=reason
        )
    on_device, reason = _usable(chosen.name, chosen.free_bytes, memory)
    ram = hardware.ram_available_bytes
    host, host_reason = _usable("main memory", ram, memory if ram is None else None)
    return Budget(
        host_bytes=host,
        device_bytes=on_device,
        device=chosen.name,
        shares_ram=False,
        reason=f"{reason}; {host_reason}",
    )


def choose_device(hardware: Hardware, name: str | None) -> Device | None:
    """Return the accelerator of that name, None for "cpu".

    Without a name it is the first one in llama.cpp's order that has memory of its own, else the first: never the one
    that happens to be free, so that a run is resumed on the device it began on.

    Raises:
        UsageError: No such device.
    """
    if name is None:
        return min(hardware.devices, key=lambda device: device.shares_ram, default=None)
    if name.lower() == CPU_ONLY:
        return None
    by_name = {device.name.lower(): device for device in hardware.devices}
    if name.lower() not in by_name:
        known = ", ".join([*(device.name for device in hardware.devices), CPU_ONLY])
        raise UsageError(f"--device {name}: llama.cpp finds no such device here", hint=f"name one of: {known}")
    return by_name[name.lower()]


def _usable(what: str, free: int | None, limit: int | None) -> tuple[int, str]:
    """Return the bytes that may be used of a memory, and why so many."""
    if limit is not None:
        margin = int(limit * ESTIMATE_MARGIN)
        return limit - margin, f"{what}: {in_size(limit)} by --memory, less {in_size(margin)}"
    if free is None:
        raise UsageError(f"how much of {what} is free is unknown here", hint="say how much may be used: --memory 8GiB")
    margin = min(free, max(int(free * ESTIMATE_MARGIN), MIN_FREE_MARGIN_BYTES))
    return free - margin, f"{what}: {in_size(free)} free, less {in_size(margin)}"


def in_size(size_bytes: int) -> str:
    """Return a size as people read it: "7.5 GiB"; a small one as "130 MiB"."""
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= SMALL_BYTES else f"{size_bytes / (1 << 20):.0f} MiB"


def parse_bytes(text: str) -> int:
    """Return the bytes that a size names: "8GiB" and "8G" are 8 * 2^30, "8GB" is 8 * 10^9.

    Raises:
        UsageError: It is no size, names no unit, or is zero.
    """
    match = _SIZE.fullmatch(text)
    factor = _UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise UsageError(f"{text!r} is no size", hint="write a number and a unit: 8GiB, 8G, 500MB")
    size_bytes = int(Decimal(match[1]) * factor)
    if size_bytes <= 0:
        raise UsageError(f"{text!r} is no memory at all", hint="write a number and a unit: 8GiB, 8G, 500MB")
    return size_bytes
