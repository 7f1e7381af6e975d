"""All checks in their order. One that fails keeps none of the others from being made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from escl import __version__
from escl.core.user_home import user_home
from escl.doctor.finding import Diagnosis, Finding
from escl.doctor.machine import device_findings, disk_finding, memory_finding
from escl.doctor.software import llama_finding, package_findings, python_finding, sqlite_finding
from escl.doctor.stock import certificate_findings, has_real_models, protocol_findings, shelf_findings
from escl.doctor.surroundings import Terminal, offline_finding, terminal_finding
from escl.errors import EngineCrashedError
from escl.memory.devices import Hardware, probe_hardware
from escl.memory.ram import read_ram


def diagnose(terminal: Terminal, environment: Mapping[str, str] = os.environ) -> Diagnosis:
    """Return all findings; llama.cpp and the drivers are asked in a child process, which may die of it.

    Args:
        terminal: Where the command's results are shown.
        environment: Variables that decide about the network.
    """
    return Diagnosis(escl=__version__, findings=tuple(_findings(terminal, environment)))


def _findings(terminal: Terminal, environment: Mapping[str, str]) -> Iterator[Finding]:
    hardware = _hardware()
    yield python_finding()
    yield from package_findings()
    yield llama_finding(hardware)
    yield from device_findings(hardware if isinstance(hardware, Hardware) else None)
    yield memory_finding(read_ram())
    yield disk_finding(user_home(), has_models=has_real_models())
    yield sqlite_finding()
    yield from shelf_findings()
    yield from protocol_findings()
    yield from certificate_findings()
    yield terminal_finding(terminal)
    yield offline_finding(environment)


def _hardware() -> Hardware | EngineCrashedError:
    try:
        return probe_hardware()
    except EngineCrashedError as error:
        return error
