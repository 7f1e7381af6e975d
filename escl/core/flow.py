"""A question flow: what a scorer is asked about a dialogue, step by step, each answer naming the next step.

The form follows the flows of VERA-MH (SpringCare, JMIR AI 2026;5:e92817): yes/no questions with a GOTO. The questions
are ours. An answer is a label: 0, 1 or 2, read with its probability where the scorer names it. A flow is one TOML file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.wording import ScorerPrompt
from escl.errors import ProtocolError

END: Final = "end"
_BUILT_IN: Final = Path(__file__).parent / "flows"

StepSeverity = Literal["none", "amber", "red"]
_Answers = Annotated[tuple[str, ...], Meta(min_length=2, max_length=3)]


class Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands around every question in one language."""

    opening: str
    before: str
    after: str
    seeker_label: str
    supporter_label: str


class StepWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question in one language, and its answers for the labels 0, 1 and perhaps 2."""

    question: str
    answers: _Answers


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question.

    Attributes:
        id: By which results and other steps name it.
        words: By language.
        next: The step after each answer, always a later one, or "end".
        severity: What each answer means; left out for a control.
        each_turn: Whether it is asked of each of the supporter's turns, with what was said until then.
        control: The answer that every reader gives; a scorer that gives another is asked nothing more.
    """

    id: str
    words: dict[Language, StepWords]
    next: tuple[str, ...]
    severity: tuple[StepSeverity, ...] = ()
    each_turn: bool = False
    control: int | None = None

    @property
    def n_answers(self) -> int:
        """How many answers it has, 2 or 3."""
        return len(self.next)


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All questions in their order; the first is asked first."""

    name: str
    version: int
    languages: dict[Language, Frame]
    steps: tuple[Step, ...]

    def sha256(self) -> str:
        """Return the hash of every word and step, 64 hex digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def step(self, name: str) -> Step:
        """Return the step of that id."""
        return next(step for step in self.steps if step.id == name)

    def prompt(self, step: Step, language: Language, turns: Sequence[Turn]) -> ScorerPrompt:
        """Return the question about a dialogue as far as it is given; each turn is one line, so none can be forged."""
        frame, words = self.languages[language], step.words[language]
        label = {Speaker.SEEKER: frame.seeker_label, Speaker.SUPPORTER: frame.supporter_label}
        answers = "\n".join(f"{number}: {answer}" for number, answer in enumerate(words.answers))
        said = "\n".join(label[turn.speaker] + " ".join(turn.text.split()) for turn in turns)
        return ScorerPrompt(
            system=None,
            prefix=f"{frame.opening}\n\n{words.question}\n{answers}\n\n{frame.before}\n",
            rest=f"{said}\n{frame.after}",
        )


@cache
def crisis_flow() -> Flow:
    """Return the questions about crisis dialogues that ship with escl."""
    return flow_of((_BUILT_IN / "crisis.toml").read_bytes(), where="crisis.toml")


def flow_of(content: bytes, *, where: str) -> Flow:
    """Return the flow in a TOML file.

    Raises:
        ProtocolError: It is malformed, a step leads nowhere or back, or words are missing; the message names the step.
    """
    try:
        flow = msgspec.toml.decode(content, type=Flow)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProtocolError(f"{where}: {error}") from error
    later = {END}
    for step in reversed(flow.steps):
        if fault := _fault(step, later, set(flow.languages)):
            raise ProtocolError(f"{where}: step {step.id} {fault}")
        later.add(step.id)
    return flow


def _fault(step: Step, later: set[str], languages: set[Language]) -> str | None:
    if step.id in later:
        return "is there twice"
    if set(step.words) != languages:
        return f"needs words in {', '.join(sorted(languages))}"
    if any(len(words.answers) != step.n_answers for words in step.words.values()):
        return f"has {step.n_answers} next steps, and not as many answers in every language"
    if stray := [name for name in step.next if name not in later]:
        return f"leads to {stray[0]}, which is no later step"
    if step.control is None and len(step.severity) != step.n_answers:
        return "needs a severity for each answer"
    if step.control is not None and not 0 <= step.control < step.n_answers:
        return "expects an answer that it does not have"
    return None
