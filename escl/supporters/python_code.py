"""A supporter's Python code seen from the run: child processes that are asked, killed in time, and started again.

Owns the processes. None of the code runs here. Knows no dialogue and no database.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from escl.core import connections
from escl.core.dialogue import Message
from escl.core.reasoning import split_reasoning
from escl.core.sampling import Sampling
from escl.core.whole_text import whole_text
from escl.errors import EngineError, ManifestError, NotBegunError, SupporterError, SupporterUnavailableError
from escl.supporters.outside import PythonSupporter, Said, Try
from escl.supporters.python_worker import LENGTH_BYTES, MAX_FRAME_BYTES, Call, Found, Result

_COMMAND: Final = (sys.executable, "-P", "-m", "escl.supporters.python_worker")
_LOAD_WITHIN_S: Final = 600.0
_FIND_WITHIN_S: Final = 60.0
_CLOSE_WITHIN_S: Final = 2.0
_STDERR_LINES: Final = 5
_STDERR_LINE_CHARS: Final = 300
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def sha256_of_code(target: str) -> str:
    """Return the hash of the file in which the module of `target` stands, found in a child process.

    Raises:
        ManifestError: There is no such module, or a package around it cannot be imported.
    """
    try:
        done = subprocess.run(
            [*_COMMAND, "--where", target], capture_output=True, timeout=_FIND_WITHIN_S, env=_environment(), check=False
        )
        found = msgspec.msgpack.decode(done.stdout[LENGTH_BYTES:], type=Found)
    except subprocess.TimeoutExpired:
        raise ManifestError(f"python:{target}: its packages took more than {_FIND_WITHIN_S:g} s to import") from None
    except _UNREADABLE:
        raise ManifestError(f"python:{target}: the process that looks for it ended with {done.returncode}") from None
    if found.sha256 is None:
        raise ManifestError(
            f"python:{target}: {found.error}",
            hint="write python:package.module:Name; the current folder is searched first, then installed packages",
        )
    return found.sha256


class PythonCode:
    """One supporter's code during a run."""

    def __init__(
        self,
        supporter: PythonSupporter,
        *,
        on_try: Callable[[str, Try], None],
        stop: asyncio.Event,
        go: asyncio.Event | None = None,
    ) -> None:
        """Start nothing yet; the arguments are as for `escl.supporters.endpoint.Endpoint`."""
        self._supporter, self._on_try, self._stop = supporter, on_try, stop
        self._go = go
        self._idle: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        for _ in range(supporter.processes):
            self._idle.put_nowait(None)

    async def preload(self) -> None:
        """Start one process, so that code which cannot be loaded is known at once.

        Raises:
            SupporterUnavailableError: It cannot be loaded.
        """
        child = await self._idle.get()
        try:
            child = child or await self._start()
        finally:
            self._idle.put_nowait(child)

    async def release(self) -> None:
        """End the processes."""
        children = [await self._idle.get() for _ in range(self._supporter.processes)]
        for child in children:
            if child is not None:
                await child.close()
            self._idle.put_nowait(None)

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Said:
        """Return what the code replies; it is not told how to sample.

        Raises:
            SupporterError: It raised, took too long, died, or returned no text.
            SupporterUnavailableError: It cannot be loaded.
            NotBegunError: The run was stopped before it was asked.
        """
        child = await self._idle.get()
        try:
            if self._go is not None:
                await self._go.wait()
            if self._stop.is_set():
                raise NotBegunError
            child = child or await self._start()
            began = time.monotonic()
            text = await self._recorded(session, child, messages)
        finally:
            if child is not None and child.is_spent:
                await child.close()
                child = None
            self._idle.put_nowait(child)
        reasoning, said = split_reasoning(text)
        return Said(text=said.strip(), reasoning=reasoning, finish=None, busy_s=time.monotonic() - began)

    async def _recorded(self, session: str, child: _Child, messages: Sequence[Message]) -> str:
        began, wrong = time.monotonic(), "stopped"
        try:
            text = await self._ask(child, messages)
            wrong = ""
        except EngineError as error:
            wrong = error.message
            raise
        finally:
            self._on_try(session, Try(number=1, waited_s=0.0, elapsed_s=time.monotonic() - began, error=wrong or None))
        return text

    async def _ask(self, child: _Child, messages: Sequence[Message]) -> str:
        name = self._supporter.target
        call = Call(messages=[{"role": message.role, "content": whole_text(message.content)} for message in messages])
        try:
            result = await asyncio.wait_for(child.ask(call), self._supporter.timeout_s)
        except TimeoutError:
            raise SupporterError(f"{name} gave no reply within {self._supporter.timeout_s:g} s") from None
        if result.error is not None:
            raise SupporterError(f"{name}: {result.error}")
        if result.text is None or not result.text.strip():
            raise SupporterError(f"{name} returned an empty reply")
        return result.text

    async def _start(self) -> _Child:
        child = await _Child.start(self._supporter.target)
        try:
            result = await asyncio.wait_for(child.result(), _LOAD_WITHIN_S)
            why = result.error
        except TimeoutError:
            why = f"it was not loaded within {_LOAD_WITHIN_S:g} s"
        except SupporterError as error:
            why = error.message
        except BaseException:
            await child.close()
            raise
        if why is not None:
            await child.close()
            raise SupporterUnavailableError(f"python:{self._supporter.target} cannot be loaded: {why}")
        return child


class _Child:
    """One process; `is_spent` once nothing may be asked of it any more."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.is_spent = False
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._draining = asyncio.create_task(self._drain())

    @classmethod
    async def start(cls, target: str) -> _Child:
        # Ctrl-C is the run's to hear, not the code's; and what the code starts ends with it.
        own_group: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            target,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            **own_group,
        )
        return cls(process)

    async def ask(self, call: Call) -> Result:
        """Return what comes back. Cancelled or broken off in between, the process is spent.

        Raises:
            SupporterError: The process ended, or sent something that is no result.
        """
        payload = msgspec.msgpack.encode(call)
        assert self._process.stdin is not None
        # A broken pipe shows when the result is read.
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(len(payload).to_bytes(LENGTH_BYTES, "big") + payload)
        return await self.result()

    async def result(self) -> Result:
        """Return the next result; raises as `ask`."""
        stdout = self._process.stdout
        assert stdout is not None
        spent, self.is_spent = self.is_spent, True
        try:
            length = int.from_bytes(await stdout.readexactly(LENGTH_BYTES), "big")
            if length > MAX_FRAME_BYTES:
                raise SupporterError(f"its process sent a frame of {length:,} bytes")
            result = msgspec.msgpack.decode(await stdout.readexactly(length), type=Result)
        except asyncio.IncompleteReadError:
            raise SupporterError(await self._how_it_ended()) from None
        except _UNREADABLE:
            raise SupporterError("its process sent something that is no result") from None
        self.is_spent = spent
        connections.add(result.connections)
        return result

    async def close(self) -> None:
        """End the process: one that is at work at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self.is_spent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _CLOSE_WITHIN_S)
        self.is_spent = True
        self._kill()
        await self._process.wait()
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _how_it_ended(self) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 1.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._draining), 1.0)
        match self._process.returncode:
            case None:
                how = "closed its pipe"
            case code if code < 0:
                how = f"was killed by signal {-code}"
            case code:
                how = f"ended with exit code {code}"
        said = " | ".join(line for line in self._stderr if line.strip())
        return f"its process {how}{'; its last words: ' if said else ''}{said}"

    async def _drain(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        rest = ""
        while chunk := await stderr.read(65536):
            *lines, rest = (rest + chunk.decode("utf-8", errors="replace")).split("\n")
            self._stderr.extend(line[:_STDERR_LINE_CHARS] for line in lines)
            rest = rest[-_STDERR_LINE_CHARS:]
        self._stderr.append(rest)


def _environment() -> dict[str, str]:
    """Return this process's own environment, with escl importable from where it is: the code may need its keys."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
