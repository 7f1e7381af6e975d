"""A run that is watched for days costs no more memory at its end than after the first minutes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from itertools import pairwise, product
from pathlib import Path

from textual.pilot import Pilot

from escl.core.dialogue import Speaker, Turn
from escl.store.records import TurnRow
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.screens.live import LiveScreen
from tests.runs import CARD, PROTOCOL, settings
from tests.tui.driving import drive, quick_writer, until
from tests.tui.every_screen import rest

LOOKS, WINDOWS = 15, 6
PER_LOOK_BYTES = 600
"""Bounded caches are still filling, in jumps, on a busy machine slowly; what leaks grows in every window."""


def test_memory_stays_flat_while_a_run_is_watched(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = RunStore.begin(quick_writer(path), settings(), PROTOCOL, command="escl run warm", versions={})
    store.add_cards([CARD])
    store.plan_dialogues([(CARD.id, CARD.language, "supporter", n) for n in range(8)])
    for dialogue in store.dialogues():
        store.set_state(dialogue.id, "speaking")
        store.add_turn(dialogue.id, 0, TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text="How are you? " * 9)))

    async def look(app: EsclApp, pilot: Pilot[None]) -> int:
        for _ in range(LOOKS):
            app.screen.load()  # type: ignore[attr-defined]
            while len(app.workers):
                await asyncio.sleep(0.002)
        await rest(app, pilot)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        # Home says "running" too, before this run is opened.
        await until(app, pilot, "Being spoken")
        screen = app.screen
        assert isinstance(screen, LiveScreen)
        tracemalloc.start()
        try:
            # The histories of speed are as long as they get after some minutes.
            for speed, second in product((screen._turns, screen._readings, screen._tokens), range(-300, 0)):
                speed.note(float(second), 0)
            marks = [await look(app, pilot) for _ in range(WINDOWS)]
        finally:
            tracemalloc.stop()
        assert min(after - before for before, after in pairwise(marks)) < LOOKS * PER_LOOK_BYTES

    drive(steps, path, size=(120, 40))
    store.close()
