"""Engines without models, for tests of what the pool and an evaluation do with engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.wire import EngineSpec, Generated, Progress, Ready
from escl.errors import ContextOverflowError, EngineCrashedError, EngineError, EngineKilledError, OutOfMemoryError
from escl.memory.pool import Handle

SPEC = EngineSpec(model="m.gguf", slots=8)
ANSWER_S = 0.02
"""How long an answer takes."""


class FakeEngine:
    """Answers with the prompt; the prompt "poison" takes the engine and all that are in flight down with it."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.ready = ready()
        self.dead = asyncio.Event()
        self.killed = self.closed = False
        self.answered: list[str] = []
        self.n_asked = 0
        self.is_watched = False
        self.speaking: dict[str, str] = {}

    def watch(self, *, is_watched: bool) -> None:
        self.is_watched = is_watched

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Generated:
        self.n_asked += 1
        if self.is_watched:
            self.speaking[session] = messages[0].content
        try:
            return await self._answer(messages[0].content)
        finally:
            self.n_asked -= 1
            self.speaking.pop(session, None)

    async def _answer(self, text: str) -> Generated:
        if text == "poison":
            await asyncio.sleep(0.01)
            self.dead.set()
        if text == "no memory once" and self.spec.slots == SPEC.slots:
            self.dead.set()
            raise OutOfMemoryError("llama_decode gave -2")
        if text == "killed":
            self.dead.set()
            raise EngineKilledError("the child was killed")
        if text == "long":
            raise ContextOverflowError("too long")
        if text == "kill once" and self.spec.slots == SPEC.slots:
            self.killed = True
            self.dead.set()
        try:
            await asyncio.wait_for(self.dead.wait(), ANSWER_S)
        except TimeoutError:
            self.answered.append(text)
            return generated(text)
        raise EngineKilledError("the child was killed") if self.killed else EngineCrashedError("the child died")

    @property
    def death(self) -> EngineError | None:
        return EngineCrashedError("the child died") if self.dead.is_set() else None

    async def close(self) -> None:
        self.closed = True


def ready() -> Ready:
    return Ready(
        architecture="qwen2",
        description="fake",
        n_vocab=1,
        n_ctx_train=1,
        n_ctx_per_slot=1,
        slots=1,
        device="CPU",
        load_s=0.0,
        template_sha256="",
        llama_build="",
        peak_rss_bytes=0,
    )


def generated(text: str) -> Generated:
    return Generated(id=0, text=text, finish="stop", n_prompt=1, n_reused=0, n_generated=1, queue_s=0.0, busy_s=0.0)


class Log:
    """Remembers what the pool reported."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def loaded(self, name: str, ready: Ready) -> None:
        self.events.append("loaded")

    def unloaded(self, name: str) -> None:
        self.events.append("unloaded")

    def progressed(self, name: str, progress: Progress) -> None:
        self.events.append("progressed")

    def restarted(self, name: str, error: EngineError) -> None:
        self.events.append(type(error).__name__)


class FakeStart:
    """Stands in for the class `Engine`: only `start` is used by the pool."""

    def __init__(self, fail: Callable[[EngineSpec], None] = lambda spec: None) -> None:
        self.specs: list[EngineSpec] = []
        self.engines: list[FakeEngine] = []
        self._fail = fail

    async def start(self, spec: EngineSpec, **_: object) -> FakeEngine:
        self.specs.append(spec)
        self._fail(spec)
        self.engines.append(FakeEngine(spec))
        return self.engines[-1]

    @property
    def in_memory(self) -> list[str]:
        """The models that are loaded now."""
        return [engine.spec.model for engine in self.engines if not engine.closed]


async def ask(handle: Handle, text: str) -> str:
    reply = await handle.generate(session=text, messages=[Message("user", text)], sampling=Sampling(), seed=0)
    return reply.text
