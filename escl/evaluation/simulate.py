"""Dialogues between the seeker and a supporter: one coroutine each, every turn committed when it exists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.core.seed import turn_seed
from escl.errors import EngineError, ModelLoadError, NotBegunError
from escl.evaluation.observer import RunObserver
from escl.evaluation.side_by_side import side_by_side
from escl.memory.pool import Handle
from escl.store.records import DialogueRow, FailureRow, TurnRow
from escl.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A speaker: a model and how its replies are drawn."""

    handle: Handle
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all dialogues of a run have in common.

    Attributes:
        supporters: Their voices by name.
        stop: Once set, turns that an engine has begun are finished and no new ones begin.
    """

    store: RunStore
    protocol: Protocol
    cards: Mapping[str, RoleCard]
    seeker: Voice
    supporters: Mapping[str, Voice]
    rounds: int
    run_seed: int
    observer: RunObserver
    stop: asyncio.Event


async def simulate(stage: Stage, dialogues: Sequence[DialogueRow], *, parallel: int) -> None:
    """Speak every dialogue, `parallel` at a time, to its end, its failure or the stop.

    What exists already is not said again.

    Raises:
        ModelLoadError: A model cannot be loaded, so that none of the dialogues could go on.
        StorageError: A turn could not be committed.
    """
    await side_by_side(partial(_speak, stage), dialogues, parallel=parallel, stop=stage.stop)


async def _speak(stage: Stage, dialogue: DialogueRow) -> None:
    stage.store.set_state(dialogue.id, "speaking")
    turns = stage.store.turns(dialogue.id)
    if not turns:
        greeting = TurnRow(turn=stage.protocol.greeting(dialogue.language))
        turns.append(_commit(stage, dialogue, 0, greeting))
    for position in range(len(turns), turns_in(stage.rounds)):
        if stage.stop.is_set():
            return
        try:
            row = await _next_turn(stage, dialogue, turns)
        except NotBegunError:
            return
        except ModelLoadError:
            raise
        except EngineError as error:
            failure = FailureRow(
                dialogue_id=dialogue.id, position=position, error=type(error).__name__, message=str(error)
            )
            stage.store.add_failure(failure)
            stage.observer.failed(dialogue, failure)
            return
        turns.append(_commit(stage, dialogue, position, row))


def turns_in(rounds: int) -> int:
    """Return the number of turns of a dialogue: the greeting and two for each round."""
    return 1 + 2 * rounds


async def _next_turn(stage: Stage, dialogue: DialogueRow, turns: list[Turn]) -> TurnRow:
    speaker = turns[-1].speaker.other
    card = stage.cards[dialogue.card_id]
    if speaker is Speaker.SEEKER:
        messages = stage.protocol.seeker_messages(card, turns)
    else:
        messages = stage.protocol.supporter_messages(card.language, turns)
    seed = turn_seed(
        run_seed=stage.run_seed,
        card_id=dialogue.card_id,
        # The seeker draws the same random numbers whoever it talks to: supporters are compared on the same luck.
        supporter="" if speaker is Speaker.SEEKER else dialogue.supporter,
        repeat=dialogue.repeat,
        turn=len(turns),
        speaker=speaker,
    )
    voice = stage.seeker if speaker is Speaker.SEEKER else stage.supporters[dialogue.supporter]
    reply = await voice.handle.generate(session=str(dialogue.id), messages=messages, sampling=voice.sampling, seed=seed)
    return TurnRow(
        turn=Turn(speaker=speaker, text=reply.text),
        finish=reply.finish,
        seed=seed,
        n_prompt=reply.n_prompt,
        n_reused=reply.n_reused,
        n_generated=reply.n_generated,
        busy_s=reply.busy_s,
    )


def _commit(stage: Stage, dialogue: DialogueRow, position: int, row: TurnRow) -> Turn:
    stage.store.add_turn(dialogue.id, position, row, last=position == turns_in(stage.rounds) - 1)
    stage.observer.said(dialogue, position, row)
    return row.turn
