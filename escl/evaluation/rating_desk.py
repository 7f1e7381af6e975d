"""Which question a rater is asked, what was answered, and back again: for `escl rate` and the app.

Knows neither a supporter's name, nor a screen, nor keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from escl.core.dimension import LABELS, Dimension
from escl.core.own_dimension import OwnDimension
from escl.core.ratings_file import GivenLabel, Preference, RatingsFile
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

    @property
    def column(self) -> str:
        """Where the answer goes."""
        return "preference" if self.dimension is None and self.own is None else "label"


class Desk(Generic[Subject]):
    """Questions in order, and the sheet that their answers go to.

    Attributes:
        questions: What is to be asked.
    """

    def __init__(self, questions: Sequence[Question[Subject]], sheet: RatingSheet) -> None:
        self.questions = questions
        subjects = dict.fromkeys(question.subject for question in questions)
        self._places = {subject: at for at, subject in enumerate(subjects, start=1)}
        self._sheet = sheet
        self._at = 0
        self._answers: dict[int, str] = {}
        self._left: list[int] = []
        """The questions that were answered or skipped from, in that order."""

    @property
    def question(self) -> Question[Subject] | None:
        """What is asked now; None at the end."""
        return self.questions[self._at] if self._at < len(self.questions) else None

    @property
    def n_subjects(self) -> int:
        """How many dialogues or pairs there are."""
        return len(self._places)

    @property
    def place(self) -> int:
        """Which of them is asked about now, from 1; at the end their number."""
        question = self.question
        return self.n_subjects if question is None else self._places[question.subject]

    @property
    def n_answered(self) -> int:
        """How many answers stand, of those that were given here."""
        return len(self._answers)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, not even what was skipped."""
        return self.n_answered == len(self.questions)

    def around(self) -> list[tuple[Question[Subject], str | None]]:
        """Return the questions about the present one's subject, with what was answered; none at the end."""
        question = self.question
        first = last = self._at
        while question is not None and first > 0 and self.questions[first - 1].subject is question.subject:
            first -= 1
        while question is not None and last < len(self.questions) and self.questions[last].subject is question.subject:
            last += 1
        return [(self.questions[at], self._answers.get(at)) for at in range(first, last)]

    def answer(self, answer: str) -> None:
        """Write the answer down, and ask the next question.

        Raises:
            StorageError: It cannot be written; the question stands.
        """
        question = self.questions[self._at]
        self._sheet.add({**question.row, question.column: answer})
        self._answers[self._at] = answer
        self._left.append(self._at)
        self._at += 1

    def take_back(self) -> bool:
        """Take the last answer or skip back and ask its question again; False where there is none.

        Raises:
            StorageError: The file has changed since, or cannot be written.
        """
        if not self._left:
            return False
        last = self._left[-1]
        if last in self._answers:
            self._sheet.take_back()
            del self._answers[last]
        self._at = self._left.pop()
        return True

    def skip(self) -> None:
        """Ask about the next subject."""
        question = self.question
        if question is None:
            return
        self._left.append(self._at)
        while self.question is not None and self.question.subject is question.subject:
            self._at += 1


def label_questions(
    before: RatingsFile,
    dialogues: Sequence[Unrated],
    *,
    dimensions: Sequence[Dimension],
    own: Sequence[OwnDimension] = (),
    rater: str,
    number: int = 1,
) -> list[Question[Unrated]]:
    """Return what to ask of dialogues.

    Args:
        before: What was answered; what the rater said in it is not asked again.
        dialogues: In order.
        dimensions: What is asked of each.
        own: Dimensions of the user's own that are asked of each in a language that they have words for.
        rater: The rater's name.
        number: Which pass of the rater this is.
    """
    done = {(each.dialogue, each.dimension.value) for each in before.ratings if _by(each, rater, number)}
    done |= {(each.dialogue, each.own) for each in before.own if _by(each, rater, number)}
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
    return [each for each in asked if (each.row["dialogue"], each.row["dimension"]) not in done]


def preference_questions(
    before: RatingsFile, pairs: Sequence[Pair], *, rater: str, number: int = 1
) -> list[Question[Pair]]:
    """Return what to ask of pairs: which is better; otherwise as `label_questions`."""
    done = {frozenset((each.a, each.b)) for each in before.preferences if _by(each, rater, number)}
    return [
        Question(
            subject=pair,
            dimension=None,
            row={"card": pair.first.card, "a": pair.first.code, "b": pair.second.code, "rater": rater, "pass": number},
        )
        for pair in pairs
        if frozenset((pair.first.code, pair.second.code)) not in done
    ]


def _by(each: GivenLabel | Preference, rater: str, number: int) -> bool:
    return (each.rater, each.turn) == (rater, number)
