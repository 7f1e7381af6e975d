"""A whole evaluation: what it is made of, and how it runs from wherever it was left.

Owns the order of work (each supporter's dialogues, then the scorer) and which models are needed when. Knows no
command line and prints nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.core.settings import JudgingSettings, SimulationSettings, SpeakerSettings, fingerprint
from escl.engine.child import physical_cores
from escl.engine.wire import EngineSpec, Progress, Ready
from escl.errors import EngineError, UsageError
from escl.evaluation.observer import Phase, RunObserver
from escl.evaluation.score import Bench, adapter_name, score, unread
from escl.evaluation.simulate import Stage, Voice, simulate, turns_in
from escl.memory.pool import Pool
from escl.shelf.manifest import Model
from escl.store.records import DialogueRow, ModelRow
from escl.store.run import RunStore

FROZEN_TIME = 1_735_689_600
"""What chat templates see as now: 1 January 2025, 00:00 UTC. The same for all runs, or their prompts would differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How the machine is used. It changes the time a run takes and low bits of the logits, never what is asked.

    Attributes:
        parallel: Dialogues, or scorer's prompts, evaluated side by side.
        ctx: Tokens of context for each of them.
        gpu_layers: Layers on the device; -1 is all, 0 is CPU only.
        threads: None lets the engine choose.
    """

    parallel: int = 4
    ctx: int = 4096
    gpu_layers: int = -1
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A simulated run: who talks with whom about what.

    Attributes:
        temperature: Of the supporters; None leaves each its manifest's, or the defaults of `Sampling`.
        max_tokens: The same for the length of a supporter's turn.
    """

    protocol: Protocol
    cards: Sequence[RoleCard]
    seeker: Model
    supporters: Sequence[Model]
    rounds: int = 5
    repeats: int = 1
    seed: int = 0
    strict: bool = False
    temperature: float | None = None
    max_tokens: int | None = None

    def settings(self, cards_sha256: str) -> SimulationSettings:
        """Return what the run's fingerprint is made of.

        Raises:
            UsageError: Two supporters share a name.
        """
        twice = [name for name, n in Counter(model.name for model in self.supporters).items() if n > 1]
        if twice:
            raise UsageError(f"two supporters are named {twice[0]}", hint="rename one of the files")
        return SimulationSettings(
            cards_sha256=cards_sha256,
            protocol_sha256=self.protocol.sha256(),
            seeker=SpeakerSettings(
                name=self.seeker.name, sha256=self.seeker.sha256, sampling=self.seeker.sampling or Sampling()
            ),
            supporters=tuple(self._supporter(model) for model in self.supporters),
            rounds=self.rounds,
            repeats=self.repeats,
            seed=self.seed,
            strict=self.strict,
            llama_cpp=llama_cpp_version(),
        )

    def _supporter(self, model: Model) -> SpeakerSettings:
        asked = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        sampling = msgspec.structs.replace(
            model.sampling or Sampling(), **{key: value for key, value in asked.items() if value is not None}
        )
        return SpeakerSettings(name=model.name, sha256=model.sha256, sampling=sampling)


def llama_cpp_version() -> str:
    """Return the installed version of llama-cpp-python, without importing it."""
    return metadata.version("llama-cpp-python")


def judging_settings(store: RunStore, scorer: Model) -> JudgingSettings:
    """Return what the fingerprint of a judging of this run by `scorer` is made of."""
    return JudgingSettings(
        generation_fingerprint=fingerprint(store.settings),
        protocol_sha256=store.protocol.sha256(),
        scorer=scorer.name,
        sha256=scorer.sha256,
        adapters={adapter_name(*key): sha256 for key, (_, sha256) in scorer.adapters.items()},
        llama_cpp=llama_cpp_version(),
    )


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Keeps each load in the run before it is shown: device, build, template and context belong to the results."""

    observer: RunObserver
    store: RunStore

    def loaded(self, name: str, ready: Ready) -> None:
        self.store.add_load(name, ready)
        self.observer.loaded(name, ready)

    def unloaded(self, name: str) -> None:
        self.observer.unloaded(name)

    def progressed(self, name: str, progress: Progress) -> None:
        self.observer.progressed(name, progress)

    def restarted(self, name: str, error: EngineError) -> None:
        self.observer.restarted(name, error)


async def run_simulation(
    simulation: Simulation, store: RunStore, *, machine: Machine, observer: RunObserver, stop: asyncio.Event
) -> None:
    """Speak all dialogues of `simulation` that are not complete or failed in `store`."""
    settings = store.settings
    assert isinstance(settings, SimulationSettings)
    _plan(simulation, store)
    dialogues = store.dialogues()
    per_dialogue = turns_in(simulation.rounds)
    said = {d.id: len(store.turns(d.id)) for d in dialogues}
    # What was given up is not asked for any more.
    total = sum(said[d.id] if d.state == "failed" else per_dialogue for d in dialogues)
    observer.started(Phase.SIMULATION, done=sum(said.values()), total=total)
    async with Pool(_Recorder(observer, store)) as pool:
        parallel = 1 if simulation.strict else machine.parallel
        threads = machine.threads or _threads_for_two(parallel)

        def voice(model: Model, speaker: SpeakerSettings) -> Voice:
            spec = EngineSpec(
                model=str(model.path),
                slots=parallel,
                ctx_per_slot=machine.ctx,
                gpu_layers=machine.gpu_layers,
                threads=threads,
                strict=simulation.strict,
                frozen_time=FROZEN_TIME,
            )
            return Voice(handle=pool.handle(model.name, spec), sampling=speaker.sampling)

        seeker = voice(simulation.seeker, settings.seeker)
        cards = {card.id: card for card in simulation.cards}
        for model, speaker in zip(simulation.supporters, settings.supporters, strict=True):
            waiting = [d for d in dialogues if d.supporter == model.name and d.state in ("pending", "speaking")]
            if not waiting or stop.is_set():
                continue
            supporter = voice(model, speaker)
            stage = Stage(
                store=store,
                protocol=simulation.protocol,
                cards=cards,
                voices={Speaker.SEEKER: seeker, Speaker.SUPPORTER: supporter},
                rounds=simulation.rounds,
                run_seed=simulation.seed,
                parallel=parallel,
                observer=observer,
                stop=stop,
            )
            await simulate(stage, waiting)
            await supporter.handle.release()
    observer.finished(Phase.SIMULATION)


async def run_scoring(
    scorer: Model,
    store: RunStore,
    *,
    machine: Machine,
    observer: RunObserver,
    stop: asyncio.Event,
    retry_failed: bool = False,
) -> None:
    """Read what `scorer` has not read yet of the complete dialogues in `store`; `retry_failed`: what it gave up too."""
    judging_id = store.add_judging(judging_settings(store, scorer))
    if retry_failed:
        store.retry_failed(judging_id=judging_id)
    store.add_models([_model_row("scorer", scorer)])
    dialogues = [d for d in store.dialogues() if d.state == "complete"]
    _check_adapters(scorer, {dialogue.language for dialogue in dialogues})
    total = len(dialogues) * len(Dimension)
    waiting = sum(len(unread(store, judging_id, dialogues, dimension)) for dimension in Dimension)
    observer.started(Phase.SCORING, done=total - waiting, total=total)
    if waiting:
        await _score(scorer, store, judging_id, dialogues, machine=machine, observer=observer, stop=stop)
    observer.finished(Phase.SCORING)


def _check_adapters(scorer: Model, languages: set[Language]) -> None:
    if not scorer.adapters:
        return
    wanted = [(language, dimension) for language in sorted(languages) for dimension in Dimension]
    missing = [adapter_name(*key) for key in wanted if key not in scorer.adapters]
    if missing:
        raise UsageError(f"scorer {scorer.name} has no adapter for {', '.join(missing)}", hint="add it to its manifest")


async def _score(
    scorer: Model,
    store: RunStore,
    judging_id: int,
    dialogues: list[DialogueRow],
    *,
    machine: Machine,
    observer: RunObserver,
    stop: asyncio.Event,
) -> None:
    spec = EngineSpec(
        model=str(scorer.path),
        adapters={adapter_name(*key): str(path) for key, (path, _) in scorer.adapters.items()},
        purpose="labels",
        slots=machine.parallel,
        ctx_per_slot=machine.ctx,
        gpu_layers=machine.gpu_layers,
        threads=machine.threads,
        frozen_time=FROZEN_TIME,
    )
    async with Pool(_Recorder(observer, store)) as pool:
        bench = Bench(
            store=store,
            judging_id=judging_id,
            protocol=store.protocol,
            handle=pool.handle(scorer.name, spec),
            adapters=frozenset(spec.adapters),
            parallel=2 * machine.parallel,
            observer=observer,
            stop=stop,
        )
        await score(bench, dialogues)


def _threads_for_two(parallel: int) -> int | None:
    """Return the threads of each engine when seeker and supporter work at once; None when they take turns.

    Two engines that both take all cores wait for each other at every barrier and are slower than two with half each.
    """
    return None if parallel == 1 else max(1, physical_cores() // 2)


def _plan(simulation: Simulation, store: RunStore) -> None:
    store.add_cards(simulation.cards)
    store.add_models(
        [_model_row("seeker", simulation.seeker), *(_model_row("supporter", m) for m in simulation.supporters)]
    )
    store.plan_dialogues(
        (card.id, card.language, model.name, repeat)
        for model in simulation.supporters
        for card in simulation.cards
        for repeat in range(simulation.repeats)
    )


def _model_row(role: Literal["seeker", "supporter", "scorer"], model: Model) -> ModelRow:
    return ModelRow(role=role, name=model.name, sha256=model.sha256, size_bytes=model.size_bytes, notice=model.notice)
