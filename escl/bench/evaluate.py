"""An evaluation under the clock: the one place where the benchmark calls escl's own simulation and scoring."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import psutil

from escl.core.card import RoleCard, cards_sha256
from escl.core.dialogue import Speaker
from escl.core.dimension import Language
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.engine.trial import InStep
from escl.engine.wire import Progress, Ready
from escl.errors import EngineError
from escl.evaluation.engines import Engines
from escl.evaluation.observer import Phase
from escl.evaluation.run import Simulation, run_scoring, run_simulation
from escl.memory.devices import Budget, Hardware
from escl.memory.parts import Fixed
from escl.memory.plan import Plan, chosen_line, plan_for
from escl.memory.workload import SEEKER_REPLY, scoring_workload, workload_of
from escl.shelf.manifest import Model
from escl.store.database import Database
from escl.store.records import DialogueRow, FailureRow, LabelReading, TurnRow
from escl.store.run import RunStore

_SAMPLE_EVERY_S: Final = 0.1
_LOOK_EVERY: Final = 10
"""Samples from one search for new processes to the next: it reads all of the machine's, on a core that is at work."""


class Casting(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part and what is spoken about."""

    protocol: Protocol
    cards: tuple[RoleCard, ...]
    seeker: Model
    supporter: Model
    scorer: Model


class MachineUse(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides have of the machine. Slots of escl's engines come from its plan, as in `escl run`.

    Attributes:
        threads: Of both sides, except where tuning found a number for an engine that is measured by itself.
        ctx: Tokens of context for each dialogue.
        gpu_layers: Layers on the device; -1 is all, 0 is CPU only.
        slots: Of an engine that is measured by itself.
        tune_s: How long tuning a model may take.
    """

    hardware: Hardware
    budget: Budget
    threads: int
    ctx: int
    gpu_layers: int
    slots: int = 8
    tune_s: float = 20.0

    @property
    def device(self) -> str | None:
        """The accelerator that takes layers; None when only the CPU works."""
        return self.budget.device if self.gpu_layers else None

    def fixed(self) -> Fixed:
        """Return what of it the plan must keep to."""
        return Fixed(ctx=self.ctx, gpu_layers=self.gpu_layers, threads=self.threads)


@dataclass(slots=True)
class Stopwatch:
    """A RunObserver that notes what happens when, in seconds since it was made, and how far each engine is."""

    began: float = field(default_factory=time.perf_counter)
    turns: list[tuple[float, int, int, TurnRow]] = field(default_factory=list)
    readings: list[tuple[float, LabelReading]] = field(default_factory=list)
    failures: list[FailureRow] = field(default_factory=list)
    loads: list[tuple[str, float, Ready]] = field(default_factory=list)
    leaves: list[tuple[str, float]] = field(default_factory=list)
    latest: dict[str, Progress] = field(default_factory=dict)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self.began

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        """Nothing to note."""

    def said(self, dialogue: DialogueRow, position: int, row: TurnRow) -> None:
        """Note a turn."""
        self.turns.append((self.now(), dialogue.id, position, row))

    def read(self, dialogue: DialogueRow, reading: LabelReading) -> None:
        """Note a reading."""
        self.readings.append((self.now(), reading))

    def failed(self, dialogue: DialogueRow, failure: FailureRow) -> None:
        """Note a failure."""
        self.failures.append(failure)

    def asked_again(self, supporter: str, why: str) -> None:
        """Nothing to note: the benchmark's supporters are engines."""

    def paused(self, *, is_paused: bool) -> None:
        """Nothing to note: nobody pauses a benchmark."""

    def finished(self, phase: Phase) -> None:
        """Nothing to note."""

    def loaded(self, name: str, ready: Ready) -> None:
        """Note a load."""
        self.loads.append((name, self.now(), ready))

    def unloaded(self, name: str) -> None:
        """Note that a model left."""
        self.leaves.append((name, self.now()))

    def progressed(self, name: str, progress: Progress) -> None:
        """Keep the latest counts."""
        self.latest[name] = progress

    def restarted(self, name: str, error: EngineError) -> None:
        """Refuse: a run that lost an engine is no measurement."""
        raise error


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase took.

    Attributes:
        total_s: From the call to its return: child processes started, models loaded, everything committed, all ended.
        predicted_s: What the plan said of it.
        working_s: From the moment that the first engine can be asked to the last turn or reading.
        latencies_s: From one turn of a dialogue to the next, queueing included.
        peak_bytes: Most memory resident in all processes together.
        bare: The same tokens for bare llama.cpp, by engine; empty when scoring.
    """

    total_s: float
    predicted_s: float
    working_s: float
    first_s: float
    n_done: int
    n_prompt: int
    n_reused: int
    n_generated: int
    latencies_s: list[float]
    load_s: list[float]
    peak_bytes: int
    plan: str
    bare: list[InStep] = []


def simulation_of(casting: Casting, *, rounds: int, max_tokens: int, repeats: int = 1) -> Simulation:
    """Return the run that is simulated: the supporter's turns end at `max_tokens`, the seeker's at a usual length."""
    longest = min(max_tokens, SEEKER_REPLY)
    sampling = msgspec.structs.replace(casting.seeker.sampling or Sampling(), max_tokens=longest)
    return Simulation(
        protocol=casting.protocol,
        cards=casting.cards,
        seeker=msgspec.structs.replace(casting.seeker, sampling=sampling),
        supporters=[casting.supporter],
        rounds=rounds,
        repeats=repeats,
        max_tokens=max_tokens,
    )


def begin(path: Path, simulation: Simulation) -> RunStore:
    """Return a new run file, open for writing."""
    settings = simulation.settings(cards_sha256(simulation.cards))
    return RunStore.begin(Database.writer(path), settings, simulation.protocol, command="benchmark", versions={})


def speak(simulation: Simulation, store: RunStore, use: MachineUse) -> Observed:
    """Simulate all dialogues of `simulation` into `store`, planned as `escl run` does, and return what it took.

    Raises:
        EngineError: Nothing fits, or a dialogue failed.
    """
    watch = Stopwatch()
    workload = workload_of(simulation.cards, simulation.protocol, rounds=simulation.rounds, repeats=simulation.repeats)
    plan = plan_for(
        simulation.seeker,
        simulation.loaded_here,
        None,
        workload=workload,
        budget=use.budget,
        hardware=use.hardware,
        fixed=use.fixed(),
        max_tokens=simulation.max_tokens,
    )

    async def work() -> None:
        stop = asyncio.Event()
        async with Engines(plan, store, observer=watch, stop=stop) as engines:
            await run_simulation(simulation, store, engines=engines, observer=watch, stop=stop)

    total_s, peak_bytes = _timed(work(), watch)
    turns = [turn for turn in watch.turns if turn[2] > 0]
    rows = [row for _, _, _, row in turns]
    return Observed(
        total_s=total_s,
        predicted_s=plan.best().seconds.total,
        working_s=turns[-1][0] - watch.loads[0][1],
        first_s=turns[0][0],
        n_done=len(turns),
        n_prompt=sum(row.n_prompt or 0 for row in rows),
        n_reused=sum(row.n_reused or 0 for row in rows),
        n_generated=sum(row.n_generated or 0 for row in rows),
        latencies_s=_latencies(watch.turns),
        load_s=[ready.load_s for _, _, ready in watch.loads],
        peak_bytes=peak_bytes,
        plan=chosen_line(plan).removeprefix("plan: "),
        bare=_in_step(plan, watch.turns),
    )


def _in_step(plan: Plan, turns: Sequence[tuple[float, int, int, TurnRow]]) -> list[InStep]:
    """Return what each engine evaluated and generated, turn by turn of all dialogues."""
    asked = []
    for engine in plan.best().engines:
        speaker = Speaker.SEEKER if engine.role == "seeker" else Speaker.SUPPORTER
        rows = [(position, row) for _, _, position, row in turns if position > 0 and row.turn.speaker is speaker]
        by_turn = [[row for at, row in rows if at == position] for position in sorted({at for at, _ in rows})]
        asked.append(
            InStep(
                spec=engine.spec,
                prompts=[[(row.n_prompt or 0) - (row.n_reused or 0) for row in said] for said in by_turn],
                generated=[round(statistics.mean(row.n_generated or 0 for row in said)) for said in by_turn],
            )
        )
    return asked


def read(scorer: Model, store: RunStore, use: MachineUse) -> Observed:
    """Score all dialogues in `store`, planned as `escl score` does, and return what it took.

    Its prompt tokens are what the engine evaluated, as it last reported.

    Raises:
        EngineError: Nothing fits, or a reading failed.
    """
    watch = Stopwatch()
    plan = reading_plan(scorer, store, use)

    async def work() -> None:
        stop = asyncio.Event()
        async with Engines(plan, store, observer=watch, stop=stop) as engines:
            await run_scoring(scorer, store, engines=engines, observer=watch, stop=stop)

    total_s, peak_bytes = _timed(work(), watch)
    progress = watch.latest.get(scorer.name)
    return Observed(
        total_s=total_s,
        predicted_s=plan.best().seconds.total,
        working_s=watch.readings[-1][0] - watch.loads[0][1],
        first_s=watch.readings[0][0],
        n_done=len(watch.readings),
        n_prompt=0 if progress is None else progress.n_prompt_evaluated,
        n_reused=0 if progress is None else progress.n_reused,
        n_generated=0 if progress is None else progress.n_generated,
        latencies_s=[],
        load_s=[ready.load_s for _, _, ready in watch.loads],
        peak_bytes=peak_bytes,
        plan=chosen_line(plan).removeprefix("plan: "),
    )


def reading_plan(scorer: Model, store: RunStore, use: MachineUse) -> Plan:
    """Return the plan by which `read` scores all dialogues in `store`.

    Raises:
        GGUFError: A file's header is malformed.
    """
    return plan_for(
        None,
        [],
        scorer,
        workload=scoring_workload(_transcripts(store), store.protocol),
        budget=use.budget,
        hardware=use.hardware,
        fixed=use.fixed(),
    )


def _transcripts(store: RunStore) -> dict[Language, list[str]]:
    texts: dict[Language, list[str]] = {}
    for dialogue in store.dialogues():
        said = store.protocol.transcript(dialogue.language, store.turns(dialogue.id))
        texts.setdefault(dialogue.language, []).append(said)
    return texts


def _timed(work: Coroutine[object, object, None], watch: Stopwatch) -> tuple[float, int]:
    with PeakMemory() as memory:
        watch.began = time.perf_counter()
        asyncio.run(work)
        total_s = watch.now()
    if watch.failures:
        first = watch.failures[0]
        raise EngineError(f"{len(watch.failures)} failures while measuring, first: {first.error}: {first.message}")
    return total_s, memory.peak_bytes


def _latencies(turns: Sequence[tuple[float, int, int, TurnRow]]) -> list[float]:
    """Return the time from each turn of a dialogue to its next."""
    before: dict[int, float] = {}
    latencies = []
    for at, dialogue_id, position, _ in turns:
        if position > 0 and dialogue_id in before:
            latencies.append(at - before[dialogue_id])
        before[dialogue_id] = at
    return latencies


class PeakMemory:
    """Samples the resident memory of this process and all its descendants while the `with` lasts.

    Attributes:
        peak_bytes: The largest sum; pages that two processes share count twice.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        me = psutil.Process()
        for number in itertools.count():
            if number % _LOOK_EVERY == 0:
                processes = [me, *me.children(recursive=True)]
            self.peak_bytes = max(self.peak_bytes, sum(map(_rss, processes)))
            if self._over.wait(_SAMPLE_EVERY_S):
                return

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        # It ended between the listing and the question.
        return 0
