"""The questions of `escl rate`, one after the other: shows a dialogue, waits for a key, writes it down.

Knows neither a supporter's name nor where keys come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from rich.console import Console
from rich.text import Text

from escl.cli.keys import Keys
from escl.core.dimension import LABELS, Dimension
from escl.core.printable import printable
from escl.evaluation.rating import Pair, ShownDialogue
from escl.evaluation.rating_sheet import RatingSheet
from escl.report.terminal import dialogue_panel

CHOICES: Final = {"1": "a", "2": "b", "t": "tie"}
_LABEL_KEYS: Final = {str(label): str(label) for label in LABELS}

_Subject = TypeVar("_Subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[_Subject]):
    """One thing to ask.

    Attributes:
        subject: What must be on the screen; shown again only when it changes.
        row: What goes into the file, without the answer.
        words: The question.
    """

    subject: _Subject
    row: dict[str, object]
    words: Text


@dataclass(slots=True, kw_only=True)
class Desk(Generic[_Subject]):
    """Asks questions until they are answered or the rater leaves.

    Attributes:
        answers: What each key stands for in the file.
        column: Where the answer goes.
        show: Puts a subject on the screen.
        n_answered: Answers that stand.
    """

    console: Console
    keys: Keys
    sheet: RatingSheet
    answers: dict[str, str]
    column: str
    show: Callable[[_Subject], None]
    n_answered: int = 0
    _history: list[int] = field(default_factory=list)

    def ask(self, questions: Sequence[Question[_Subject]]) -> None:
        """Ask them in order until the end, or until the rater leaves."""
        at = 0
        shown: _Subject | None = None
        while at < len(questions):
            question = questions[at]
            if question.subject is not shown:
                self.show(question.subject)
                shown = question.subject
            self.console.print(question.words)
            match self._key():
                case "q":
                    return
                case "u":
                    at = self._take_back(at)
                case "s":
                    at = next(
                        (n for n in range(at, len(questions)) if questions[n].subject is not shown), len(questions)
                    )
                case "r":
                    shown = None
                case key:
                    self._write(question, key, at)
                    at += 1

    def _key(self) -> str:
        """Return the next key that means something; the end of all keys is leaving."""
        while True:
            key = self.keys().lower()
            if key in {*self.answers, "q", "u", "s", "r"}:
                return key
            if key in ("", "\x04"):
                return "q"

    def _write(self, question: Question[_Subject], key: str, at: int) -> None:
        self.sheet.add({**question.row, self.column: self.answers[key]})
        self._history.append(at)
        self.n_answered += 1
        self.console.print(Text(f"  {self.answers[key]}", style="bold green"))

    def _take_back(self, at: int) -> int:
        """Take the last answer back and return its question's place."""
        if not self._history:
            self.console.print(Text("  nothing to take back", style="yellow"))
            return at
        self.sheet.take_back()
        self.n_answered -= 1
        self.console.print(Text("  taken back", style="yellow"))
        return self._history.pop()


def rate_labels(
    console: Console,
    keys: Keys,
    sheet: RatingSheet,
    dialogues: Sequence[ShownDialogue],
    *,
    dimensions: Sequence[Dimension],
    rater: str,
    number: int,
) -> tuple[int, bool]:
    """Ask for labels; return how many were given, and whether none is left.

    Args:
        console: The rater's screen.
        keys: The rater's keys.
        sheet: Where labels go; what the rater said in it before is not asked again.
        dialogues: In order.
        dimensions: What is asked of each.
        rater: The rater's name.
        number: Which pass of the rater this is.
    """
    done = {
        (each.dialogue, each.dimension) for each in sheet.before.ratings if (each.rater, each.turn) == (rater, number)
    }
    place = {shown.code: at for at, shown in enumerate(dialogues, start=1)}
    questions = [
        Question(
            subject=shown,
            row={"dialogue": shown.code, "dimension": dimension.value, "rater": rater, "pass": number},
            words=_rubric(shown, dimension),
        )
        for shown in dialogues
        for dimension in dimensions
        if (shown.code, dimension) not in done
    ]

    def show(shown: ShownDialogue) -> None:
        console.print(dialogue_panel(shown.turns, title=f"dialogue {place[shown.code]} of {len(dialogues)}"))

    desk = Desk(console=console, keys=keys, sheet=sheet, answers=_LABEL_KEYS, column="label", show=show)
    console.print(Text("0 to 4 give a label; u undo, s skip this dialogue, r read again, q leave", style="dim"))
    return _asked(desk, questions)


def judge_pairs(
    console: Console, keys: Keys, sheet: RatingSheet, pairs: Sequence[Pair], *, rater: str, number: int
) -> tuple[int, bool]:
    """Ask which of two dialogues is better; otherwise as `rate_labels`."""
    done = {
        frozenset((each.a, each.b)) for each in sheet.before.preferences if (each.rater, each.turn) == (rater, number)
    }
    asked = [pair for pair in pairs if frozenset((pair.first.code, pair.second.code)) not in done]
    words = Text("Which supporter is better for this person?  1 the first, 2 the second, t neither", style="bold")
    questions = [
        Question(
            subject=pair,
            row={"card": pair.first.card, "a": pair.first.code, "b": pair.second.code, "rater": rater, "pass": number},
            words=words,
        )
        for pair in asked
    ]

    def show(pair: Pair) -> None:
        at = pairs.index(pair) + 1
        for name, shown in (("first", pair.first), ("second", pair.second)):
            console.print(dialogue_panel(shown.turns, title=f"pair {at} of {len(pairs)}, the {name}"))

    desk = Desk(console=console, keys=keys, sheet=sheet, answers=dict(CHOICES), column="preference", show=show)
    console.print(Text("u undo, s skip this pair, r read again, q leave", style="dim"))
    return _asked(desk, questions)


def _asked(desk: Desk[_Subject], questions: Sequence[Question[_Subject]]) -> tuple[int, bool]:
    desk.ask(questions)
    return desk.n_answered, desk.n_answered == len(questions)


def _rubric(shown: ShownDialogue, dimension: Dimension) -> Text:
    rubric = shown.rubrics[dimension]
    return Text.assemble((f"\n{dimension.shown}", "bold"), "  ", (printable(rubric.text), ""))
