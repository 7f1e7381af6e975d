"""The Python packages that a machine without internet installs escl from.

Owns the one step that needs a network: pip, in a process of its own, which fills a folder with wheels. The rest reads
that folder and asks pip, without a network, whether it is complete.
"""

from __future__ import annotations

import email
import lzma
import os
import platform
import struct
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from escl.bundle.contents import Item
from escl.bundle.manifest import WheelTarget
from escl.bundle.paths import WHEELS
from escl.errors import BundleError, StorageError, UsageError

_MAX_METADATA_BYTES: Final = 4 << 20
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, struct.error)
_ENGINE: Final = "llama-cpp-python"
_PORTABLE: Final = "-DGGML_NATIVE=OFF"
"""Compiles llama.cpp for every x86-64 processor with AVX2, or every 64-bit ARM one, not for the one that compiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that goes into a bundle.

    Attributes:
        licence: As its metadata states it; None when they do not.
    """

    path: Path
    name: str
    version: str
    licence: str | None


def here() -> WheelTarget:
    """Return this machine's platform and Python."""
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return WheelTarget(platform=tag, python=".".join(platform.python_version_tuple()[:2]))


def read_wheels(folder: Path) -> list[Wheel]:
    """Return the wheels in `folder`, sorted by file name.

    Raises:
        BundleError: There is none, something else lies among them, or two versions of one package.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder", hint=f"fill it first: escl bundle wheels {folder}")
    wheels = [_read_wheel(path) for path in sorted(folder.iterdir())]
    versions: dict[str, str] = {}
    for wheel in wheels:
        if versions.setdefault(wheel.name, wheel.version) != wheel.version:
            raise BundleError(f"{folder} holds two versions of {wheel.name}", hint="delete the one that is not wanted")
    if "escl" not in versions:
        raise BundleError(f"{folder} holds no wheel of escl", hint=f"fill it: escl bundle wheels {folder}")
    return wheels


def check_complete(folder: Path, platforms: Sequence[str], python: str | None) -> None:
    """Ask pip whether `folder` alone installs escl, on this machine or on the platforms named. No network is used.

    Args:
        folder: The wheels.
        platforms: Platform tags, all of one machine; empty for this machine.
        python: Such as 3.12; None for this one.

    Raises:
        BundleError: Something is missing; the message is pip's.
    """
    words = ["install", "--dry-run", "--ignore-installed", "--quiet", "--no-index", "--find-links", str(folder)]
    words += [f"--platform={tag}" for tag in platforms] + ([f"--python-version={python}"] if python else [])
    # pip takes a platform only together with a target; nothing is written there.
    with tempfile.TemporaryDirectory() as nowhere:
        words += ["--only-binary=:all:", "--target", nowhere, "escl"]
        found = _pip(words, environment=_without_settings(os.environ), capture=True)
    if found.returncode:
        said = "\n".join(line for line in found.stderr.splitlines() if line.strip())[-1500:]
        raise BundleError(f"the wheels in {folder} do not install escl by themselves:\n{said}")


def requirements(items: Iterable[tuple[Wheel, str]]) -> bytes:
    """Return a requirements file that pins every wheel, given with its SHA-256, for pip's --require-hashes."""
    pinned: dict[str, list[str]] = {}
    for wheel, sha256 in items:
        pinned.setdefault(f"{wheel.name}=={wheel.version}", []).append(f"--hash=sha256:{sha256}")
    return "".join(f"{pin} {' '.join(hashes)}\n" for pin, hashes in sorted(pinned.items())).encode()


def wheel_items(wheels: Iterable[Wheel]) -> list[Item]:
    """Return the wheels as items of a bundle."""
    return [Item(path=f"{WHEELS}/{wheel.path.name}", source=wheel.path) for wheel in wheels]


def collect(folder: Path, *, escl: str, native: bool) -> None:
    """Fill `folder` with the wheels of escl and of all it needs, in the versions that are installed here. Uses pip.

    Args:
        folder: Made when it is not there; a wheel of llama-cpp-python in it is kept, for a build of one's own.
        escl: Where pip takes escl from: a checkout, or escl's own wheel.
        native: Take llama.cpp as built for this very processor, which may not run on another.

    Raises:
        StorageError: The folder cannot be made.
        BundleError: pip failed; it has said why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}") from error
    versions = {canonicalize_name(found.name): found.version for found in metadata.distributions()}
    if not native and not any(folder.glob("llama_cpp_python-*.whl")):
        engine = f"{_ENGINE}=={metadata.version(_ENGINE)}"
        options = " ".join(filter(None, [_PORTABLE, os.environ.get("CMAKE_ARGS")]))
        _wheel(["--no-deps", "--no-cache-dir", f"--no-binary={_ENGINE}", engine], folder, {"CMAKE_ARGS": options})
    constraints = folder / "constraints.txt"
    pins = [f"{name}=={version}\n" for name, version in sorted(versions.items()) if name not in ("escl", "pip")]
    constraints.write_text("".join(pins), encoding="utf-8")
    try:
        _wheel(["--constraint", str(constraints), escl], folder, {})
    finally:
        constraints.unlink()


def _wheel(words: Sequence[str], folder: Path, extra: Mapping[str, str]) -> None:
    found = _pip(
        ["wheel", "--find-links", str(folder), "--wheel-dir", str(folder), *words], environment={**os.environ, **extra}
    )
    if found.returncode:
        raise BundleError(f"pip could not make the wheels: exit code {found.returncode}")


def _pip(
    words: Sequence[str], *, environment: Mapping[str, str], capture: bool = False
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    try:
        # What pip says while it works belongs to stderr: stdout is for results.
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if capture else sys.stderr,
            stderr=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
    except OSError as error:
        raise UsageError(f"pip could not be started: {error.strerror or error}") from error


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without pip's settings, which may name other places to look for packages."""
    kept = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def _read_wheel(path: Path) -> Wheel:
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise BundleError(f"{path} is no wheel; the folder may hold nothing else") from error
    return Wheel(path=path, name=str(name), version=str(version), licence=_licence(path))


def _licence(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            inner = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            with archive.open(inner) as file:
                text = file.read(_MAX_METADATA_BYTES).decode("utf-8", errors="replace")
    except (*_DAMAGED, OSError, StopIteration, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{path} is no wheel that can be read: {error}") from error
    # Read as bytes, fields with more than ASCII would be no text.
    fields = email.message_from_string(text)
    return _stated(fields.get("License-Expression"), fields.get("License"), fields.get_all("Classifier", []))


def _stated(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str | None:
    if expression:
        return expression
    of_licence = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::")]
    # Some packages put the licence's whole text into the field.
    short = text.strip() if text and len(text) < 100 and "\n" not in text else ""
    return short or ", ".join(of_licence) or None
