"""Tables show every number with its count, and nothing from outside steers the terminal."""

from __future__ import annotations

import io

import pytest
from msgspec import structs
from rich.console import Console

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.evaluation.results import Results
from escl.report.terminal import LIMITS, dialogue_panel, print_results
from escl.stats.summary import Scored, summarize
from escl.store.records import FailureRow, ModelRow
from tests.runs import settings

HOSTILE = [
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[6n",
    "\x9b31m",
    "\x1bP+q\x1b\\",
    "[bold red]markup[/bold red]",
    "[/nope]",
    "[link=file:///etc/passwd]x[/link]",
    "\u202eevil\u2066",
    "a\rb\x08\x08",
    "x" * 5000,
]


def results(supporter: str, notice: str) -> Results:
    scored = [
        Scored(
            supporter=supporter,
            language=Language.ENGLISH,
            dimension=dimension,
            cluster=f"card {card}",
            crisis=False,
            expected=None if card == 3 else 2.0 + card / 2,
            label=None if card == 3 else 2,
            missing="reply without a label" if card == 3 else None,
        )
        for dimension in Dimension
        for card in range(4)
    ]
    return Results(
        averages=[],
        settings=settings(),
        protocol="esc\x1b[31m-eval",
        models=[ModelRow(role="supporter", name=supporter, sha256="0", size_bytes=1)],
        notices=[notice],
        n_dialogues={"complete": 3, "failed": 1, "speaking": 0, "pending": 0},
        cut_turns={supporter: 2},
        scorer="scorer",
        cells=summarize(scored),
        loads=[],
        failures=[],
    )


def shown(supporter: str, notice: str = "a notice", *, width: int = 100) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=width, highlight=False)
    print_results(console, results(supporter, notice))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_says_what_is_used_and_what_is_missing() -> None:
    text = shown("warm")
    assert text.count("3/4") == len(Dimension)
    assert "7 readings: reply without a label" in text
    assert "turns cut by the token limit, in the dialogues of: warm 2" in text
    assert "a notice" in text
    assert LIMITS in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_table_fits_its_terminal(width: int) -> None:
    assert max(len(line) for line in shown("demo/warm", width=width).splitlines()) <= width


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_steers_no_terminal(payload: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100, highlight=False)
    print_results(console, results(payload, payload))
    console.print(dialogue_panel([Turn(speaker=Speaker.SUPPORTER, text=payload)], title=payload))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    # Without colours rich writes no escape but those for bold, dim and italic, which end in "m".
    for piece in text.split("\x1b")[1:]:
        assert piece.startswith("["), piece[:20]
        assert piece[1:].split("m")[0].replace(";", "").isdigit(), piece[:20]
    assert not set("\x07\x08\x9b\u202e\u2066") & set(text)


def test_a_long_failure_does_not_bury_the_result() -> None:
    page = "502: " + "<p>Bad\x1b[31m gateway</p>\n" * 30
    failure = FailureRow(dialogue_id=1, position=2, error="SupporterError", message=page)
    console = Console(file=io.StringIO(), force_terminal=False, width=300, highlight=False)
    print_results(console, structs.replace(results("warm", "a notice"), failures=[failure, failure]))
    assert isinstance(console.file, io.StringIO)
    (line,) = [line for line in console.file.getvalue().splitlines() if "failed with" in line]
    assert line.startswith("2 dialogues failed with SupporterError, the first: 502: <p>Bad")
    assert line.rstrip().endswith("...")
    assert len(line.rstrip()) < 180


def test_what_ran_elsewhere_is_said_in_bounds() -> None:
    elsewhere = structs.replace(
        results("warm", "a notice"),
        connections=7,
        asked_again={"warm": 2},
        answered_as={"warm": ["\x1b[31mm-1", *(f"m-{number}" for number in range(2, 9))]},
    )
    console = Console(file=io.StringIO(), force_terminal=False, width=100, highlight=False)
    print_results(console, elsewhere)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "m-1, m-2, m-3, m-4 and 4 more" in text
    assert "\x1b[31m" not in text
    assert "asked again: warm 2 times" in text
    assert "7 network connections were tried" in text
    assert "network" not in shown("warm")
