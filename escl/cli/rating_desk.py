"""The questions of `escl rate` at a terminal: shows a dialogue, waits for a key, says what was written down.

Knows neither a supporter's name nor where keys come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.text import Text

from escl.cli.keys import Keys
from escl.core.printable import printable
from escl.core.wording import Rubric
from escl.evaluation.rating import Pair, ShownDialogue, Unrated
from escl.evaluation.rating_desk import LABEL_ANSWERS, Desk, Subject
from escl.report.terminal import dialogue_panel

Read = Callable[[Unrated], ShownDialogue]

_LABEL_KEYS: Final = {answer: answer for answer in LABEL_ANSWERS}
_CHOICE_KEYS: Final = {"1": "a", "2": "b", "t": "tie"}
_WHICH: Final = "Which supporter is better for this person?  1 the first, 2 the second, t neither"


def rate_labels(console: Console, keys: Keys, desk: Desk[Unrated], read: Read) -> None:
    """Ask for labels until none is left or the rater leaves; `read` gives a dialogue's words."""

    def show(subject: Unrated) -> dict[str, Text]:
        dialogue = read(subject)
        console.print(dialogue_panel(dialogue.turns, title=f"dialogue {desk.place} of {desk.n_subjects}"))
        return {
            **{each.value: _asked(each.shown, rubric) for each, rubric in dialogue.rubrics.items()},
            **{key: _asked(rubric.name, rubric) for key, rubric in dialogue.own.items()},
        }

    console.print(Text("0 to 4 give a label; u undo, s skip this dialogue, r read again, q leave", style="dim"))
    _ask(console, keys, desk, show=show, answers=_LABEL_KEYS)


def judge_pairs(console: Console, keys: Keys, desk: Desk[Pair], read: Read) -> None:
    """Ask which of two dialogues is better; otherwise as `rate_labels`."""

    def show(pair: Pair) -> dict[str, Text]:
        for name, one in (("first", pair.first), ("second", pair.second)):
            title = f"pair {desk.place} of {desk.n_subjects}, the {name}"
            console.print(dialogue_panel(read(one).turns, title=title))
        return {}

    console.print(Text("u undo, s skip this pair, r read again, q leave", style="dim"))
    _ask(console, keys, desk, show=show, answers=_CHOICE_KEYS)


def _asked(name: str, rubric: Rubric) -> Text:
    return Text.assemble((f"\n{printable(name)}", "bold"), "  ", printable(rubric.text))


def _ask(
    console: Console,
    keys: Keys,
    desk: Desk[Subject],
    *,
    show: Callable[[Subject], dict[str, Text]],
    answers: dict[str, str],
) -> None:
    """Ask until the end, or until the rater leaves; `show` puts a subject on the screen and returns its questions."""
    shown: Subject | None = None
    questions: dict[str, Text] = {}
    while (question := desk.question) is not None:
        if question.subject is not shown:
            questions, shown = show(question.subject), question.subject
        about = question.own if question.dimension is None else question.dimension.value
        words = Text(_WHICH, style="bold") if about is None else questions[about]
        console.print(words)
        match _key(keys, answers):
            case "q":
                return
            case "u":
                taken = desk.take_back()
                console.print(Text("  taken back" if taken else "  nothing to take back", style="yellow"))
            case "s":
                desk.skip()
            case "r":
                shown = None
            case key:
                desk.answer(answers[key])
                console.print(Text(f"  {answers[key]}", style="bold green"))


def _key(keys: Keys, answers: dict[str, str]) -> str:
    """Return the next key that means something; the end of all keys is leaving."""
    while True:
        key = keys().lower()
        if key in {*answers, "q", "u", "s", "r"}:
            return key
        if key in ("", "\x04"):
            return "q"
