"""How an engine's child process is started, and what its end means.

Owns what must hold before a start, the command, the environment and the reading of exit codes. Knows no requests.
"""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from escl.core.secrets import without_secrets
from escl.engine.wire import EngineSpec
from escl.errors import ChatTemplateError, EngineCrashedError, EngineError, EngineKilledError, ModelLoadError

COMMAND: Final = (sys.executable, "-P", "-m", "escl.engine.worker")
"""-P keeps the current folder out of the child's import path."""

# How long a thread of libgomp waits busily for the others before it sleeps. The default of milliseconds makes a model
# crawl as soon as anything else wants a core, be it a second engine: measured on 4 busy cores, 0.5B at Q4_K_M, tokens a
# second were below 1 by default, 20 with 2000 and 38 without any waiting; on 4 idle cores 123, 119 and 76.
_SPINS: Final = "2000"
# glibc raises its own threshold for mapped allocations to 32 MiB as such blocks are freed, and keeps what it frees
# below that: work memory that is allocated anew for each adapter then stays resident twice. Fixed thresholds give it
# back: 536 MiB became 507 with 14 adapters on a 0.3B scorer, at the same speed. A row of logits stays below them.
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
_GGUF_MAGIC: Final = b"GGUF"
# LLAMA_MAX_SEQ of llama-cparams.h.
_MAX_SEQUENCES: Final = 256
_STDERR_SHOWN: Final = 8
_FAULTS: Final = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE")


def check_spec(spec: EngineSpec) -> None:
    """Refuse, before a child is started, what llama.cpp would answer with abort() or without a reason.

    Raises:
        ModelLoadError: A file is missing or no GGUF file, or the numbers cannot be.
    """
    for path in [spec.model, *spec.adapters.values()]:
        check_file(path)
    if not 0 < spec.slots < _MAX_SEQUENCES or spec.ctx_per_slot < 1 or spec.n_batch < spec.slots:
        raise ModelLoadError(
            f"slots={spec.slots}, ctx_per_slot={spec.ctx_per_slot}, n_batch={spec.n_batch} cannot be: "
            f"slots must be 1 to {_MAX_SEQUENCES - 1} and at most n_batch"
        )
    if not 0 < spec.n_ubatch <= spec.n_batch:
        raise ModelLoadError(
            f"n_ubatch={spec.n_ubatch} and n_batch={spec.n_batch} contradict each other: "
            "a batch is cut into pieces of n_ubatch, so that must be 1 to n_batch"
        )
    if spec.kv_type != "f16" and spec.flash_attention is False:
        raise ModelLoadError(
            f"a KV cache stored as {spec.kv_type} needs flash attention, which is switched off",
            hint="leave flash attention to llama.cpp, or store the KV cache as f16",
        )


def check_file(path: str) -> None:
    """Raise ModelLoadError when a file is missing or no GGUF file."""
    try:
        with Path(path).open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise ModelLoadError(f"{path} cannot be opened: {error.strerror}") from error
    if len(magic) < len(_GGUF_MAGIC):
        raise ModelLoadError(f"{path} is empty or cut off: it has {len(magic)} bytes")
    if magic != _GGUF_MAGIC:
        raise ModelLoadError(f"{path} is no GGUF file: it begins with {magic!r}", hint="convert it with escl convert")


def child_environment(parent: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: the parent's without secrets, and with escl importable from where it is."""
    kept = without_secrets(parent)
    root = str(Path(__file__).resolve().parents[2])
    if root not in [*site.getsitepackages(), site.getusersitepackages()]:
        kept["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [kept.get("PYTHONPATH")])])
    if "OMP_WAIT_POLICY" not in kept:
        kept.setdefault("GOMP_SPINCOUNT", _SPINS)
    return _MALLOC | kept | {"PYTHONUNBUFFERED": "1"}


def own_process_group() -> dict[str, Any]:
    """Return subprocess arguments that keep Ctrl-C in a terminal from reaching the child: the parent decides."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def how_it_ended(code: int) -> str:
    """Return an exit code in words that go on from "the engine's process ..."."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def death_of(trouble: str, *, stderr: Sequence[str], while_loading: bool) -> EngineError:
    """Return the error that a child's end means.

    Args:
        trouble: How it ended, in words.
        stderr: Its latest lines.
        while_loading: Whether it had not been ready yet. llama.cpp answers some malformed files with abort(), and would
            again, so that is a ModelLoadError then.
    """
    # The worker arms the timer behind SIGPROF for nothing but rendering.
    if "SIGPROF" in trouble:
        return ChatTemplateError("the chat template kept the processor busy and could not be interrupted")
    said = "\n".join(line for line in stderr[-_STDERR_SHOWN:] if line.strip())
    last_words = f"; its last words:\n{said}" if said else ""
    if while_loading and any(fault in trouble for fault in _FAULTS):
        hint = "the file is malformed, or of a kind that this llama.cpp cannot load"
        return ModelLoadError(f"llama.cpp gave up while loading: the process {trouble}{last_words}", hint=hint)
    kind = EngineKilledError if "SIGKILL" in trouble else EngineCrashedError
    return kind(f"the engine's process {trouble}{last_words}", hint=_hint(trouble))


def _hint(trouble: str) -> str | None:
    if "SIGKILL" in trouble:
        return "the system may have run out of memory: use fewer slots, a shorter context, or a smaller quantization"
    if "SIGILL" in trouble:
        return "this build of llama.cpp uses instructions that this processor lacks: install it from source"
    return None
