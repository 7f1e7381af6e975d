"""The engines of a run: started when first asked for, restarted when they die, given back when released.

A `Handle` is what an evaluation holds: it asks, and the pool sees to it that an engine is there to answer, within the
room that there is. Knows no dialogue, no plan and no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.core.wording import ScorerPrompt
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec, Generated, LabelRead, Progress, Ready
from escl.errors import (
    EngineError,
    EngineKilledError,
    GaveUpError,
    ModelLoadError,
    NotBegunError,
    OutOfMemoryError,
)
from escl.memory.devices import in_size
from escl.memory.gates import Gate, Turnstile

MAX_TRIES = 3
"""How often a request may take its engine down, and how often a load may run out of memory."""

_BACKOFF_S = 0.5

# The system kills for want of memory; llama.cpp says so itself.
_WANT_OF_MEMORY: Final = (EngineKilledError, OutOfMemoryError)

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


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes in memory: what an engine takes at most, or what all of a pool's engines together may take.

    Attributes:
        host: Bytes of the machine's own memory.
        device: Bytes of the accelerator's; 0 when none is used or when it shares the machine's own.
    """

    host: int
    device: int = 0

    @property
    def words(self) -> str:
        """The sizes as people read them."""
        on_device = f" and {in_size(self.device)} of the device's" if self.device else ""
        return f"{in_size(self.host)} of main memory{on_device}"

    def holds(self, sizes: Iterable[Room]) -> bool:
        """Return whether engines of these sizes fit side by side."""
        taken = list(sizes)
        return sum(size.host for size in taken) <= self.host and sum(size.device for size in taken) <= self.device


NOTHING: Final = Room(host=0)


class Handle:
    """One model of the run. Requests may be made side by side; each gets its own answer or its own error."""

    def __init__(self, name: str, spec: EngineSpec, size: Room, pool: Pool) -> None:
        self.name = name
        self.size = size
        self._spec = spec
        self._pool = pool
        self._observer = pool.observer
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()
        self._turnstile = Turnstile()
        # A second request for each slot waits in the engine, so that no slot is ever idle between two; the others wait
        # here, where a stop can still turn them away.
        self._gate = Gate(2 * spec.slots)
        self._n_requests = 0
        self.needs_cores = spec.needs_cores

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

    @property
    def is_drained(self) -> bool:
        """Whether nobody waits for an answer."""
        return self._n_requests == 0

    @property
    def is_starting(self) -> bool:
        """Whether its engine is on its way in or out."""
        return self._starting.locked()

    async def preload(self) -> None:
        """Load the model before its first request, for engines that will be needed side by side.

        Raises:
            ModelLoadError: It cannot be loaded.
            NotBegunError: The run was stopped before there was room.
        """
        await self._resident()
        # Until now nobody could send it away.
        self._pool.changed()

    async def release(self) -> None:
        """Give all memory of the model back. A later request loads it again."""
        async with self._starting:
            await self._pool.send_away([self])

    def detach(self) -> Engine | None:
        """Let go of the engine, for the caller to close: asked again from now on, the model must enter anew."""
        engine, self._engine = self._engine, None
        return engine

    @property
    def speaking(self) -> dict[str, str]:
        """The ends of the replies that its engine is writing, by session; empty unless the pool is watched."""
        return {} if self._engine is None else self._engine.speaking

    def watch(self, *, is_watched: bool) -> None:
        """Let its engine, where it has one, tell what is being said, or no longer."""
        if self._engine is not None:
            self._engine.watch(is_watched=is_watched)

    def turn_away(self) -> None:
        """Refuse requests that no engine has begun, and new ones; those in an engine are answered."""
        self._gate.shut()

    async def _ask(self, ask: Callable[[Engine], Awaitable[T]]) -> T:
        self._n_requests += 1
        try:
            async with self._gate:
                return await self._ask_until_answered(ask)
        finally:
            self._n_requests -= 1
            if self.is_drained:
                self._pool.rests(self)

    async def _ask_until_answered(self, ask: Callable[[Engine], Awaitable[T]]) -> T:
        for tries in range(1, MAX_TRIES + 1):
            if tries > 1:
                await asyncio.sleep(_BACKOFF_S * (tries - 1))
            # A request whose engine died goes alone from then on: if it dies again, this request did it, and
            # the others that only happened to be in flight are not given up for it.
            async with self._turnstile.alone() if tries > 1 else self._turnstile.together():
                await self._pool.take_turn(self)
                engine = await self._ready_to_begin()
                try:
                    return await ask(engine)
                except EngineError as error:
                    if engine.death is None:
                        raise  # The request's own fault; the engine goes on.
                    await self._lost(engine, error)
                    last = error
        if isinstance(last, _WANT_OF_MEMORY):
            raise OutOfMemoryError(f"{self.name}: memory ran out {MAX_TRIES} times; last: {last.message}")
        raise GaveUpError(f"{self.name}: this request took the engine down {MAX_TRIES} times; last: {last.message}")

    async def _ready_to_begin(self) -> Engine:
        """Return the engine once the run is not paused: neither when it is looked at, nor when it has been loaded."""
        while True:
            await self._pool.unpaused(self._gate)
            engine = await self._resident()
            if self._pool.go.is_set():
                return engine

    async def _resident(self) -> Engine:
        async with self._starting:
            if self._engine is None:
                if self._gate.is_shut:
                    raise NotBegunError
                await self._pool.admit(self)
                try:
                    self._engine = await self._start()
                except BaseException:
                    await self._pool.send_away([self])
                    raise
                if self._pool.is_watched:
                    self._engine.watch(is_watched=True)
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
                self._halve()
        return await self._load()

    def _halve(self) -> None:
        self._spec = msgspec.structs.replace(self._spec, slots=max(1, self._spec.slots // 2))

    async def _load(self) -> Engine:
        try:
            return await Engine.start(self._spec, on_progress=self._progressed)
        except ModelLoadError:
            raise
        except EngineKilledError as error:
            raise OutOfMemoryError(f"{self.name} was killed while it was loaded", hint=error.hint) from error
        except EngineError as error:
            # However it failed, no request did it: to blame one after the other would fail every dialogue of a run.
            raise ModelLoadError(f"{self.name} cannot be loaded: {error.message}", hint=error.hint) from error

    async def _lost(self, engine: Engine, error: EngineError) -> None:
        """Close a dead engine. It keeps its place in memory: the requests that it left behind start it again."""
        async with self._starting:
            if self._engine is engine:
                self._engine = None
                self._observer.restarted(self.name, error)
                if isinstance(error, _WANT_OF_MEMORY):
                    self._halve()
                await engine.close()

    def _progressed(self, progress: Progress) -> None:
        self._observer.progressed(self.name, progress)


class Pool:
    """All handles of a run; leaving the `async with` ends every child process.

    What fits into `room` together stays together. Otherwise whoever asks for an engine that is not in memory waits
    until those that are in its way have answered everything they were asked; then they leave and it is loaded. With
    every dialogue of a run begun, waves form by themselves: the seeker speaks in all of them, leaves, a supporter
    answers in all of its own, leaves. Engines enter in the order in which they were first asked for, or two that answer
    each other could keep a third waiting for ever.

    Engines that compute on the processor take turns in the same way, even if all are in memory: each has all cores
    until its queue is drained. Side by side, two with half the cores each took 1.5 times as long, because their
    dialogues move in step and half of the cores had nothing to do.

    Attributes:
        go: Cleared while the run is paused.
        is_watched: Whether somebody wants to know what is being said.
    """

    def __init__(
        self,
        observer: PoolObserver,
        room: Room | None = None,
        *,
        stop: asyncio.Event | None = None,
        go: asyncio.Event | None = None,
    ) -> None:
        """Begin empty.

        Args:
            observer: Hears of loads and losses.
            room: What all engines together may take; None sets no limit.
            stop: Once set, requests that no engine has begun fail with NotBegunError; the others are answered.
            go: While it is cleared, no request is begun; None never pauses.
        """
        self.observer = observer
        self.is_watched = False
        self.go = go or asyncio.Event()
        if go is None:
            self.go.set()
        self._room = room
        self._stop, self._is_stopped = stop, False
        self._watch: asyncio.Task[None] | None = None
        self._handles: list[Handle] = []
        self._queue: list[Handle] = []
        # In the order they came; one that is leaving takes up room until its process has ended.
        self._resident: list[Handle] = []
        self._leaving: list[Handle] = []
        self._at_work: Handle | None = None
        self._next_turns: list[Handle] = []
        self._change = asyncio.Event()

    def handle(self, name: str, spec: EngineSpec, size: Room = NOTHING) -> Handle:
        """Return a handle for the model of `spec`; nothing is loaded before its first request.

        Args:
            name: As the observer hears it.
            spec: How to load it.
            size: What it takes at most; matters only when the pool's room is limited.

        Raises:
            OutOfMemoryError: It would not fit even alone.
        """
        if self._room is not None and not self._room.holds([size]):
            raise OutOfMemoryError(f"{name} alone takes {size.words}, more than the budget of {self._room.words}")
        handle = Handle(name, spec, size, self)
        self._handles.append(handle)
        return handle

    def watch(self, *, is_watched: bool) -> None:
        """Let the engines tell what is being said, those to come too; or no longer."""
        if is_watched is not self.is_watched:
            self.is_watched = is_watched
            for handle in self._handles:
                handle.watch(is_watched=is_watched)

    def speaking(self) -> dict[str, str]:
        """Return the ends of the replies that the engines are writing, by session; empty unless they are watched."""
        return {session: text for handle in self._handles for session, text in handle.speaking.items()}

    async def unpaused(self, gate: Gate) -> None:
        """Wait until the run is not paused.

        Raises:
            NotBegunError: The run was stopped while it waited.
        """
        if self.go.is_set():
            return
        await self.go.wait()
        if gate.is_shut:
            raise NotBegunError

    async def take_turn(self, handle: Handle) -> None:
        """Wait until the processor is `handle`'s; it stays so until its queue is drained.

        Raises:
            NotBegunError: The run was stopped while it waited.
        """
        while handle.needs_cores and self._at_work is not handle:
            if self._is_stopped:
                raise NotBegunError
            if handle not in self._next_turns:
                self._next_turns.append(handle)
            if self._at_work is None and self._next_turns[0] is handle:
                self._next_turns.remove(handle)
                self._at_work = handle
            else:
                await self._change.wait()

    def rests(self, handle: Handle) -> None:
        """Note that the queue of `handle` is drained: others may have its turn, or its room."""
        if self._at_work is handle:
            self._at_work = None
        if handle in self._next_turns:
            self._next_turns.remove(handle)
        self.changed()

    def _may_leave(self, handle: Handle) -> bool:
        """Return whether the engine of `handle` has nothing to answer; who waits for its turn has asked nothing yet."""
        if handle.is_starting:
            return False
        return handle.is_drained or (handle.needs_cores and self._at_work is not handle)

    async def admit(self, handle: Handle) -> None:
        """Wait until there is room for `handle` and reserve it, sending away idle engines that are in its way.

        Raises:
            NotBegunError: The run was stopped while it waited.
        """
        if handle in self._resident:
            return  # Its engine died; its place was kept.
        self._queue.append(handle)
        try:
            while (in_the_way := self._in_the_way(handle)) is None:
                await self._change.wait()
        finally:
            self._queue.remove(handle)
            self.changed()
        self._resident.append(handle)
        await self.send_away(in_the_way)

    def _in_the_way(self, handle: Handle) -> list[Handle] | None:
        """Return the idle engines that must leave so that `handle` can enter now; None when it must wait."""
        if self._is_stopped:
            raise NotBegunError
        if self._room is None:
            return []
        if self._queue[0] is not handle:
            return None
        staying = [*self._resident, *self._leaving]
        leaving: list[Handle] = []
        idle = (other for other in self._resident if self._may_leave(other))
        while not self._room.holds([handle.size, *(other.size for other in staying)]):
            other = next(idle, None)
            if other is None:
                return None
            leaving.append(other)
            staying.remove(other)
        return leaving

    async def send_away(self, handles: Sequence[Handle]) -> None:
        """End the engines of these handles; returns when their memory is free. What is not in memory is passed over."""
        going = [(handle, handle.detach()) for handle in handles if handle in self._resident]
        for handle, _ in going:
            # Until its process has ended it takes up room, and yet no request may count on it.
            self._resident.remove(handle)
            self._leaving.append(handle)
        for handle, engine in going:
            try:
                if engine is not None:
                    await engine.close()
                    self.observer.unloaded(handle.name)
            finally:
                self._leaving.remove(handle)
                self.changed()

    def changed(self) -> None:
        """Let those who wait for room look again."""
        self._change.set()
        self._change = asyncio.Event()

    async def _turn_away_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._is_stopped = True
        for handle in self._handles:
            handle.turn_away()
        self.changed()

    async def __aenter__(self) -> Pool:
        if self._stop is not None:
            self._watch = asyncio.create_task(self._turn_away_when(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
        ends = await asyncio.gather(*(handle.release() for handle in self._handles), return_exceptions=True)
        for error in ends:
            if error is not None:
                raise error
