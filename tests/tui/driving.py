"""Driving the app without a terminal: run files to look at, keys to press, and what is to be seen then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

from escl.core.dialogue import Speaker, Turn
from escl.doctor.finding import Diagnosis, ok, warn
from escl.store.database import Database
from escl.store.records import DialogueRow, FailureRow, TurnRow
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from tests.runs import PROTOCOL, rated, settings

DIAGNOSIS = Diagnosis(escl="0", findings=(ok("Python", "3.11"), warn("memory", "2 GiB", to_do="close programs")))
"""So that no test asks the machine it runs on."""

Steps = Callable[[EsclApp, Pilot[None]], Awaitable[None]]


def drive(
    steps: Steps,
    *runs: Path,
    size: tuple[int, int] = (80, 24),
    language: str = "en",
    theme: str = "",
    notifications: bool = False,
) -> None:
    """Run the app with these runs and do `steps` in it."""

    async def driven() -> None:
        app = EsclApp(
            runs,
            language="zh" if language == "zh" else "en",
            theme=theme or "escl-dark",
            diagnosis=DIAGNOSIS,
        )
        async with app.run_test(size=size, notifications=notifications) as pilot:
            await steps(app, pilot)

    asyncio.run(driven())


def seen(app: App[None]) -> str:
    """Return the screen's text, line by line."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines[:height])[: (width + 1) * height * 2]


async def until(app: EsclApp, pilot: Pilot[None], words: str, *, within_s: float = 30) -> str:
    """Wait until `words` are seen, and return the screen's text."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        await pilot.pause(0.01)
        if words in (text := seen(app)):
            return text
    raise AssertionError(f"{words!r} is not seen:\n{seen(app)}")


async def until_gone(app: EsclApp, pilot: Pilot[None], words: str, *, within_s: float = 30) -> None:
    """Wait until `words` are not seen any more."""
    deadline = time.monotonic() + within_s
    while words in seen(app):
        assert time.monotonic() < deadline, f"{words!r} is still seen:\n{seen(app)}"
        await pilot.pause(0.01)


async def type_keys(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def finished_run(path: Path, *, supporters: Sequence[str] = ("warm", "curt"), text: str = "I cannot sleep.") -> Path:
    """Write a finished run of four cards to `path` in which everybody says `text`, and return the path."""
    cards = [f"card-{n}" for n in range(4)]
    labels = {name: {one: [3.0 - at - n / 8] for n, one in enumerate(cards)} for at, name in enumerate(supporters)}
    rated(path, labels)
    speak(path, lambda dialogue: text)
    return path


def speak(path: Path, text: Callable[[DialogueRow], str], *, failing: bool = False) -> None:
    """Let everybody in each dialogue of the run at `path` say its `text`; with `failing` a reading failed with it."""
    store = RunStore.begin(quick_writer(path), settings(), PROTOCOL, command="escl run warm", versions={})
    for dialogue in store.dialogues():
        said = text(dialogue)
        for position in range(5):
            speaker = Speaker.SEEKER if position % 2 else Speaker.SUPPORTER
            store.add_turn(dialogue.id, position, TurnRow(turn=Turn(speaker=speaker, text=said)))
        if failing:
            failure = FailureRow(dialogue_id=dialogue.id, error="GaveUpError", message=said, position=1)
            store.add_failure(failure, judging_id=1)
    store.finish("finished")
    store.close()


def quick_writer(path: Path) -> Database:
    """Return the run file, open for writing without waiting for the disk."""
    database = Database.writer(path)
    database.rows("PRAGMA synchronous = OFF")
    database.rows("PRAGMA journal_mode = MEMORY")
    return database
