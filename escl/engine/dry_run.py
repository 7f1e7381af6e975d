"""What llama.cpp itself says that a context would allocate, without reading weights or allocating anything of size.

Owns the reading of llama.cpp's log lines, which are no stable interface: tests hold them against the pinned version.
`escl.memory.estimate` answers the same question from the header alone and is checked against this. A file that holds
only a header, its data a hole, is enough. Importing this module loads no llama.cpp; `dry_run` asks a child.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from escl.engine.launch import check_spec, child_environment, death_of, how_it_ended
from escl.engine.wire import EngineSpec
from escl.errors import EngineError, ModelLoadError

_COMMAND: Final = (sys.executable, "-P", "-m", "escl.engine.dry_run")
_WITHIN_S: Final = 120.0
_MIB: Final = 1 << 20

_KV: Final = re.compile(r"llama_kv_cache: size =\s*([\d.]+) MiB \(\s*(\d+) cells,\s*(\d+) layers")
_BUFFER: Final = re.compile(r"(\S+)\s+(compute|output) buffer size =\s*([\d.]+) MiB")


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that llama.cpp would allocate; it rounds each to 0.01 MiB.

    Attributes:
        kv_bytes: Keys and values, over all devices.
        kv_cells: Cells of one stream.
        compute_bytes: Work memory by ggml's buffer name: "CPU", "CUDA0", "CUDA_Host".
        output_bytes: Rows of logits, by buffer name.
    """

    kv_bytes: int
    kv_cells: int
    compute_bytes: dict[str, int]
    output_bytes: dict[str, int]


class _Refused(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    hint: str | None


def dry_run(spec: EngineSpec) -> DryRun:
    """Return what the engine of `spec` would allocate besides weights; takes about half a second.

    Raises:
        EngineError: llama.cpp refuses the file or the settings, or its log no longer says how much.
    """
    check_spec(spec)
    try:
        done = subprocess.run(
            _COMMAND,
            input=msgspec.json.encode(spec),
            capture_output=True,
            env=child_environment(os.environ),
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"llama.cpp did not finish a dry run of {spec.model} within {_WITHIN_S:.0f} s") from None
    if done.returncode != 0 or not done.stdout:
        stderr = done.stderr.decode("utf-8", errors="replace").splitlines()
        raise death_of(how_it_ended(done.returncode), stderr=stderr, while_loading=True)
    answer = msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, msgspec.Raw])
    if "error" in answer:
        refused = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Refused)
        raise ModelLoadError(refused.error, hint=refused.hint)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=DryRun)


def read_log(lines: Iterable[str]) -> DryRun:
    """Return what a context's log lines say.

    Raises:
        EngineError: A line that must be there is missing: this llama.cpp words its log in another way.
    """
    kv_bytes, kv_cells = 0, 0
    sizes: dict[str, dict[str, int]] = {"compute": {}, "output": {}}
    for line in lines:
        if match := _KV.search(line):
            # A model with sliding windows has two caches.
            kv_bytes, kv_cells = kv_bytes + _bytes(match[1]), max(kv_cells, int(match[2]))
        elif match := _BUFFER.search(line):
            sizes[match[2]][match[1]] = _bytes(match[3])
    if not kv_bytes or not all(sizes.values()):
        raise EngineError("llama.cpp's log does not say what it would allocate: its wording has changed")
    return DryRun(kv_bytes=kv_bytes, kv_cells=kv_cells, compute_bytes=sizes["compute"], output_bytes=sizes["output"])


def _bytes(mib: str) -> int:
    return round(float(mib) * _MIB)


def _run(spec: EngineSpec) -> DryRun:
    from escl.engine import llama

    lines: list[str] = []
    llama.listen(lines.append)
    model = llama.Model(
        Path(spec.model), gpu_layers=spec.gpu_layers, device=spec.device, repack=spec.repack, dry_run=True
    )
    context = llama.Context.of_spec(model, spec, n_ctx=min(spec.ctx_per_slot, model.n_ctx_train), threads=1)
    found = read_log(lines)
    context.close()
    model.close()
    return found


def main() -> int:
    """Read an EngineSpec as JSON from stdin, print a DryRun or why there is none; return the exit code."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineSpec)
    answer: DryRun | _Refused
    try:
        answer = _run(spec)
    except EngineError as error:
        answer = _Refused(error=error.message, hint=error.hint)
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # As in the worker: destructors of device backends do not all survive interpreter shutdown.
    os._exit(code)
