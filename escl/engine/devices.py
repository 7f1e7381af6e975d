"""Which accelerators this build of llama.cpp can use, in ggml's words.

Owns the ctypes calls of ggml's device functions. Run as a program (`python -m escl.engine.devices`) it prints a Listing
as JSON and ends: asking CUDA for its free memory leaves a context on the device for as long as the asking process
lives. Importing this module loads no llama.cpp, so that a parent can read what such a child prints.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from escl.errors import EngineError

Kind = Literal["gpu", "integrated"]

CPU_ONLY: Final = "cpu"
"""The device name that stands for none: nothing is offloaded."""

# enum ggml_backend_dev_type of ggml-backend.h. The others are the CPU (0), companions of the CPU such as BLAS (3), and
# devices made of other devices (4).
_KINDS: Final[dict[int, Kind]] = {1: "gpu", 2: "integrated"}


class ListedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """An accelerator as ggml describes it.

    Attributes:
        name: What picks it, "CUDA0" for example.
        backend: The library that drives it, "CUDA" for example.
        total_bytes: Its memory; 0 together with `free_bytes` 0 means that the driver did not say.
    """

    name: str
    backend: str
    description: str
    kind: Kind
    total_bytes: int
    free_bytes: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a child tells about its llama.cpp."""

    devices: tuple[ListedDevice, ...]
    llama_build: str


def list_devices() -> tuple[ListedDevice, ...]:
    """Return the accelerators, in ggml's order; needs llama.cpp, so call it in a child process."""
    return tuple(_listed(device, kind) for device, kind in _accelerators())


def device_pointers(name: str | None) -> Sequence[int] | None:
    """Return ggml's handles for EngineSpec.device: none for "cpu", one for a name, None to let llama.cpp choose.

    Raises:
        EngineError: No accelerator has that name.
    """
    if name is None:
        return None
    if name == CPU_ONLY:
        return []
    named = {_text("ggml_backend_dev_name", device): device for device, _ in _accelerators()}
    if name not in named:
        known = ", ".join([*named, CPU_ONLY])
        raise EngineError(f"llama.cpp finds no device named {name!r} here", hint=f"name one of: {known}")
    return [named[name]]


def _accelerators() -> list[tuple[int, Kind]]:
    count = _ggml("ggml_backend_dev_count", ctypes.c_size_t)()
    get = _ggml("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    type_of = _ggml("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    devices = [get(index) for index in range(count)]
    return [(device, _KINDS[number]) for device in devices if (number := type_of(device)) in _KINDS]


def _listed(device: int, kind: Kind) -> ListedDevice:
    registry = _ggml("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(device)
    size_p = ctypes.POINTER(ctypes.c_size_t)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ask = _ggml("ggml_backend_dev_memory", None, ctypes.c_void_p, size_p, size_p)
    ask(device, ctypes.byref(free), ctypes.byref(total))
    return ListedDevice(
        name=_text("ggml_backend_dev_name", device),
        backend=_text("ggml_backend_reg_name", registry),
        description=_text("ggml_backend_dev_description", device),
        kind=kind,
        total_bytes=total.value,
        free_bytes=free.value,
    )


def _text(function: str, pointer: int) -> str:
    said: bytes | None = _ggml(function, ctypes.c_char_p, ctypes.c_void_p)(pointer)
    return (said or b"").decode("utf-8", errors="replace")


def _ggml(name: str, result: type | None, *arguments: type) -> Callable[..., Any]:
    """Return a function of ggml; some live in libggml, others in libggml-base."""
    from llama_cpp import _ggml as package
    from llama_cpp._ctypes_extensions import load_shared_library

    # On Linux and macOS the first handle also finds what its own dependencies define; Windows looks in one file only.
    function = getattr(package.libggml, name, None)
    if function is None:
        function = getattr(load_shared_library("ggml-base", package.libggml_base_path), name)
    function.restype, function.argtypes = result, list(arguments)
    called: Callable[..., Any] = function
    return called


def main() -> int:
    """Print this build's Listing as JSON; return the exit code."""
    from escl.engine.llama import build_name

    listing = Listing(devices=list_devices(), llama_build=build_name())
    sys.stdout.write(msgspec.json.encode(listing).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
