"""The screens that set supporters against each other look as they were last looked at (see test_snapshots.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.tui.app import EsclApp
from tests.tui.contests import contested_run, judged_arena
from tests.tui.driving import drive, type_keys, until
from tests.tui.test_snapshots import assert_looks_as_before, settled

SCREENS = (
    ("forest", ("2", "v"), "┤"),
    ("radar", ("v",), "rim 100"),
    ("compare", ("4",), "Holm"),
    ("compare-cards", ("j", "j", "enter"), "en-00"),
    ("arena", ("5",), "first place"),
    ("pair", ("tab", "enter"), "prefers"),
)
"""Each with the keys that lead there from the one before, and what is seen then."""


@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_screens_look_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = contested_run(tmp_path / "night-shift.db")
    judged_arena(tmp_path / "arena.db", path)
    drawn: dict[str, str] = {}

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        for screen, keys, words in SCREENS:
            await type_keys(pilot, *keys)
            await until(app, pilot, words)
            drawn[screen] = await settled(app, pilot)

    drive(steps, path, size=size, theme=theme)
    for screen, picture in drawn.items():
        assert_looks_as_before(screen, picture, size=size, theme=theme)
