"""The engines of a run as its plan seats them: handles by role, and a record of every load.

Owns how a plan becomes a pool. Knows no dialogue and no rubric.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from escl.engine.wire import Progress, Ready
from escl.errors import EngineError
from escl.evaluation.aside import Aside, Tokens
from escl.evaluation.observer import RunObserver
from escl.evaluation.simulate import Respondent
from escl.memory.choices import Role
from escl.memory.plan import Candidate, Plan
from escl.memory.pool import Handle, Pool, Room
from escl.memory.predict import PlannedEngine
from escl.store.records import RequestRow
from escl.store.run import RunStore
from escl.supporters.outside import HumanSupporter, OutsideSupporter, PythonSupporter, Try
from escl.supporters.person import Answer, Person

FROZEN_TIME = 1_735_689_600
"""What chat templates see as now: 1 January 2025, 00:00 UTC. The same for all runs, or their prompts would differ."""


class Engines:
    """A run's pool; leaving the `async with` ends every engine.

    Attributes:
        chosen: The plan's choice.
        keeps_all: Whether every model stays in memory until the end.
    """

    def __init__(
        self,
        plan: Plan,
        store: RunStore,
        *,
        observer: RunObserver,
        stop: asyncio.Event,
        outside: Sequence[OutsideSupporter] = (),
        answer: Answer | None = None,
    ) -> None:
        """Begin with nothing loaded.

        Args:
            plan: What may be in memory together, and how each model is loaded.
            store: Gets the plan and every load.
            observer: Hears of every load.
            stop: Once set, requests that no engine has begun are turned away.
            outside: Supporters that the plan knows nothing of.
            answer: Asks the person, where one is among them.

        Raises:
            NothingFitsError: The plan found nothing that fits.
        """
        self.chosen: Candidate = plan.best()
        self.keeps_all = self.chosen.strategy == "all resident"
        store.add_plan(plan)
        self._shares_ram = plan.budget.shares_ram
        room = Room(host=plan.budget.host_bytes, device=plan.budget.device_bytes or 0)
        tokens, go = Tokens(), asyncio.Event()
        go.set()
        self._pool = Pool(_Recorder(observer, store, tokens), room, stop=stop, go=go)
        self._aside = Aside(store, self._pool, tokens=tokens, observer=observer, stop=stop)
        self._looking = contextlib.AsyncExitStack()
        self._handles: dict[tuple[Role, str], Handle] = {}
        self._at_once = {one.name: one.at_once for one in outside}
        self._people = {one.name for one in outside if isinstance(one, HumanSupporter)}
        recorded = partial(_record_try, store, observer)
        known_to = partial(_respondent, stop=stop, go=go, answer=answer)
        self._outside = {one.name: known_to(one, partial(recorded, one.name)) for one in outside}

    def seat(self, role: Role, name: str) -> PlannedEngine:
        """Return how the plan loads the model `name` in this role."""
        return next(engine for engine in self.chosen.engines if (engine.role, engine.name) == (role, name))

    def handle(self, role: Role, name: str) -> Handle:
        """Return the handle of a model; nothing is loaded before its first request."""
        if (role, name) not in self._handles:
            seat = self.seat(role, name)
            spec = msgspec.structs.replace(seat.spec, frozen_time=FROZEN_TIME)
            self._handles[role, name] = self._pool.handle(self._known_as(role, name), spec, self._size(seat))
        return self._handles[role, name]

    def respondent(self, role: Role, name: str) -> Respondent:
        """Return who is asked for the replies of a speaker: an engine's handle, or a supporter outside."""
        return self._outside[name] if role == "supporter" and self.is_outside(name) else self.handle(role, name)

    def is_outside(self, name: str) -> bool:
        """Return whether the supporter `name` takes no memory here."""
        return name in self._outside

    def is_person(self, name: str) -> bool:
        """Return whether the supporter `name` is the person who sits here."""
        return name in self._people

    def side_by_side(self, name: str) -> int:
        """Return how many dialogues with the supporter `name` are spoken at once, where engines do not swap."""
        if not self.is_outside(name):
            return self.seat("supporter", name).spec.slots
        seeker = next(engine for engine in self.chosen.engines if engine.role == "seeker")
        return 1 if seeker.spec.strict or self.is_person(name) else max(seeker.spec.slots, self._at_once[name])

    def _known_as(self, role: Role, name: str) -> str:
        """Return what observers and records call the engine: one model may sit in two seats."""
        twice = sum(seat.name == name for seat in self.chosen.engines) > 1
        return f"{name} as {role}" if twice else name

    def _size(self, seat: PlannedEngine) -> Room:
        device = 0 if seat.need.device is None else seat.need.device.total
        return Room(host=seat.need.host.total + (device if self._shares_ram else 0), device=device)

    async def __aenter__(self) -> Engines:
        await self._pool.__aenter__()
        await self._looking.enter_async_context(self._aside.looking())
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            for one in self._outside.values():
                await one.release()
        finally:
            await self._looking.aclose()
            await self._pool.__aexit__(*exc)


def _respondent(
    supporter: OutsideSupporter,
    on_try: Callable[[str, Try], None],
    *,
    stop: asyncio.Event,
    go: asyncio.Event,
    answer: Answer | None,
) -> Respondent:
    if isinstance(supporter, HumanSupporter):
        assert answer is not None
        return Person(answer, stop=stop)
    # Imported where there is one: a run without endpoints does not even load what could open a connection.
    if isinstance(supporter, PythonSupporter):
        from escl.supporters.python_code import PythonCode

        return PythonCode(supporter, on_try=on_try, stop=stop, go=go)
    from escl.supporters.endpoint import Endpoint, key_for

    key = key_for(supporter)
    return Endpoint(supporter, key=None if key is None else key[1], on_try=on_try, stop=stop, go=go)


def _record_try(store: RunStore, observer: RunObserver, supporter: str, session: str, tried: Try) -> None:
    """Keep a try in the run before it is shown; sessions are dialogues."""
    dialogue_id = int(session)
    facts = msgspec.structs.asdict(tried)
    again = facts.pop("again")
    store.add_request(RequestRow(dialogue_id=dialogue_id, position=len(store.turns(dialogue_id)), **facts))
    if again:
        observer.asked_again(supporter, tried.error or "")


@dataclass(slots=True)
class _Recorder:
    """Keeps each load in the run before it is shown: device, build, template and context belong to the results."""

    observer: RunObserver
    store: RunStore
    tokens: Tokens
    _loads: dict[str, int] = field(default_factory=dict)
    _peaks: dict[str, int] = field(default_factory=dict)

    def loaded(self, name: str, ready: Ready) -> None:
        self._peaks[name] = ready.peak_rss_bytes
        self.tokens.loaded(name)
        self._loads[name] = self.store.add_load(name, ready, peak_bytes=ready.peak_rss_bytes)
        self.observer.loaded(name, ready)

    def unloaded(self, name: str) -> None:
        self.store.end_load(self._loads.pop(name), peak_bytes=self._peaks.pop(name))
        self.observer.unloaded(name)

    def progressed(self, name: str, progress: Progress) -> None:
        self._peaks[name] = max(self._peaks.get(name, 0), progress.peak_rss_bytes)
        self.tokens.progressed(name, progress)
        self.observer.progressed(name, progress)

    def restarted(self, name: str, error: EngineError) -> None:
        self.observer.restarted(name, error)
