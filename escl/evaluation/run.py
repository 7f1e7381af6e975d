"""A whole evaluation: what it is made of, and how it runs from wherever it was left.

Owns the order of work (each supporter's dialogues, then the scorer) and which models are needed when. Knows no
command line and prints nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal

import psutil

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.core.settings import JudgingSettings, SimulationSettings, SpeakerSettings, fingerprint
from escl.engine.wire import EngineSpec
from escl.errors import UsageError
from escl.evaluation.observer import Phase, RunObserver
from escl.evaluation.score import Bench, adapter_name, score, unread
from escl.evaluation.simulate import Stage, Voice, simulate, turns_in
from escl.memory.pool import Pool
from escl.shelf.manifest import Model
from escl.store.records import DialogueRow, ModelRow
from escl.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How the machine is used. It changes the time a run takes and, outside strict mode, low bits of the logits.

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
    """A simulated run: who talks with whom about what."""

    protocol: Protocol
    cards: Sequence[RoleCard]
    seeker: Model
    supporters: Sequence[Model]
    rounds: int = 5
    repeats: int = 1
    seed: int = 0
    strict: bool = False
    ctx: int = 4096
    sampling: Sampling = field(default_factory=Sampling)

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
            seeker=self._speaker(self.seeker),
            supporters=tuple(self._speaker(model) for model in self.supporters),
            rounds=self.rounds,
            repeats=self.repeats,
            seed=self.seed,
            strict=self.strict,
            llama_cpp=llama_cpp_version(),
        )

    def _speaker(self, model: Model) -> SpeakerSettings:
        return SpeakerSettings(
            name=model.name, sha256=model.sha256, sampling=model.sampling or self.sampling, ctx=self.ctx
        )


def llama_cpp_version() -> str:
    """Return the installed version of llama-cpp-python, without importing it."""
    return metadata.version("llama-cpp-python")


def judging_settings(store: RunStore, scorer: Model, machine: Machine) -> JudgingSettings:
    """Return what the fingerprint of a judging of this run by `scorer` is made of."""
    return JudgingSettings(
        generation_fingerprint=fingerprint(store.settings),
        protocol_sha256=store.protocol.sha256(),
        scorer=scorer.name,
        sha256=scorer.sha256,
        adapters={adapter_name(*key): sha256 for key, (_, sha256) in scorer.adapters.items()},
        ctx=machine.ctx,
        llama_cpp=llama_cpp_version(),
    )


async def run_simulation(
    simulation: Simulation, store: RunStore, *, machine: Machine, observer: RunObserver, stop: asyncio.Event
) -> None:
    """Speak all dialogues of `simulation` that are not complete or failed in `store`."""
    settings = store.settings
    assert isinstance(settings, SimulationSettings)
    _plan(simulation, store)
    dialogues = store.dialogues()
    per_dialogue = turns_in(simulation.rounds)
    done = sum(per_dialogue if d.state == "failed" else len(store.turns(d.id)) for d in dialogues)
    observer.started(Phase.SIMULATION, done=done, total=per_dialogue * len(dialogues))
    async with Pool(observer) as pool:
        frozen_time = int(store.created.timestamp())
        parallel = 1 if simulation.strict else machine.parallel
        threads = machine.threads or _threads_for_two(parallel)

        def voice(model: Model, speaker: SpeakerSettings) -> Voice:
            spec = EngineSpec(
                model=str(model.path),
                slots=parallel,
                ctx_per_slot=speaker.ctx,
                gpu_layers=machine.gpu_layers,
                threads=threads,
                strict=simulation.strict,
                frozen_time=frozen_time,
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
    scorer: Model, store: RunStore, *, machine: Machine, observer: RunObserver, stop: asyncio.Event
) -> int:
    """Read all complete dialogues in `store` that `scorer` has not read yet; return the judging's id."""
    judging_id = store.add_judging(judging_settings(store, scorer, machine))
    store.add_models([_model_row("scorer", scorer)])
    dialogues = [d for d in store.dialogues() if d.state == "complete"]
    total = len(dialogues) * len(Dimension)
    waiting = sum(len(unread(store, judging_id, dialogues, dimension)) for dimension in Dimension)
    observer.started(Phase.SCORING, done=total - waiting, total=total)
    if waiting:
        await _score(scorer, store, judging_id, dialogues, machine=machine, observer=observer, stop=stop)
    observer.finished(Phase.SCORING)
    return judging_id


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
        frozen_time=int(store.created.timestamp()),
    )
    async with Pool(observer) as pool:
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
    cores = psutil.cpu_count(logical=False)
    return None if parallel == 1 or cores is None else max(1, cores // 2)


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
