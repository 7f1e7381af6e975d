"""The child process that runs a supporter's Python code: `python -m escl.supporters.python_worker package.module:Name`.

Owns the boundary: whatever the code raises or prints, it reaches the parent as a value or on stderr. Frames are four
bytes of length, then msgpack. Knows no dialogue beyond the messages that it is handed.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from escl.core import connections

LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 16 << 20
MAX_REPLY_CHARS: Final = 1 << 20

_PR_SET_PDEATHSIG: Final = 1
_MAX_MESSAGE_CHARS: Final = 2000


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the next message; each is {"role": ..., "content": ...}, the system message first."""

    messages: list[dict[str, str]]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a call, or at the beginning the load, came to.

    Attributes:
        text: The reply; None after the load or an error.
        error: What went wrong, with the exception's type; None when nothing did.
        connections: Network connections that the code has tried to open since the last result.
    """

    text: str | None = None
    error: str | None = None
    connections: int = 0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Where code stands; `error` says why it cannot be found."""

    sha256: str | None = None
    error: str | None = None


Respond = Callable[[list[dict[str, str]]], object]


def main(arguments: list[str]) -> int:
    """Serve one target until the parent closes the pipe, or with --where say which file it is in."""
    # The current folder first, as `python -m` has it; not before escl's own imports are done.
    sys.path.insert(0, str(Path.cwd()))
    pipes = _Pipes()
    if arguments[0] == "--where":
        pipes.write(_where(arguments[1]))
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    connections.watch()
    before = 0
    try:
        respond = _load(arguments[0])
    except BaseException as error:  # noqa: BLE001 - the boundary: the parent says it
        pipes.write(Result(error=_said(error), connections=connections.attempted()))
        return 1
    pipes.write(Result(connections=connections.attempted()))
    while (frame := pipes.read()) is not None:
        before = connections.attempted()
        result = _call(respond, msgspec.msgpack.decode(frame, type=Call))
        pipes.write(msgspec.structs.replace(result, connections=connections.attempted() - before))
    return 0


def _call(respond: Respond, call: Call) -> Result:
    try:
        reply = respond(call.messages)
    except BaseException as error:  # noqa: BLE001 - the boundary: the dialogue fails with it
        return Result(error=_said(error))
    if not isinstance(reply, str):
        return Result(error=f"it returned {type(reply).__name__}, not str")
    if len(reply) > MAX_REPLY_CHARS:
        return Result(error=f"it returned {len(reply):,} characters; {MAX_REPLY_CHARS:,} is the limit")
    try:
        reply.encode()
    except UnicodeEncodeError:
        return Result(error="it returned half a character (a lone surrogate)")
    return Result(text=str(reply))


def _load(target: str) -> Respond:
    module, _, names = target.partition(":")
    found: object = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    called = found() if isinstance(found, type) else found
    if not callable(called):
        raise TypeError(f"{target} is no function, and no class whose objects can be called")
    respond: Respond = called
    return respond


def _where(target: str) -> Found:
    """Return the hash of the file that the target's module is in; only the packages around it are imported."""
    module = target.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
        if spec is None:
            return Found(error=f"there is no module {module} in the current folder or where Python looks for modules")
        if not spec.has_location or spec.origin is None:
            return Found(error=f"the module {module} is in no file")
        return Found(sha256=hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest())
    except BaseException as error:  # noqa: BLE001 - the boundary: a package's own code runs here
        return Found(error=_said(error))


def _said(error: BaseException) -> str:
    """Return an exception as its type and its message, on one line."""
    try:
        message = " ".join(str(error).encode("utf-8", "replace").decode().split())
    except BaseException:  # noqa: BLE001 - an exception may fail to say what it is
        message = ""
    return f"{type(error).__name__}{': ' if message else ''}{message[:_MAX_MESSAGE_CHARS]}"


class _Pipes:
    """The private ends of stdin and stdout; what the code prints goes to stderr, and it reads nothing."""

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        os.close(devnull)
        os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            msvcrt.setmode(self._in, os.O_BINARY)
            msvcrt.setmode(self._out, os.O_BINARY)

    def read(self) -> bytes | None:
        """Return the next frame, None when the parent has closed the pipe."""
        header = self._read_exactly(LENGTH_BYTES)
        return None if header is None else self._read_exactly(int.from_bytes(header, "big"))

    def _read_exactly(self, count: int) -> bytes | None:
        parts = []
        while count > 0:
            part = os.read(self._in, count)
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def write(self, message: msgspec.Struct) -> None:
        payload = msgspec.msgpack.encode(message)
        view = memoryview(len(payload).to_bytes(LENGTH_BYTES, "big") + payload)
        while view:
            view = view[os.write(self._out, view) :]


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the code left behind must not keep this process.
    os._exit(code)
