"""Which question a rater is asked, what was answered, and back again: for `escl rate` and the app.

Knows neither a supporter's name, nor a screen, nor keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from escl.core.dimension import LABELS, Dimension
from escl.core.own_dimension import OwnDimension
from escl.core.ratings_file import GivenLabel, Preference
from escl.evaluation.rating import Pair, Unrated
from escl.evaluation.rating_sheet import RatingSheet

LABEL_ANSWERS: Final = tuple(str(label) for label in LABELS)
PREFERENCE_ANSWERS: Final = ("a", "b", "tie")

Subject = TypeVar("Subject", bound=Unrated | Pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[Subject]):
    """One thing to ask.

    Attributes:
        subject: What must be on the screen.
        dimension: What of it is asked about; None asks about the whole, or about `own`.
        own: The key of a dimension of the user's own.
        row: What goes into the file, without the answer.
    """

    subject: Subject
    dimension: Dimension | None
    row: dict[str, object]
    own: str | None = None


class Desk(Generic[Subject]):
    """Questions in order, and the sheet that their answers go to.

    Attributes:
        questions: Those that were not answered in the sheet before.
        n_before: How many more were.
    """

    def __init__(self, questions: Sequence[Question[Subject]], sheet: RatingSheet, *, column: str, n_all: int) -> None:
        self.questions = questions
        self.n_before = n_all - len(questions)
        self._sheet = sheet
        self._column = column
        self._at = 0
        self._answers: dict[int, str] = {}

    @property
    def question(self) -> Question[Subject] | None:
        """What is asked now; None at the end."""
        return self.questions[self._at] if self._at < len(self.questions) else None

    @property
    def n_answered(self) -> int:
        """How many answers stand, of those that were given here."""
        return len(self._answers)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, not even what was skipped."""
        return self.n_answered == len(self.questions)

    def answers(self) -> list[tuple[Question[Subject], str | None]]:
        """Return the questions about the present subject with what was answered."""
        question = self.question
        return [
            (each, self._answers.get(at))
            for at, each in enumerate(self.questions)
            if question is not None and each.subject is question.subject
        ]

    def answer(self, answer: str) -> None:
        """Write the answer down, and ask the next question.

        Raises:
            StorageError: It cannot be written; the question stands.
        """
        question = self.questions[self._at]
        self._sheet.add({**question.row, self._column: answer})
        self._answers[self._at] = answer
        self._at += 1

    def take_back(self) -> bool:
        """Take the last answer back and ask its question again; False where there is none.

        Raises:
            StorageError: The file has changed since, or cannot be written.
        """
        if not self._answers:
            return False
        self._sheet.take_back()
        self._at, _ = self._answers.popitem()
        return True

    def skip(self) -> None:
        """Ask about the next subject."""
        question = self.question
        while question is not None and self.question is not None and self.question.subject is question.subject:
            self._at += 1


def label_desk(
    sheet: RatingSheet,
    dialogues: Sequence[Unrated],
    *,
    dimensions: Sequence[Dimension],
    own: Sequence[OwnDimension] = (),
    rater: str,
    number: int,
) -> Desk[Unrated]:
    """Return a desk that asks for labels.

    Args:
        sheet: Where they go; what the rater said in it before is not asked again.
        dialogues: In order.
        dimensions: What is asked of each.
        own: Dimensions of the user's own that are asked of each in a language that they have words for.
        rater: The rater's name.
        number: Which pass of the rater this is.
    """
    done = {(each.dialogue, each.dimension.value) for each in sheet.before.ratings if _by(each, rater, number)}
    done |= {(each.dialogue, each.own) for each in sheet.before.own if _by(each, rater, number)}
    asked: list[Question[Unrated]] = []
    for one in dialogues:
        keys = [each.key for each in own if one.language in each.languages]
        asked += [
            Question(
                subject=one,
                dimension=about if isinstance(about, Dimension) else None,
                own=None if isinstance(about, Dimension) else about,
                row={"dialogue": one.code, "dimension": str(about), "rater": rater, "pass": number},
            )
            for about in [*dimensions, *keys]
        ]
    questions = [each for each in asked if (each.row["dialogue"], each.row["dimension"]) not in done]
    return Desk(questions, sheet, column="label", n_all=len(asked))


def preference_desk(sheet: RatingSheet, pairs: Sequence[Pair], *, rater: str, number: int) -> Desk[Pair]:
    """Return a desk that asks which of two dialogues is better; otherwise as `label_desk`."""
    done = {frozenset((each.a, each.b)) for each in sheet.before.preferences if _by(each, rater, number)}
    questions: list[Question[Pair]] = [
        Question(
            subject=pair,
            dimension=None,
            row={"card": pair.first.card, "a": pair.first.code, "b": pair.second.code, "rater": rater, "pass": number},
        )
        for pair in pairs
        if frozenset((pair.first.code, pair.second.code)) not in done
    ]
    return Desk(questions, sheet, column="preference", n_all=len(pairs))


def _by(each: GivenLabel | Preference, rater: str, number: int) -> bool:
    return (each.rater, each.turn) == (rater, number)
