"""A whole evaluation: what it is made of, and how it runs from wherever it was left.

Owns the order of work (the dialogues of the supporters, then the scorer) and which models are needed when. Knows no
command line and prints nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language, adapter_name
from escl.core.own_dimension import OwnDimension
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.core.settings import JudgingSettings, SimulationSettings, SpeakerSettings, fingerprint
from escl.engine.wire import KVType
from escl.errors import NotBegunError, UsageError
from escl.evaluation.engines import Engines
from escl.evaluation.observer import Phase, RunObserver
from escl.evaluation.score import Bench, score, score_own, unread, unread_own
from escl.evaluation.simulate import Respondent, Stage, Voice, simulate, turns_in
from escl.memory.choices import Role
from escl.shelf.manifest import Model
from escl.store.records import DialogueRow, ModelRow
from escl.store.run import RunStore
from escl.supporters.outside import HUMAN, OutsideSupporter

Supporter = Model | OutsideSupporter
"""A model that is loaded here, an endpoint, Python code, or a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A simulated run: who talks with whom about what.

    Attributes:
        supporters: All names differ.
        own: Dimensions of the user's own that the scorer is asked about beside the seven. They change nothing that is
            said, and so are no part of the settings.
        temperature: Of the supporters; None leaves each its manifest's, or else the protocol's.
        max_tokens: The same for the length of a supporter's turn.
    """

    protocol: Protocol
    cards: Sequence[RoleCard]
    seeker: Model
    supporters: Sequence[Supporter]
    rounds: int = 5
    repeats: int = 1
    own: Sequence[OwnDimension] = ()
    seed: int = 0
    strict: bool = False
    temperature: float | None = None
    max_tokens: int | None = None

    @property
    def loaded_here(self) -> list[Model]:
        """The supporters that take up memory here."""
        return [supporter for supporter in self.supporters if isinstance(supporter, Model)]

    @property
    def outside(self) -> list[OutsideSupporter]:
        """The supporters that take no part in the plan."""
        return [supporter for supporter in self.supporters if not isinstance(supporter, Model)]

    @property
    def seeker_sampling(self) -> Sampling:
        """How the seeker's replies are drawn: by its manifest, else as the protocol says."""
        return self.seeker.sampling or self.protocol.default_sampling(Speaker.SEEKER)

    def sampling(self, supporter: Supporter) -> Sampling:
        """Return how a supporter's replies are drawn: as asked, else by its manifest, else as the protocol says."""
        asked = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return msgspec.structs.replace(
            supporter.sampling or self.protocol.default_sampling(Speaker.SUPPORTER),
            **{key: value for key, value in asked.items() if value is not None},
        )

    def settings(self, cards_sha256: str) -> SimulationSettings:
        """Return what the run's fingerprint is made of.

        Raises:
            UsageError: Two supporters share a name.
        """
        twice = [name for name, n in Counter(model.name for model in self.supporters).items() if n > 1]
        if twice:
            is_file = all(isinstance(one, Model) for one in self.supporters if one.name == twice[0])
            renamed = "rename one of the files" if is_file else "give one another name in a TOML file of its own"
            if twice[0] == HUMAN:
                renamed = "one person answers; --repeats lets you play the same card again"
            raise UsageError(f"two supporters are named {twice[0]}", hint=renamed)
        return SimulationSettings(
            cards_sha256=cards_sha256,
            protocol_sha256=self.protocol.sha256(),
            seeker=SpeakerSettings(name=self.seeker.name, sha256=self.seeker.sha256, sampling=self.seeker_sampling),
            supporters=tuple(self._speaker(supporter) for supporter in self.supporters),
            rounds=self.rounds,
            repeats=self.repeats,
            seed=self.seed,
            strict=self.strict,
            llama_cpp=llama_cpp_version(),
        )

    def _speaker(self, supporter: Supporter) -> SpeakerSettings:
        known = SpeakerSettings(
            name=supporter.name,
            sha256=supporter.sha256,
            sampling=self.sampling(supporter),
            system_prompt=supporter.system_prompt,
        )
        if isinstance(supporter, Model):
            return known
        return msgspec.structs.replace(known, kind=supporter.kind, target=supporter.target, told=supporter.told)


def llama_cpp_version() -> str:
    """Return the installed version of llama-cpp-python, without importing it."""
    return metadata.version("llama-cpp-python")


def judging_settings(store: RunStore, scorer: Model, *, kv_type: KVType | None = None) -> JudgingSettings:
    """Return what the fingerprint of a judging of this run by `scorer` is made of; without a KV type the plan's."""
    return JudgingSettings(
        generation_fingerprint=fingerprint(store.settings),
        protocol_sha256=store.protocol.sha256(),
        scorer=scorer.name,
        sha256=scorer.sha256,
        adapters={adapter_name(*key): sha256 for key, (_, sha256) in scorer.adapters.items()},
        llama_cpp=llama_cpp_version(),
        kv_type=kv_type or msgspec.UNSET,
    )


def own_judging_settings(store: RunStore, scorer: Model, own: OwnDimension) -> JudgingSettings:
    """Return the same for a dimension of the user's own, which is read without adapters."""
    plain = msgspec.structs.replace(scorer, adapters={})
    return msgspec.structs.replace(judging_settings(store, plain), own=own)


async def run_simulation(
    simulation: Simulation,
    store: RunStore,
    *,
    engines: Engines,
    observer: RunObserver,
    stop: asyncio.Event,
    cards: Sequence[RoleCard] | None = None,
) -> None:
    """Speak all dialogues of `simulation` that are not complete or failed in `store`; with `cards`, only on these."""
    settings = store.settings
    assert isinstance(settings, SimulationSettings)
    played = simulation.cards if cards is None else cards
    _plan(simulation, store, played)
    wanted = {card.id for card in played}
    dialogues = [dialogue for dialogue in store.dialogues() if dialogue.card_id in wanted]
    # The greeting is nobody's turn.
    per_dialogue = turns_in(simulation.rounds) - 1
    said = {d.id: max(0, len(store.turns(d.id)) - 1) for d in dialogues}
    # What was given up is not asked for any more.
    total = sum(said[d.id] if d.state == "failed" else per_dialogue for d in dialogues)
    observer.started(Phase.SIMULATION, done=sum(said.values()), total=total)

    def voice(role: Role, speaker: SpeakerSettings) -> Voice:
        handle = engines.respondent(role, speaker.name)
        return Voice(handle=handle, sampling=speaker.sampling, system_prompt=speaker.system_prompt)

    waiting = [d for d in dialogues if d.state in ("pending", "speaking")]
    if waiting:
        stage = Stage(
            store=store,
            protocol=simulation.protocol,
            cards={card.id: card for card in simulation.cards},
            seeker=voice("seeker", settings.seeker),
            supporters={speaker.name: voice("supporter", speaker) for speaker in settings.supporters},
            rounds=simulation.rounds,
            run_seed=simulation.seed,
            observer=observer,
            stop=stop,
        )
        await _speak_all(stage, waiting, engines)
    observer.finished(Phase.SIMULATION)


async def _speak_all(stage: Stage, waiting: list[DialogueRow], engines: Engines) -> None:
    # One supporter after the other: two that take turns in the same memory would be swapped at every turn.
    # People first: nobody waits at the terminal for models to talk.
    for name, voice in sorted(stage.supporters.items(), key=lambda one: not engines.is_person(one[0])):
        its_own = [dialogue for dialogue in waiting if dialogue.supporter == name]
        # Who takes no memory keeps nobody out, so that even where engines swap the seeker stays for these dialogues.
        if (engines.chosen.swaps and not engines.is_outside(name)) or not its_own or stage.stop.is_set():
            continue
        with contextlib.suppress(NotBegunError):
            await _load_together(stage.seeker.handle, voice.handle)
        await simulate(stage, its_own, parallel=engines.side_by_side(name))
        # The plan knows nothing of the memory that code of others takes.
        if not engines.keeps_all or engines.is_outside(name):
            await voice.handle.release()
    if engines.chosen.swaps:
        # Every dialogue is begun at once, so that each engine has the whole round's work when its turn comes.
        waves = [dialogue for dialogue in waiting if not engines.is_outside(dialogue.supporter)]
        if waves and not stage.stop.is_set():
            await simulate(stage, waves, parallel=len(waves))
    if not engines.keeps_all:
        for voice in (stage.seeker, *stage.supporters.values()):
            await voice.handle.release()


async def _load_together(*handles: Respondent) -> None:
    """Load models at once, each of which keeps one core busy at most.

    Raises:
        ModelLoadError: One of them cannot be loaded; the others are no longer waited for.
        NotBegunError: The run was stopped.
    """
    loading = [asyncio.ensure_future(handle.preload()) for handle in handles]
    try:
        await asyncio.gather(*loading)
    except BaseException:
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        raise


def lay_out(simulation: Simulation, scorer: Model | None, store: RunStore) -> None:
    """Write into `store` everything that a run of `simulation` is to say and read, and nothing said or read.

    Raises:
        UsageError: The scorer has no adapter for what it would have to read.
    """
    _plan(simulation, store, simulation.cards)
    if scorer is None:
        return
    _check_adapters(scorer, {card.language for card in simulation.cards})
    store.add_judging(judging_settings(store, scorer))
    for own in simulation.own:
        store.add_judging(own_judging_settings(store, scorer, own))
    store.add_models([_model_row("scorer", scorer)])


async def run_scoring(
    scorer: Model,
    store: RunStore,
    *,
    engines: Engines,
    observer: RunObserver,
    stop: asyncio.Event,
    retry_failed: bool = False,
    judging_id: int | None = None,
    own: Sequence[OwnDimension] = (),
    seven: bool = True,
) -> None:
    """Read what `scorer` has not read yet of the complete dialogues in `store`.

    Args:
        scorer: Who reads.
        store: Where the dialogues are and the readings go.
        engines: With a seat for the scorer.
        observer: Hears of every reading.
        stop: Once set, no new reading is begun.
        retry_failed: Read what it gave up too.
        judging_id: Which judging the readings belong to; None is the scorer's own, which is then the one shown.
        own: Dimensions of the user's own to read, each in a judging of its own.
        seven: Whether the seven dimensions are read too.
    """
    judgings = _judgings(scorer, store, judging_id, own=own, seven=seven)
    if retry_failed:
        for number, _ in judgings:
            store.retry_failed(judging_id=number)
    store.add_models([_model_row("scorer", scorer)])
    dialogues = [d for d in store.dialogues() if d.state == "complete"]
    if seven:
        _check_adapters(scorer, {dialogue.language for dialogue in dialogues})
    counted = [_asked_and_waiting(store, dialogues, number, about) for number, about in judgings]
    total, waiting = sum(asked for asked, _ in counted), sum(left for _, left in counted)
    observer.started(Phase.SCORING, done=total - waiting, total=total)
    if waiting:
        handle = engines.handle("scorer", scorer.name)
        for number, about in judgings:
            bench = Bench(
                store=store,
                judging_id=number,
                protocol=store.protocol,
                handle=handle,
                adapters=frozenset(adapter_name(*key) for key in scorer.adapters),
                parallel=2 * engines.seat("scorer", scorer.name).spec.slots,
                observer=observer,
                stop=stop,
            )
            await (score(bench, dialogues) if about is None else score_own(bench, about, dialogues))
    observer.finished(Phase.SCORING)


def _judgings(
    scorer: Model, store: RunStore, judging_id: int | None, *, own: Sequence[OwnDimension], seven: bool
) -> list[tuple[int, OwnDimension | None]]:
    """Return the judgings that readings go into, each with the dimension that it is about; None is the seven."""
    found: list[tuple[int, OwnDimension | None]] = []
    if seven:
        found.append((judging_id or store.add_judging(judging_settings(store, scorer)), None))
    return found + [(store.add_judging(own_judging_settings(store, scorer, each)), each) for each in own]


def _asked_and_waiting(
    store: RunStore, dialogues: list[DialogueRow], judging_id: int, own: OwnDimension | None
) -> tuple[int, int]:
    """Return how many readings a judging is made of, and how many of them are still to be made."""
    if own is None:
        return len(dialogues) * len(Dimension), len(unread(store, judging_id, dialogues))
    asked = sum(dialogue.language in own.languages for dialogue in dialogues)
    return asked, len(unread_own(store, judging_id, dialogues, own))


def _check_adapters(scorer: Model, languages: set[Language]) -> None:
    if not scorer.adapters:
        return
    wanted = [(language, dimension) for language in sorted(languages) for dimension in Dimension]
    missing = [adapter_name(*key) for key in wanted if key not in scorer.adapters]
    if missing:
        raise UsageError(f"scorer {scorer.name} has no adapter for {', '.join(missing)}", hint="add it to its manifest")


def _plan(simulation: Simulation, store: RunStore, played: Sequence[RoleCard]) -> None:
    store.add_cards(simulation.cards)
    store.add_models(
        [_model_row("seeker", simulation.seeker), *(_model_row("supporter", m) for m in simulation.supporters)]
    )
    store.plan_dialogues(
        (card.id, card.language, model.name, repeat)
        for model in simulation.supporters
        for card in played
        for repeat in range(simulation.repeats)
    )


def _model_row(role: Literal["seeker", "supporter", "scorer"], model: Supporter) -> ModelRow:
    size_bytes = model.size_bytes if isinstance(model, Model) else None
    return ModelRow(role=role, name=model.name, sha256=model.sha256, size_bytes=size_bytes, notice=model.notice)
