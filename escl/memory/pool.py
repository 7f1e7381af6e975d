"""The engines of a run: started when first asked for, restarted when they die, given back when released.

A `Handle` is what an evaluation holds: it asks, and the pool sees to it that an engine is there to answer. Here every
engine that was asked for stays resident until it is released. Knows no dialogue and no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import msgspec

from escl.core.dialogue import Message
from escl.core.protocol import ScorerPrompt
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec, Generated, LabelRead, Progress, Ready
from escl.errors import (
    EngineCrashedError,
    EngineError,
    EngineHungError,
    GaveUpError,
    ModelLoadError,
    OutOfMemoryError,
)

MAX_TRIES = 3
"""How often a request may take its engine down, and how often a load may run out of memory."""

_BACKOFF_S = 0.5

T = TypeVar("T")


class PoolObserver(Protocol):
    """Who wants to know what the pool does. `name` is the handle's."""

    def loaded(self, name: str, ready: Ready) -> None:
        """A model is in memory."""

    def unloaded(self, name: str) -> None:
        """A model's memory was given back."""

    def progressed(self, name: str, progress: Progress) -> None:
        """An engine is at work."""

    def restarted(self, name: str, error: EngineError) -> None:
        """An engine was lost; it is started again."""


class Handle:
    """One model of the run. Requests may be made side by side; each gets its own answer or its own error."""

    def __init__(self, name: str, spec: EngineSpec, observer: PoolObserver) -> None:
        self.name = name
        self._spec = spec
        self._observer = observer
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()
        self._turnstile = _Turnstile()

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Generated:
        """Return the model's next message.

        Raises:
            EngineError: Overflow, NaN, or an engine that this request took down `MAX_TRIES` times.
        """
        return await self._ask(
            lambda engine: engine.generate(session=session, messages=messages, sampling=sampling, seed=seed)
        )

    async def read_label(self, *, adapter: str | None, prompt: ScorerPrompt) -> LabelRead:
        """Return the scorer's greedy reply and the distribution over the labels in it.

        Raises:
            EngineError: As `generate`.
        """
        return await self._ask(
            lambda engine: engine.read_label(
                adapter=adapter, system=prompt.system, prefix=prompt.prefix, rest=prompt.rest
            )
        )

    async def release(self) -> None:
        """Give all memory of the model back. A later request loads it again."""
        async with self._starting:
            if self._engine is not None:
                engine, self._engine = self._engine, None
                await engine.close()
                self._observer.unloaded(self.name)

    async def _ask(self, ask: Callable[[Engine], Awaitable[T]]) -> T:
        for tries in range(1, MAX_TRIES + 1):
            if tries > 1:
                await asyncio.sleep(_BACKOFF_S * (tries - 1))
            # A request whose engine died goes alone from then on: if it dies again, this request did it, and
            # the others that only happened to be in flight are not given up for it.
            async with self._turnstile.alone() if tries > 1 else self._turnstile.together():
                engine = await self._resident()
                try:
                    return await ask(engine)
                except (EngineCrashedError, EngineHungError) as error:
                    await self._lost(engine, error)
                    last = error
        raise GaveUpError(f"{self.name}: this request took the engine down {MAX_TRIES} times; last: {last.message}")

    async def _resident(self) -> Engine:
        async with self._starting:
            if self._engine is None:
                self._engine = await self._start()
                self._observer.loaded(self.name, self._engine.ready)
            return self._engine

    async def _start(self) -> Engine:
        for _ in range(MAX_TRIES - 1):
            try:
                return await self._load()
            except OutOfMemoryError as error:
                if self._spec.slots == 1:
                    raise
                self._observer.restarted(self.name, error)
                self._spec = msgspec.structs.replace(self._spec, slots=max(1, self._spec.slots // 2))
        return await self._load()

    async def _load(self) -> Engine:
        try:
            return await Engine.start(self._spec, on_progress=self._progressed)
        except ModelLoadError:
            raise
        except EngineError as error:
            # However it failed, no request did it: to blame one after the other would fail every dialogue of a run.
            raise ModelLoadError(f"{self.name} cannot be loaded: {error.message}", hint=error.hint) from error

    async def _lost(self, engine: Engine, error: EngineError) -> None:
        async with self._starting:
            if self._engine is engine:
                self._engine = None
                self._observer.restarted(self.name, error)
                await engine.close()

    def _progressed(self, progress: Progress) -> None:
        self._observer.progressed(self.name, progress)


class Pool:
    """All handles of a run; leaving the `async with` ends every child process."""

    def __init__(self, observer: PoolObserver) -> None:
        self._observer = observer
        self._handles: list[Handle] = []

    def handle(self, name: str, spec: EngineSpec) -> Handle:
        """Return a handle for the model of `spec`; nothing is loaded before its first request."""
        handle = Handle(name, spec, self._observer)
        self._handles.append(handle)
        return handle

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(handle.release() for handle in self._handles))


class _Turnstile:
    """Many together, or one alone."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._waiting_alone = 0
        self._is_alone = False

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with self._changed:
            # Who waits to go alone goes first, or a busy run would let nobody alone before its end.
            await self._changed.wait_for(lambda: not self._is_alone and not self._waiting_alone)
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._changed:
            self._waiting_alone += 1
            try:
                await self._changed.wait_for(lambda: not self._is_alone and self._inside == 0)
                self._is_alone = True
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            async with self._changed:
                self._is_alone = False
                self._changed.notify_all()
