"""What was measured of a model file on this machine, kept in the user's data folder.

Owns the structs, the file's name and when a stored tuning may be used. Measures nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from escl.engine.devices import CPU_ONLY
from escl.engine.wire import EngineSpec
from escl.memory.devices import Hardware
from escl.memory.rates import Rates
from escl.shelf.manifest import user_shelf

Purpose = Literal["dialogue", "labels"]

_MAX_BYTES: Final = 1 << 20
_FORM: Final = "2"
"""What is measured; a tuning of another form has another name, so that it is measured anew."""


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of EngineSpec that decide speed and not what is computed.

    Attributes:
        threads: None is the physical cores.
        flash_attention: None lets llama.cpp decide.
    """

    repack: bool = True
    n_ubatch: int = 512
    threads: int | None = None
    flash_attention: bool | None = None

    def applied_to(self, spec: EngineSpec) -> EngineSpec:
        """Return `spec` with these settings, and a batch that holds a micro-batch."""
        return msgspec.structs.replace(
            spec,
            repack=self.repack,
            n_ubatch=self.n_ubatch,
            n_batch=max(spec.n_batch, self.n_ubatch),
            threads=self.threads,
            flash_attention=self.flash_attention,
        )


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measurement with a bare loop over llama_decode.

    Attributes:
        threads: The number that ran, also where the settings leave it open.
        prompt_tokens: Evaluated in one sequence; the same context is behind each sequence while decoding.
        decode_tps: New tokens a second over all sequences; None when only prefill was measured.
        load_s: Seconds to load the weights; None when they were in memory already.
        adapter: Whether a LoRA adapter was on.
        draw_s: Seconds to draw a token from its logits; None when nothing was decoded.
        failed: Why there are no numbers.
    """

    settings: EngineSettings
    threads: int
    prompt_tokens: int
    sequences: int
    steps: int
    prefill_tps: float | None = None
    decode_tps: float | None = None
    load_s: float | None = None
    adapter: bool = False
    draw_s: float | None = None
    failed: str | None = None


class Tuned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The best settings found for a model file on a machine, and what they gave.

    Attributes:
        sha256: Of the model file.
        machine: Processor and cores.
        device: Of the offloaded layers; None is CPU only.
        gpu_layers: Layers that were on the device.
        settings: For dialogue; `rates` are theirs.
        label_settings: For a scorer, whose work is nearly all prefill; `label_rates` are theirs.
        seconds: What the tuning took.
        complete: Whether everything was tried; otherwise the time was up.
    """

    sha256: str
    machine: str
    device: str | None
    gpu_layers: int
    llama_build: str
    measured_utc: str
    settings: EngineSettings
    rates: Rates
    label_settings: EngineSettings
    label_rates: Rates
    trials: tuple[Trial, ...]
    seconds: float
    complete: bool

    def settings_for(self, purpose: Purpose) -> EngineSettings:
        """Return the settings for an engine of that purpose."""
        return self.label_settings if purpose == "labels" else self.settings

    def rates_for(self, purpose: Purpose) -> Rates:
        """Return what these settings gave."""
        return self.label_rates if purpose == "labels" else self.rates


def tuning_folder() -> Path:
    """Return where tunings are kept: beside the user's own shelf."""
    return user_shelf().parent / "tuning"


def machine_of(hardware: Hardware) -> str:
    """Return what a measurement depends on, besides file, device and llama.cpp."""
    return f"{hardware.processor}, {hardware.physical_cores} cores"


def device_key(device: str | None) -> str | None:
    """Return the device as it is stored: None for "cpu"."""
    return None if device is None or device.lower() == CPU_ONLY else device


def stored_tuning(
    sha256: str,
    *,
    hardware: Hardware,
    device: str | None,
    gpu_layers: int = -1,
    on_note: Callable[[str], None] | None = None,
) -> Tuned | None:
    """Return what was measured of a file on this machine with this llama.cpp, None when nothing was.

    Args:
        sha256: Of the model file.
        hardware: The machine; another processor, number of cores or build has other speeds.
        device: The accelerator's name; None and "cpu" are the CPU.
        gpu_layers: How many layers the device had; -1 is all.
        on_note: Called with a line for a file that is there and cannot be used.
    """
    path = _path(sha256, hardware=hardware, device=device, gpu_layers=gpu_layers)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise msgspec.DecodeError(f"it has more than {_MAX_BYTES} bytes")
        tuned = msgspec.json.decode(content, type=Tuned)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        _note(on_note, f"{path} is no tuning and is left alone: {error}")
        return None
    where = device_key(device)
    layers = gpu_layers if where is not None else 0
    expected = (sha256, machine_of(hardware), where, layers, hardware.llama_build)
    if (tuned.sha256, tuned.machine, tuned.device, tuned.gpu_layers, tuned.llama_build) != expected:
        _note(on_note, f"{path} is the tuning of something else and is left alone")
        return None
    if not (tuned.rates.decode_tps and tuned.label_rates.decode_tps):
        _note(on_note, f"{path} does not say how fast the model decodes and is left alone")
        return None
    return tuned


def store_tuning(tuned: Tuned, *, hardware: Hardware, on_note: Callable[[str], None] | None = None) -> None:
    """Keep a tuning, whole or not at all; a folder that cannot be written costs a note, not the run."""
    path = _path(tuned.sha256, hardware=hardware, device=tuned.device, gpu_layers=tuned.gpu_layers)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(tuned), indent=1))
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        _note(on_note, f"the tuning cannot be kept in {path.parent}: {error.strerror}")


def was_too_slow(sha256: str, *, hardware: Hardware, device: str | None) -> bool:
    """Return whether `remember_too_slow` was called for this file here."""
    return _slow_mark(sha256, hardware=hardware, device=device).exists()


def remember_too_slow(sha256: str, *, hardware: Hardware, device: str | None) -> None:
    """Leave a mark that measuring a file here ended without a result, so that no run spends that time again."""
    mark = _slow_mark(sha256, hardware=hardware, device=device)
    # A folder that cannot be written costs the next run the same seconds, no more.
    with contextlib.suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _slow_mark(sha256: str, *, hardware: Hardware, device: str | None) -> Path:
    return _path(sha256, hardware=hardware, device=device, gpu_layers=-1).with_suffix(".too-slow")


def _path(sha256: str, *, hardware: Hardware, device: str | None, gpu_layers: int) -> Path:
    place = device_key(device) or CPU_ONLY
    if place != CPU_ONLY and gpu_layers >= 0:
        place = f"{gpu_layers} layers on {place}"
    where = "\n".join([_FORM, machine_of(hardware), place, hardware.llama_build])
    return tuning_folder() / f"{sha256[:16]}-{hashlib.sha256(where.encode()).hexdigest()[:16]}.json"


def _note(on_note: Callable[[str], None] | None, line: str) -> None:
    if on_note is not None:
        on_note(line)
