"""The machine and the build that numbers belong to. No host, user or path is in it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

from escl.bench.result import MachineFacts
from escl.memory.devices import Hardware

_PACKAGES: Final = ("escl", "llama-cpp-python", "numpy", "gguf")


def machine_facts(hardware: Hardware) -> MachineFacts:
    """Return what stands above every table."""
    return MachineFacts(
        processor=hardware.processor,
        physical_cores=hardware.physical_cores,
        ram_bytes=hardware.ram_total_bytes,
        accelerators=tuple(device.description for device in hardware.devices),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in _PACKAGES},
        llama_build=hardware.llama_build,
    )
