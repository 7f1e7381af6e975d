"""The parent's side of an engine: starts the child, asks it, and turns its death into typed errors.

Owns the process and its pipes. Never imports llama_cpp; knows nothing of dialogues, cards or rubrics.
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
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from escl import errors
from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.core.whole_text import whole_text
from escl.engine import frames, launch
from escl.engine.wire import (
    Cancel,
    Counted,
    CountTokens,
    EngineSpec,
    Failed,
    Generate,
    Generated,
    LabelRead,
    Loading,
    Progress,
    ReadLabel,
    Ready,
    Reply,
    Request,
    Speaking,
    Watch,
)
from escl.errors import ContextOverflowError, EngineError, EngineHungError, ModelLoadError

_STDERR_LINES: Final = 40
_STDERR_LINE_CHARS: Final = 500
_EXIT_WITHIN_S: Final = 0.5
_CLOSE_WITHIN_S: Final = 8.0

T = TypeVar("T", Generated, LabelRead, Counted)


class Engine:
    """One model in one child process. Use `Engine.start`; leave with `close` or `async with`.

    Attributes:
        ready: What the child said about the loaded model.
        progress: The child's latest report, None before the first.
        speaking: While it is watched, the ends of the replies that are being written, by session, as the child said
            last: a few times a second.
    """

    ready: Ready

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        *,
        on_progress: Callable[[Progress], None] | None,
        on_loading: Callable[[float], None] | None,
        hang_timeout_s: float,
    ) -> None:
        """Wrap a started child; `Engine.start` is the way to get one."""
        self._process = process
        self._on_progress = on_progress
        self._on_loading = on_loading
        self._hang_timeout_s = hang_timeout_s
        self.progress: Progress | None = None
        self.speaking: dict[str, str] = {}
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._death: EngineError | None = None
        self._last_sign = time.monotonic()
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._is_ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(work) for work in (self._drain_stderr(), self._read_frames(), self._watch())]

    @classmethod
    async def start(
        cls,
        spec: EngineSpec,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_loading: Callable[[float], None] | None = None,
        ready_timeout_s: float = 600.0,
        hang_timeout_s: float = 300.0,
        _command: Sequence[str] | None = None,
    ) -> Engine:
        """Return an engine whose model is loaded.

        On Linux the child ends with the thread that called this, so call it from one that lasts.

        Args:
            spec: What to load and how.
            on_progress: Called with the child's reports while it works, at most a few times a second.
            on_loading: Called with the fraction of the weights that is loaded.
            ready_timeout_s: Without a sign of life for this long while loading, the child is killed.
            hang_timeout_s: The same while requests are pending.
            _command: Runs in place of the worker; for tests.

        Raises:
            ModelLoadError: Model, adapter or context could not be loaded; OutOfMemoryError when it did not fit.
            ChatTemplateError: The model's chat template cannot be used.
            EngineCrashedError: The child was killed while loading.
            EngineHungError: It showed no sign of life in time.
        """
        launch.check_spec(spec)
        process = await asyncio.create_subprocess_exec(
            *(_command or launch.COMMAND),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=launch.child_environment(os.environ),
            **launch.own_process_group(),
        )
        engine = cls(process, on_progress=on_progress, on_loading=on_loading, hang_timeout_s=ready_timeout_s)
        try:
            engine._send(spec)
            engine.ready = await engine._is_ready
        except frames.FrameError as error:
            await engine.close()
            raise ModelLoadError(f"a path of the model or its adapters cannot be passed on: {error}") from error
        except BaseException:
            await engine.close()
            raise
        engine._hang_timeout_s = hang_timeout_s
        return engine

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def death(self) -> EngineError | None:
        """Why the engine answers no more; None while it lives."""
        return self._death

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Generated:
        """Return the assistant's next message of a conversation.

        Args:
            session: Requests of one session share KV, so that only what is new is evaluated.
            messages: The conversation so far.
            sampling: How to draw.
            seed: Of the dice, 0 to 2^32 - 2.

        Raises:
            EngineError: Its subclass says what failed. After EngineCrashedError and EngineHungError the engine is dead.
        """
        said = [_encodable(message) for message in messages]
        request = Generate(id=self._new_id(), session=session, messages=said, sampling=sampling, seed=seed)
        try:
            return await self._ask(request, Generated)
        finally:
            self.speaking.pop(session, None)

    def watch(self, *, is_watched: bool) -> None:
        """Let the child tell, or no longer tell, what is being said."""
        self.speaking = {}
        self._send(Watch(is_watched=is_watched))

    async def read_label(
        self,
        *,
        adapter: str | None,
        system: str | None,
        prefix: str,
        rest: str,
        max_tokens: int = 64,
        use_draft: bool = True,
    ) -> LabelRead:
        """Return the scorer's greedy reply and the distribution over the labels.

        The arguments are those of `ReadLabel`.

        Raises:
            EngineError: As for `generate`.
        """
        request = ReadLabel(
            id=self._new_id(),
            adapter=adapter,
            system=None if system is None else whole_text(system),
            prefix=whole_text(prefix),
            rest=whole_text(rest),
            max_tokens=max_tokens,
            use_draft=use_draft,
        )
        return await self._ask(request, LabelRead)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return how many prompt tokens a conversation has, template included. Raises EngineError."""
        request = CountTokens(id=self._new_id(), messages=[_encodable(message) for message in messages])
        return (await self._ask(request, Counted)).n_tokens

    async def close(self) -> None:
        """End the child; pending requests fail. Safe to call twice."""
        loaded = self._is_ready.done() and self._is_ready.exception() is None
        self._fail_all(EngineError("the engine was closed"))
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not loaded:
            self._kill()
        try:
            await asyncio.wait_for(self._process.wait(), _CLOSE_WITHIN_S)
        except TimeoutError:
            self._kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Asking

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    async def _ask(self, request: Generate | ReadLabel | CountTokens, kind: type[T]) -> T:
        if self._death is not None:
            raise self._death
        if not self._pending:
            self._last_sign = time.monotonic()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        try:
            self._write(request)
            answer = await future
        except asyncio.CancelledError:
            if self._death is None:
                self._write(Cancel(id=request.id))
            raise
        finally:
            self._pending.pop(request.id, None)
        if not isinstance(answer, kind):
            raise EngineError(f"the engine answered a {type(request).__name__} with a {type(answer).__name__}")
        return answer

    def _write(self, request: Request) -> None:
        try:
            self._send(request)
        except frames.FrameError as error:
            raise ContextOverflowError(f"the request is too large: {error}") from error

    def _send(self, message: EngineSpec | Request) -> None:
        assert self._process.stdin is not None
        frame = frames.encode_frame(message)
        # A broken pipe is no error here: the child's end shows in _read_frames, with its reason.
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(frame)

    # Listening

    async def _read_frames(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        # What stands when a callback of the caller raises: nobody would listen to the child any more.
        trouble = "is no longer listened to, because a progress callback failed,"
        try:
            while True:
                header = await stdout.readexactly(frames.LENGTH_BYTES)
                payload = await stdout.readexactly(frames.payload_length(header))
                self._take(frames.decode_reply(payload))
        except asyncio.IncompleteReadError as error:
            trouble = "ended in the middle of a message" if error.partial else "closed its pipe"
        except frames.FrameError as error:
            trouble = f"sent something that is no message ({error})"
        finally:
            await self._bury(trouble)

    def _take(self, reply: Reply) -> None:
        self._last_sign = time.monotonic()
        if isinstance(reply, Progress):
            self.progress = reply
            if self._on_progress is not None:
                self._on_progress(reply)
        elif isinstance(reply, Speaking):
            self.speaking = reply.texts
        elif isinstance(reply, Loading):
            if self._on_loading is not None:
                self._on_loading(reply.fraction)
        elif isinstance(reply, Ready):
            _settle(self._is_ready, reply)
        elif isinstance(reply, Failed):
            self._take_failure(reply)
        elif (future := self._pending.get(reply.id)) is not None:
            _settle(future, reply)

    def _take_failure(self, failed: Failed) -> None:
        error = _typed(failed)
        if failed.id is None:
            self._fail_all(error)
        elif (future := self._pending.get(failed.id)) is not None:
            _settle(future, error)

    async def _drain_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        rest = ""
        while chunk := await stderr.read(65536):
            *lines, rest = (rest + chunk.decode("utf-8", errors="replace")).split("\n")
            self._stderr.extend(line[:_STDERR_LINE_CHARS] for line in lines)
            rest = rest[-_STDERR_LINE_CHARS:]
        self._stderr.append(rest)

    # Dying

    async def _bury(self, trouble: str) -> None:
        """Make sure that the child is gone, and fail what is pending with how it went."""
        try:
            code = await asyncio.wait_for(self._process.wait(), _EXIT_WITHIN_S)
        except TimeoutError:
            self._kill()
            await self._process.wait()
            code = 0
        if code != 0:
            trouble = launch.how_it_ended(code)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._tasks[0]), 1.0)
        loading = not self._is_ready.done()
        self._fail_all(launch.death_of(trouble, stderr=list(self._stderr), while_loading=loading))

    async def _watch(self) -> None:
        """Kill the child when it owes an answer and shows no sign of life."""
        while self._death is None:
            tick_s = min(1.0, self._hang_timeout_s / 4)
            before = time.monotonic()
            await asyncio.sleep(tick_s)
            now = time.monotonic()
            if now - before > tick_s + 5.0:
                # This process slept too (a closed lid, SIGSTOP): the child gets its time again.
                self._last_sign = now
            owes = bool(self._pending) or not self._is_ready.done()
            if owes and now - self._last_sign > self._hang_timeout_s:
                self._fail_all(EngineHungError(f"the engine showed no sign of life for {self._hang_timeout_s:g} s"))
                self._kill()

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                # Process.kill() polls first, and so would take the exit status from asyncio, which then reports 255.
                os.kill(self._process.pid, signal.SIGKILL)

    def _fail_all(self, error: EngineError) -> None:
        """Record the first cause of death and tell everyone who waits."""
        if self._death is None:
            self._death = error
        _settle(self._is_ready, self._death)
        for future in self._pending.values():
            _settle(future, self._death)


def _settle(future: asyncio.Future[Any], outcome: object) -> None:
    if future.done():
        return
    if isinstance(outcome, EngineError):
        # A copy each: a traceback grows with every raise of the same object.
        future.set_exception(_copy(outcome))
        # Nobody may be waiting any more; asyncio would complain that the exception was never seen.
        future.exception()
    else:
        future.set_result(outcome)


def _copy(error: EngineError) -> EngineError:
    return type(error)(error.message, hint=error.hint)


def _typed(failed: Failed) -> EngineError:
    kind = getattr(errors, failed.error, EngineError)
    if not (isinstance(kind, type) and issubclass(kind, EngineError)):
        kind = EngineError
    return kind(failed.message, hint=failed.hint)


def _encodable(message: Message) -> Message:
    # A lone surrogate has no UTF-8, so it cannot even be sent.
    return Message(message.role, whole_text(message.content))
