"""Each screen looks as it was last looked at. After a wanted change ESCL_NEW_SNAPSHOTS=1 draws them anew: look."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerError

from escl.tui.app import EsclApp
from tests.tui.driving import drive, finished_run, type_keys, until

SNAPSHOTS = Path(__file__).parent / "snapshots"
SCREENS = (
    ("home", (), "models here: 5 of 8"),
    ("help", ("question_mark",), "On this screen"),
    ("scores", ("escape", "enter"), "Fluency"),
    ("live", ("1",), "The run is finished"),
    ("dialogues", ("3",), "1 of 8"),
    ("side-by-side", ("v",), "curt   mean 2.0"),
    ("rate", ("6", *"ann", "enter"), "Answers go to"),
    ("rate-labels", ("enter",), "▸Fluency"),
    ("rate-pairs", ("escape", "j", "enter"), "Which supporter is better"),
)
"""Each with the keys that lead there from the one before, and what is seen then."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone is POSIX's to set")
@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_screens_look_as_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    # What is on the shelf of this machine is no matter.
    monkeypatch.setattr("escl.tui.screens.home._models", lambda: (5, 8))
    path = finished_run(folder / "night-shift.db", text="I cannot sleep before a night shift. 睡不着。")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    drawn: dict[str, str] = {}

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "✓ finished")
        for screen, keys, words in SCREENS:
            await type_keys(pilot, *keys)
            await until(app, pilot, words)
            drawn[screen] = await settled(app, pilot)

    drive(steps, size=size, theme=theme)
    for screen, picture in drawn.items():
        assert_looks_as_before(screen, picture, size=size, theme=theme)


def assert_looks_as_before(screen: str, picture: str, *, size: tuple[int, int], theme: str) -> None:
    kept = SNAPSHOTS / f"{screen}-{size[0]}x{size[1]}-{theme.removeprefix('escl-')}.svg"
    if os.environ.get("ESCL_NEW_SNAPSHOTS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(picture, encoding="utf-8")
    before = kept.read_text(encoding="utf-8").splitlines()
    assert list(difflib.unified_diff(before, picture.splitlines(), lineterm="", n=0)) == [], screen


async def settled(app: EsclApp, pilot: Pilot[None]) -> str:
    """Return the screen's picture once no worker is under way and it has stopped changing."""
    before, same = "", 0
    while same < 3:
        # Newer work takes the place of older, which counts as cancelled.
        with contextlib.suppress(WorkerError):
            await app.workers.wait_for_complete()
        await pilot.pause(0.05)
        # Every picture has names of its own.
        now = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="escl"))
        before, same = now, same + 1 if now == before else 0
    return before
