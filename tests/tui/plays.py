"""Plays without a run behind them: a file that says how far it is, and a process that does nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import cast

from escl.core.dialogue import Speaker, Turn
from escl.store.records import TurnRow
from escl.tui.playing import Casting, Play
from tests.runs import begin

CASTING = Casting(seeker="demo/seeker", scorer="demo/scorer", card_id="c1", rounds=2)


class Idle:
    """A process that says nothing and ends when it is told to; what is written to it can be read."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code
        read, write = os.pipe()
        self.heard, self.stdin = os.fdopen(read, "rb"), os.fdopen(write, "wb")

    def poll(self) -> int | None:
        return self.code


def idle_play(path: Path, process: Idle) -> Play:
    """Return a play on the run at `path` with this process."""
    return Play(path, cast("subprocess.Popen[bytes]", process), path.with_suffix(".log"), casting=CASTING)


def half_played(path: Path) -> Path:
    """Write a run of two rounds in which it is the person's turn to answer first, and return the path."""
    store = begin(path)
    (dialogue,) = store.dialogues()
    store.set_state(dialogue.id, "speaking")
    for position, said in enumerate(("What weighs on you?", "I cannot sleep before a night shift. 睡不着。")):
        speaker = Speaker.SEEKER if position % 2 else Speaker.SUPPORTER
        store.add_turn(dialogue.id, position, TurnRow(turn=Turn(speaker=speaker, text=said)))
    store.close()
    return path
