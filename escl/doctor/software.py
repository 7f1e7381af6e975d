"""Checks of what escl runs on: Python, its packages, SQLite, and llama.cpp, which is asked in a child process."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

from escl.doctor.finding import Finding, fail, ok, warn
from escl.errors import EngineCrashedError, ExitCode
from escl.memory.devices import Hardware
from escl.store.database import OLDEST_SQLITE, WAL_RESET_FIXED, sqlite_version

_OLDEST_PYTHON = (3, 11)


def python_finding(
    version: tuple[int, int, int] = sys.version_info[:3], *, bits: int = sys.maxsize.bit_length() + 1
) -> Finding:
    """Return whether this Python will do."""
    said = f"{'.'.join(map(str, version))}, {platform.system()} {platform.machine()}"
    if version < _OLDEST_PYTHON:
        return fail("Python", said, to_do="install Python 3.11 or newer and escl in it", exit_code=ExitCode.USAGE)
    if bits < 64:
        said = f"{said}, {bits} bits: it cannot address the memory that models take"
        return fail("Python", said, to_do="install a 64-bit Python and escl in it", exit_code=ExitCode.USAGE)
    return ok("Python", said)


def package_findings(requirements: Iterable[str] | None = None) -> Iterator[Finding]:
    """Yield whether everything that escl requires is installed in a version that it works with.

    Args:
        requirements: As a package states them; None takes escl's own.
    """
    if requirements is None:
        try:
            requirements = metadata.requires("escl") or []
        except metadata.PackageNotFoundError:
            to_do = "install escl, with `make demo` or pip, so that its packages can be compared"
            yield warn("packages", "escl itself is not installed, only its code is there", to_do=to_do)
            return
    wrong = [trouble for line in requirements if (trouble := _trouble(line)) is not None]
    if wrong:
        to_do = "install escl again: pip installs what it requires"
        yield fail("packages", "; ".join(wrong), to_do=to_do, exit_code=ExitCode.MODEL)
    else:
        yield ok("packages", "all there, in versions that escl works with")


def _trouble(line: str) -> str | None:
    """Return what is wrong with a requirement here, None for nothing; extras are not asked for."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"{line} is no requirement"
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"{requirement.name} is {version}, needed is {requirement.specifier}"


def llama_finding(hardware: Hardware | EngineCrashedError) -> Finding:
    """Return whether llama.cpp loads here.

    Args:
        hardware: What its child process told, or how that ended.
    """
    if isinstance(hardware, EngineCrashedError):
        to_do = hardware.hint or "install llama-cpp-python anew"
        return fail("llama.cpp", hardware.message, to_do=to_do, exit_code=ExitCode.MODEL)
    return ok("llama.cpp", _readable_build(hardware))


def _readable_build(hardware: Hardware) -> str:
    """Return the build with its backends and what of the processor it uses: "AVX2 = 1 | F16C = 1" is read out."""
    build, _, features = hardware.llama_build.partition(", CPU :")
    used = [
        name.strip() for name, _, value in (part.partition("=") for part in features.split("|")) if value.strip() == "1"
    ]
    backends = ", ".join(dict.fromkeys(["CPU", *(device.backend for device in hardware.devices)]))
    return f"{build}; backends in use: {backends}" + (f"; built for {', '.join(used)}" if used else "")


def sqlite_finding(version: tuple[int, int, int] | None = None) -> Finding:
    """Return whether this SQLite knows what the store uses."""
    found = version or sqlite_version()
    said = ".".join(map(str, found))
    if found < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        to_do = f"use a Python that brings SQLite {oldest} or newer"
        return fail("SQLite", f"{said} lacks what runs are kept with", to_do=to_do, exit_code=ExitCode.STORAGE)
    if found < WAL_RESET_FIXED:
        return ok("SQLite", f"{said}; its WAL-reset bug cannot bite: runs are kept with a rollback journal")
    return ok("SQLite", said)
