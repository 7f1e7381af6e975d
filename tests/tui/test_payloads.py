"""What models, cards and files say is data: no control reaches the terminal, no markup acts, nothing crashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.pilot import Pilot

from escl.core.card import RoleCard
from escl.tui.app import EsclApp
from tests.runs import card, rated
from tests.tui.driving import drive, seen, speak, type_keys, until

PAYLOADS = (
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
        "\x1bP+q\x1b\\",
    ),
    *(
        "\x1b[?1049l",
        "\x1b[6n",
        "\x1bc",
        "\x9b31m",
        "\x9d0;t\x9c",
        "\x90q\x9c",
        "\x07",
        "\x08\x08\x08",
        "\x0e\x0f",
        "\x7f",
    ),
    *("\x00", "a\rb", "a\x0bb\x0cc", "\u202eevil\u202c", "\u2066x\u2069", "\u200b\u200b", "\u200d", "\ufeff", "\u2028"),
    *("\U000e0041", "[bold red]x[/]", "[@click=app.quit]quit[/]", "[@click='app.bell']x", "[link=http://x]x[/link]"),
    *("[/]", "[/bold]", "[[", "]", "[$primary]x", "[on red", "\\[x]", "{name} {0} %s %n", "雨" * 60, "\t\t\ttab"),
    *("😀👨‍👩‍👧‍👦🏳️‍🌈", "e" + "\u0301" * 200, "x" * 5000, "-" * 300 + "\n" * 50),
)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def hostile_run(path: Path, payloads: Sequence[str]) -> Path:
    """Write a run in which supporters, cards, scorer, turns and failures are the payloads."""
    cards: list[RoleCard] = [card(one, text=one, subcategory=one, source=one) for one in payloads]
    rated(path, {one: {one: [2.5]} for one in payloads}, cards=cards, scorer=payloads[0])
    speak(path, lambda dialogue: dialogue.supporter, failing=True)
    return path


def assert_harmless(app: EsclApp) -> None:
    strips = app.screen._compositor.render_strips()
    for segment in (segment for strip in strips for segment in strip):
        assert isinstance(segment, Segment)
        assert not FORBIDDEN.search(segment.text), segment
        if segment.style is not None:
            assert segment.style.link is None
            assert "@click" not in segment.style.meta, segment
    for strip in strips:
        assert sum(segment.cell_length for segment in strip) == app.size.width


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("batch", range(3))
def test_payloads_are_shown_harmlessly_on_every_screen(folder: Path, batch: int) -> None:
    payloads = PAYLOADS[batch::3]
    path = hostile_run(folder / "run.db", payloads)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        assert_harmless(app)
        await type_keys(pilot, "2")
        await until(app, pilot, "Fluency")
        assert_harmless(app)
        await type_keys(pilot, "3")
        for at in range(len(payloads)):
            await until(app, pilot, f"{at + 1} of {len(payloads)}")
            assert_harmless(app)
            await type_keys(pilot, "n")
        await type_keys(pilot, "escape")
        await until(app, pilot, "this machine")
        assert_harmless(app)
        assert "run.db" in seen(app)

    drive(steps, path, size=(120, 60))


@pytest.mark.parametrize("payload", PAYLOADS[::6])
def test_a_message_shows_payloads_harmlessly(folder: Path, payload: str) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "Press d")
        app.screen.say_failed(payload, payload)  # type: ignore[attr-defined]
        await until(app, pilot, "This did not work")
        assert_harmless(app)
        await type_keys(pilot, "escape")
        await until(app, pilot, "Press d")

    drive(steps)
