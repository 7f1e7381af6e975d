"""Dialogues between the seeker and a supporter: one coroutine each, every turn committed when it exists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from escl.core.card import RoleCard
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.protocol import Protocol as EvaluationProtocol
from escl.core.sampling import Sampling
from escl.core.seed import turn_seed
from escl.errors import EngineError, ModelLoadError, NotBegunError, OnlyReasoningError
from escl.evaluation.observer import RunObserver
from escl.evaluation.side_by_side import side_by_side
from escl.store.records import DialogueRow, FailureRow, TurnRow
from escl.store.run import RunStore


class Reply(Protocol):
    """What was said and what it took; None where nobody knows."""

    @property
    def text(self) -> str: ...
    @property
    def reasoning(self) -> str | None: ...
    @property
    def finish(self) -> Literal["stop", "length"] | None: ...
    @property
    def n_prompt(self) -> int | None: ...
    @property
    def n_reused(self) -> int | None: ...
    @property
    def n_generated(self) -> int | None: ...
    @property
    def busy_s(self) -> float: ...


class Respondent(Protocol):
    """Who can be asked for the next message of a conversation: an engine's handle, an endpoint, code, a person."""

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Reply: ...

    async def preload(self) -> None: ...

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A speaker: who is asked, and how its replies are drawn.

    Attributes:
        system_prompt: Stands in place of the protocol's; None leaves that.
    """

    handle: Respondent
    sampling: Sampling
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all dialogues of a run have in common.

    Attributes:
        supporters: Their voices by name.
        stop: Once set, turns that an engine has begun are finished and no new ones begin.
    """

    store: RunStore
    protocol: EvaluationProtocol
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
    if voice.system_prompt is not None:
        messages = [Message("system", voice.system_prompt), *(m for m in messages if m.role != "system")]
    reply = await voice.handle.generate(session=str(dialogue.id), messages=messages, sampling=voice.sampling, seed=seed)
    if reply.reasoning is not None and not reply.text.strip():
        raise OnlyReasoningError(_only_reasoning(reply))
    return TurnRow(
        turn=Turn(speaker=speaker, text=reply.text),
        reasoning=reply.reasoning,
        finish=reply.finish,
        seed=seed,
        n_prompt=reply.n_prompt,
        n_reused=reply.n_reused,
        n_generated=reply.n_generated,
        busy_s=reply.busy_s,
    )


def _only_reasoning(reply: Reply) -> str:
    if reply.finish != "length":
        return "the reply was nothing but reasoning"
    tokens = "the limit" if reply.n_generated is None else f"{reply.n_generated} tokens"
    return f"the reply was still reasoning when it was cut at {tokens}; a larger max_tokens lets it come to its answer"


def _commit(stage: Stage, dialogue: DialogueRow, position: int, row: TurnRow) -> Turn:
    stage.store.add_turn(dialogue.id, position, row, last=position == turns_in(stage.rounds) - 1)
    stage.observer.said(dialogue, position, row)
    return row.turn
