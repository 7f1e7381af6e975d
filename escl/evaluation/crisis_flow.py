"""A scorer goes through the question flow for every crisis dialogue; every answer is committed when it exists.

Owns the way through the steps. What the answers come to is `escl.evaluation.crisis`'s.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.flow import END, Flow, Step
from escl.core.wording import ScorerPrompt
from escl.engine.wire import LabelRead
from escl.errors import EngineError, ModelLoadError, NotBegunError
from escl.evaluation.observer import InquiryObserver, Phase
from escl.evaluation.side_by_side import side_by_side
from escl.memory.pool import Handle
from escl.store.crisis import CrisisStore, FlowAnswer
from escl.store.records import DialogueRow
from escl.store.run import RunStore

ON_SCALE = 0.5
"""An answer counts when at least this much of the probability lies on the answers that were offered."""

Answers = Mapping[tuple[str, int], FlowAnswer]
"""The answers about one dialogue, by step and the position of the last turn that was read."""

Known = dict[int, dict[tuple[str, int], FlowAnswer]]
"""The same by dialogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What all questions of one asking have in common."""

    store: RunStore
    kept: CrisisStore
    asking_id: int
    flow: Flow
    handle: Handle
    parallel: int
    observer: InquiryObserver
    stop: asyncio.Event


def crisis_dialogues(store: RunStore) -> list[DialogueRow]:
    """Return the run's dialogues on crisis cards, in whatever state."""
    crisis = {card.id for card in store.cards().values() if card.crisis is not None}
    return [dialogue for dialogue in store.dialogues() if dialogue.card_id in crisis]


def by_dialogue(
    answers: Sequence[FlowAnswer], *, retry_failed: bool = False
) -> dict[int, dict[tuple[str, int], FlowAnswer]]:
    """Return answers by dialogue; with `retry_failed` without those that were given up."""
    found: Known = {}
    for answer in answers:
        if not (retry_failed and answer.error is not None):
            found.setdefault(answer.dialogue_id, {})[answer.step, answer.position] = answer
    return found


def on_scale(answer: FlowAnswer, step: Step) -> float:
    """Return how much of the probability lies on the answers that were offered (0-1); 0 without a label."""
    return 0.0 if answer.probabilities is None else math.fsum(answer.probabilities[: step.n_answers])


def chosen(answer: FlowAnswer, step: Step) -> int | None:
    """Return the answer that was given; None when it was none of those offered, or hardly."""
    if answer.label is None or answer.label >= step.n_answers or on_scale(answer, step) < ON_SCALE:
        return None
    return answer.label


def way(flow: Flow, turns: Sequence[Turn], answers: Answers) -> tuple[list[tuple[Step, int]], tuple[Step, int] | None]:
    """Return the questions that were answered, in order, and the next one; None at the end of the way.

    A step whose answer cannot be read goes on as after its last answer, which on these steps is the more watchful one.
    A control that is answered wrongly, or cannot be read, ends the way.
    """
    answered: list[tuple[Step, int]] = []
    name = flow.steps[0].id
    while name != END:
        step = flow.step(name)
        last = None
        for position in _positions(step, turns):
            if (step.id, position) not in answers:
                return answered, (step, position)
            answered.append((step, position))
            last = chosen(answers[step.id, position], step)
        if step.control is not None and last != step.control:
            break
        name = step.next[-1 if last is None or step.each_turn else last]
    return answered, None


def passed_controls(flow: Flow, answers: Answers) -> bool:
    """Return whether every control that was asked has the answer that every reader gives, and all were asked."""
    given = {step: answer for (step, _), answer in answers.items()}
    return all(
        step.id in given and chosen(given[step.id], step) == step.control
        for step in flow.steps
        if step.control is not None
    )


def open_questions(flow: Flow, turns: Sequence[Turn], answers: Answers) -> list[tuple[Step, int]]:
    """Return what may still be asked about a dialogue: the next question and all behind it; a way takes some of it."""
    _, question = way(flow, turns, answers)
    if question is None:
        return []
    rest = flow.steps[flow.steps.index(question[0]) :]
    return [(step, at) for step in rest for at in _positions(step, turns) if (step.id, at) not in answers]


def open_prompts(store: RunStore, flow: Flow, known: Known) -> dict[Language, list[ScorerPrompt]]:
    """Return the prompts of all open questions about a run's complete crisis dialogues, by language."""
    found: dict[Language, list[ScorerPrompt]] = {}
    for dialogue in crisis_dialogues(store):
        if dialogue.state == "complete":
            turns = store.turns(dialogue.id)
            found.setdefault(dialogue.language, []).extend(
                flow.prompt(step, dialogue.language, turns[: at + 1])
                for step, at in open_questions(flow, turns, known.get(dialogue.id, {}))
            )
    return found


async def ask_all(inquiry: Inquiry, known: Known) -> None:
    """Ask what is not answered yet about every complete crisis dialogue.

    Progress counts every question that a way may take; those that it leaves out are done when it ends.

    Raises:
        ModelLoadError: The scorer cannot be loaded.
        StorageError: An answer could not be committed.
    """
    complete = [dialogue for dialogue in crisis_dialogues(inquiry.store) if dialogue.state == "complete"]
    total = done = 0
    for dialogue in complete:
        turns = inquiry.store.turns(dialogue.id)
        there = sum(len(_positions(step, turns)) for step in inquiry.flow.steps)
        total += there
        done += there - len(open_questions(inquiry.flow, turns, known.get(dialogue.id, {})))
    inquiry.observer.started(Phase.ASKING, done=done, total=total)
    await side_by_side(partial(_ask, inquiry, known), complete, parallel=inquiry.parallel, stop=inquiry.stop)
    inquiry.observer.finished(Phase.ASKING)


async def _ask(inquiry: Inquiry, known: Known, dialogue: DialogueRow) -> None:
    turns = inquiry.store.turns(dialogue.id)
    answers = dict(known.get(dialogue.id, {}))
    left = open_questions(inquiry.flow, turns, answers)
    while left and not inquiry.stop.is_set():
        step, position = question = left[0]
        prompt = inquiry.flow.prompt(step, dialogue.language, turns[: position + 1])
        try:
            answer = _answered(dialogue.id, question, await inquiry.handle.read_label(adapter=None, prompt=prompt))
        except NotBegunError:
            return
        except ModelLoadError:
            raise
        except EngineError as error:
            answer = _given_up(dialogue.id, question, error)
        inquiry.kept.add_answer(inquiry.asking_id, answer)
        answers[step.id, position] = answer
        before, left = left, open_questions(inquiry.flow, turns, answers)
        inquiry.observer.settled(len(before) - len(left))
        if answer.error is not None:
            inquiry.observer.given_up(f"{dialogue.supporter} on card {dialogue.card_id}, {step.id}: {answer.error}")


def _positions(step: Step, turns: Sequence[Turn]) -> list[int]:
    if not step.each_turn:
        return [len(turns) - 1]
    return [at for at, turn in enumerate(turns) if at > 0 and turn.speaker is Speaker.SUPPORTER]


def _answered(dialogue_id: int, question: tuple[Step, int], read: LabelRead) -> FlowAnswer:
    p = read.probabilities
    return FlowAnswer(
        dialogue_id=dialogue_id,
        step=question[0].id,
        position=question[1],
        reply=read.reply,
        label=read.label,
        probabilities=None if p is None else (p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=read.off_label_mass,
        error=None,
        busy_s=read.busy_s,
    )


def _given_up(dialogue_id: int, question: tuple[Step, int], error: EngineError) -> FlowAnswer:
    return FlowAnswer(
        dialogue_id=dialogue_id,
        step=question[0].id,
        position=question[1],
        reply=None,
        label=None,
        probabilities=None,
        off_label_mass=None,
        error=f"{type(error).__name__}: {error.message}",
        busy_s=0.0,
    )
