"""What models, cards and files say is data: no control reaches the terminal, no markup acts, nothing crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from escl.tui.app import EsclApp
from tests.tui.driving import drive, seen, type_keys, until
from tests.tui.every_screen import SCREENS, WITHOUT_A_WAY, own_keys, rest, show
from tests.tui.hostile import PAYLOADS, assert_harmless, hostile_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_screen_is_tried() -> None:
    assert WITHOUT_A_WAY == []
    assert len(PAYLOADS) >= 40


def test_payloads_are_shown_harmlessly_in_every_dialogue(folder: Path) -> None:
    n = 9
    # Long ones last, where they push nothing out of sight.
    said = ["\n".join(sorted(PAYLOADS[at::n], key=len)) for at in range(n)]
    path = hostile_run(folder / "run.db", PAYLOADS[:n], said=dict(zip(PAYLOADS[:n], said, strict=True)))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        await type_keys(pilot, "3")
        for at in range(n):
            await until(app, pilot, f"{at + 1} of {n}")
            assert_harmless(app)
            await type_keys(pilot, "n")
        await type_keys(pilot, "escape")
        await until(app, pilot, "enter open")
        assert_harmless(app)
        assert "run.db" in seen(app)

    drive(steps, path, size=(120, 60))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.__name__)
def test_payloads_are_shown_harmlessly_on_every_screen_whatever_key_is_pressed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, screen: type[Screen[Any]]
) -> None:
    def refused(*words: object, **settings: object) -> None:
        raise OSError(PAYLOADS[0])

    # Keys that start a program are pressed too.
    monkeypatch.setattr(subprocess, "Popen", refused)
    payloads = (PAYLOADS[0], *PAYLOADS[SCREENS.index(screen) % 3 :: 3])
    path = hostile_run(folder / "\x1b[2J[red]\u202e.db", payloads)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await show(app, pilot, screen, path, said="".join(PAYLOADS))
        assert_harmless(app)
        for key in own_keys(app.screen):
            await type_keys(pilot, key.keys.partition(",")[0])
            await rest(app, pilot)
            assert_harmless(app)
            if type(app.screen) is not screen:
                await show(app, pilot, screen, path)

    drive(steps, size=(120, 60))


@pytest.mark.skipif(sys.platform != "linux", reason="only there a file's name may be any bytes")
def test_a_files_name_that_is_no_text_is_listed_harmlessly(folder: Path) -> None:
    hostile_run(folder / "run-\udcff\x1b[2J.db", PAYLOADS[:2])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "run-\ufffd\ufffd[2J.db")
        assert_harmless(app)

    drive(steps)
