"""The progress of a command says that it is paused, and a pause is no part of anybody's speed."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from escl.core.dialogue import Speaker, Turn
from escl.evaluation.observer import Phase
from escl.report.live import LineObserver, LiveObserver
from escl.store.records import TurnRow
from tests.runs import begin


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_pause_is_said_and_slows_nothing_and_greetings_are_no_turns(tmp_path: Path, clock: list[float]) -> None:
    said = io.StringIO()
    observer = LineObserver(Console(file=said, width=100))
    store = begin(tmp_path / "run.db")
    (dialogue,) = store.dialogues()
    observer.started(Phase.SIMULATION, done=0, total=10)
    row = TurnRow(turn=Turn(speaker=Speaker.SEEKER, text="Hello"))
    # The greeting, before the first turn, is none.
    for position in range(5):
        clock[0] += 1 if position > 0 else 0
        observer.said(dialogue, position, row)
    observer.paused(is_paused=True)
    clock[0] += 3600
    observer.paused(is_paused=False)
    observer.finished(Phase.SIMULATION)
    lines = said.getvalue().splitlines()
    assert any(line.startswith("paused:") for line in lines)
    assert "goes on" in lines
    assert lines[-1] == "simulation: 4/10 turns, 1.0 turns/s"
    store.close()


def test_the_display_of_a_terminal_says_paused_for_as_long_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=100)
    observer = LiveObserver(console)

    def drawn() -> str:
        with console.capture() as shown:
            console.print(observer._draw())
        return shown.get()

    assert "paused" not in drawn()
    observer.paused(is_paused=True)
    assert "paused" in drawn()
    observer.paused(is_paused=False)
    assert "paused" not in drawn()
