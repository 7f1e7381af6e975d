"""The scorer reads finished dialogues, adapter by adapter; every reading is committed when it exists."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from functools import partial

import msgspec

from escl.core.dimension import Dimension, Language, adapter_name
from escl.core.own_dimension import OwnDimension
from escl.core.protocol import Protocol
from escl.core.wording import ScorerPrompt
from escl.engine.wire import LabelRead
from escl.errors import EngineError, ModelLoadError, NotBegunError
from escl.evaluation.observer import RunObserver
from escl.evaluation.side_by_side import side_by_side
from escl.memory.pool import Handle
from escl.store.records import DialogueRow, FailureRow, LabelReading, OwnReading, Reading
from escl.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all readings of one judging have in common.

    Attributes:
        adapters: Names that the scorer's engine knows its adapters by, as `adapter_name` makes them.
        parallel: Requests in flight.
        stop: Once set, readings in flight are finished and no new ones begin.
    """

    store: RunStore
    judging_id: int
    protocol: Protocol
    handle: Handle
    adapters: frozenset[str]
    parallel: int
    observer: RunObserver
    stop: asyncio.Event


async def score(bench: Bench, dialogues: list[DialogueRow]) -> None:
    """Read every dimension of every dialogue that this judging has neither read nor given up.

    Raises:
        ModelLoadError: The scorer cannot be loaded.
        StorageError: A reading could not be committed.
    """
    # Across the adapters in one go: while the last readings by one are awaited, those by the next are on their way.
    waiting = unread(bench.store, bench.judging_id, dialogues)
    await side_by_side(partial(_read, bench), waiting, parallel=bench.parallel, stop=bench.stop)


async def score_own(bench: Bench, own: OwnDimension, dialogues: list[DialogueRow]) -> None:
    """Read a dimension of the user's own in every dialogue that this judging has neither read nor given up.

    Raises:
        ModelLoadError: The scorer cannot be loaded.
        StorageError: A reading could not be committed.
    """
    unread = unread_own(bench.store, bench.judging_id, dialogues, own)
    for language in own.languages:
        waiting = [dialogue for dialogue in unread if dialogue.language is language]
        if waiting and not bench.stop.is_set():
            await side_by_side(partial(_read_own, bench, own), waiting, parallel=bench.parallel, stop=bench.stop)


def unread(store: RunStore, judging_id: int, dialogues: list[DialogueRow]) -> list[tuple[Dimension, DialogueRow]]:
    """Return what has neither a reading nor a final failure, adapter by adapter."""
    done: set[tuple[Dimension | None, int]] = {(r.dimension, r.dialogue_id) for r in store.readings(judging_id)}
    done |= {(failure.dimension, failure.dialogue_id) for failure in store.failures(judging_id)}
    return [
        (dimension, dialogue)
        for language, dimension in itertools.product(Language, Dimension)
        for dialogue in dialogues
        if dialogue.language is language and (dimension, dialogue.id) not in done
    ]


def unread_own(store: RunStore, judging_id: int, dialogues: list[DialogueRow], own: OwnDimension) -> list[DialogueRow]:
    """Return the dialogues in the languages of `own` without a reading or a final failure in the judging of it."""
    done = {r.dialogue_id for r in store.own_readings(judging_id)}
    done |= {f.dialogue_id for f in store.failures(judging_id)}
    return [dialogue for dialogue in dialogues if dialogue.language in own.languages and dialogue.id not in done]


async def _read(bench: Bench, asked: tuple[Dimension, DialogueRow]) -> None:
    dimension, dialogue = asked
    name = adapter_name(dialogue.language, dimension)
    prompt = bench.protocol.scorer_prompt(dialogue.language, dimension, bench.store.turns(dialogue.id))
    adapter = name if name in bench.adapters else None
    said = await _answer(bench, dialogue, prompt, adapter=adapter, about=dimension)
    if said is not None:
        _keep(bench, dialogue, Reading(dimension=dimension, **msgspec.structs.asdict(said)))


async def _read_own(bench: Bench, own: OwnDimension, dialogue: DialogueRow) -> None:
    rubric = own.languages[dialogue.language]
    prompt = bench.protocol.question(dialogue.language, rubric, bench.store.turns(dialogue.id))
    # Adapters were trained to answer other questions.
    said = await _answer(bench, dialogue, prompt, adapter=None, about=own.key)
    if said is not None:
        _keep(bench, dialogue, OwnReading(own=own.key, **msgspec.structs.asdict(said)))


async def _answer(
    bench: Bench, dialogue: DialogueRow, prompt: ScorerPrompt, *, adapter: str | None, about: Dimension | str
) -> LabelReading | None:
    """Return what the scorer says; None where it was stopped before, or gave up, which is then stored."""
    try:
        return _as_reading(dialogue.id, await bench.handle.read_label(adapter=adapter, prompt=prompt))
    except NotBegunError:
        return None
    except ModelLoadError:
        raise
    except EngineError as error:
        failure = FailureRow(
            dialogue_id=dialogue.id,
            dimension=about if isinstance(about, Dimension) else None,
            own=None if isinstance(about, Dimension) else about,
            error=type(error).__name__,
            message=str(error),
        )
        bench.store.add_failure(failure, judging_id=bench.judging_id)
        bench.observer.failed(dialogue, failure)
        return None


def _keep(bench: Bench, dialogue: DialogueRow, reading: Reading | OwnReading) -> None:
    bench.store.add_reading(bench.judging_id, reading)
    bench.observer.read(dialogue, reading)


def _as_reading(dialogue_id: int, reply: LabelRead) -> LabelReading:
    p = reply.probabilities
    return LabelReading(
        dialogue_id=dialogue_id,
        reply=reply.reply,
        label=reply.label,
        probabilities=None if p is None else (p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=reply.off_label_mass,
        drafted=reply.drafted,
        busy_s=reply.busy_s,
    )
