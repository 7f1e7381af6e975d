"""llama.cpp's quantizer, in a child process: an abort in C++ ends the child, not the conversion.

The parent's side knows the names; the child's side is the only place in escl.convert that imports llama_cpp.

Source of names and numbers: `enum llama_ftype` in llama.h of llama.cpp 0c1e57098.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from escl.core.secrets import without_secrets
from escl.errors import ConvertError, UsageError


@dataclass(frozen=True, slots=True)
class Quantization:
    """A llama.cpp quantization.

    Attributes:
        number: Its value in `enum llama_ftype`.
        bits: About how many bits it takes per weight, for the free-disk check.
        needs_imatrix: llama.cpp refuses it without an importance matrix, which escl does not make.
    """

    number: int
    bits: float
    needs_imatrix: bool = False


QUANTIZATIONS: Final[dict[str, Quantization]] = {
    "Q8_0": Quantization(7, 8.6),
    "Q6_K": Quantization(18, 6.7),
    "Q5_K_M": Quantization(17, 5.8),
    "Q5_K_S": Quantization(16, 5.7),
    "Q5_1": Quantization(9, 6.1),
    "Q5_0": Quantization(8, 5.7),
    "Q4_K_M": Quantization(15, 5.0),
    "Q4_K_S": Quantization(14, 4.8),
    "IQ4_NL": Quantization(25, 4.8),
    "IQ4_XS": Quantization(30, 4.6),
    "Q4_1": Quantization(3, 5.2),
    "Q4_0": Quantization(2, 4.8),
    "Q3_K_L": Quantization(13, 4.4),
    "Q3_K_M": Quantization(12, 4.1),
    "Q3_K_S": Quantization(11, 3.8),
    "IQ3_M": Quantization(27, 3.9),
    "IQ3_S": Quantization(26, 3.8),
    "IQ3_XS": Quantization(22, 3.6, needs_imatrix=True),
    "IQ3_XXS": Quantization(23, 3.4, needs_imatrix=True),
    "Q2_K": Quantization(10, 3.5),
    "Q2_K_S": Quantization(21, 3.2, needs_imatrix=True),
    "IQ2_M": Quantization(29, 3.0, needs_imatrix=True),
    "IQ2_S": Quantization(28, 2.9, needs_imatrix=True),
    "IQ2_XS": Quantization(20, 2.7, needs_imatrix=True),
    "IQ2_XXS": Quantization(19, 2.5, needs_imatrix=True),
    "IQ1_M": Quantization(31, 2.2, needs_imatrix=True),
    "IQ1_S": Quantization(24, 2.1, needs_imatrix=True),
}

_BUFFER_BYTES: Final = 256 << 20
"""llama.cpp keeps up to 8 GiB of rows in memory unless told otherwise."""


def quantization(name: str) -> Quantization:
    """Return the quantization called `name`, in any case.

    Raises:
        UsageError: There is none, or it needs an importance matrix.
    """
    found = QUANTIZATIONS.get(name.upper())
    usable = ", ".join(known for known, entry in QUANTIZATIONS.items() if not entry.needs_imatrix)
    if found is None:
        raise UsageError(f"no quantization is called {name}", hint=f"known: {usable}")
    if found.needs_imatrix:
        raise UsageError(
            f"{name} is unusable without an importance matrix, which escl does not make",
            hint=f"quantize with llama.cpp's own tools, or use one of {usable}",
        )
    return found


def quantize(src: Path, dst: Path, *, chosen: Quantization, threads: int, on_share: Callable[[float], None]) -> None:
    """Write the quantized copy `dst` of the GGUF file `src`.

    Args:
        src: A GGUF file of f32, f16 or bf16 matrices.
        dst: The file to write; it is left as the child left it when something fails.
        chosen: What to make.
        threads: Threads of the child.
        on_share: Called with the share of tensors done, 0 to 1.

    Raises:
        ConvertError: The quantizer refused or died; its last words are in the message.
    """
    command = [sys.executable, "-m", __name__, str(src), str(dst), str(chosen.number), str(threads)]
    package_parent = str(Path(__file__).resolve().parents[2])
    # GGML_NO_BACKTRACE keeps an abort from starting a debugger.
    environment = {**without_secrets(os.environ), "PYTHONPATH": package_parent, "GGML_NO_BACKTRACE": "1"}
    # Nothing is written to the child's stdin: that it closes tells the child that its parent is gone.
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    words: list[str] = []
    try:
        assert child.stdout is not None
        for line in child.stdout:
            share = _share(line)
            if share is not None:
                on_share(share)
            elif line.strip():
                words = [*words[-4:], line.strip()]
        code = child.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()
    if code != 0:
        said = " / ".join(words) or "it said nothing"
        raise ConvertError(f"llama.cpp's quantizer ended with code {code}: {said}")


def _share(line: str) -> float | None:
    """Return the share of tensors done when `line` reports progress ("[  12/ 291] blk.0.attn_q.weight ...")."""
    head, closed, _ = line.strip().partition("]")
    done, slash, total = head.removeprefix("[").partition("/")
    if not (head.startswith("[") and closed and slash and done.strip().isdecimal() and total.strip().isdecimal()):
        return None
    return int(done) / int(total) if int(total) else None


def main(arguments: list[str]) -> int:
    """Quantize as the child process; return its exit code."""
    # llama.cpp loads here only, in a process that may die.
    import llama_cpp

    threading.Thread(target=_die_with_parent, daemon=True).start()
    src, dst, number, threads = arguments

    def log(_level: int, text: bytes, _user_data: object) -> None:
        sys.stdout.write(text.decode("utf-8", errors="replace"))
        sys.stdout.flush()

    callback = llama_cpp.llama_log_callback(log)
    llama_cpp.llama_log_set(callback, None)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.max_buf_size = int(number), int(threads), _BUFFER_BYTES
    llama_cpp.llama_backend_init()
    return int(llama_cpp.llama_model_quantize(os.fsencode(src), os.fsencode(dst), params))


def _die_with_parent() -> None:
    # os.read, because a thread blocked in sys.stdin would keep its lock from the interpreter's orderly end.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
