"""A real run that is watched, paused and resumed says byte for byte what it says when it is left alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from escl.store import beside
from escl.store.database import Database
from escl.store.run import RunStore
from tests.evaluation.test_kill import ROOT, command, facts

pytestmark = [pytest.mark.model, pytest.mark.kill]


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    path = tmp_path / "paused.db"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command(path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
    yield path, process
    process.kill()
    process.wait()


def until(holds: Callable[[], object], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def n_turns(path: Path) -> int:
    with Database.reader(path) as database:
        return len(database.rows("SELECT 1 FROM turn"))


def test_a_strict_run_watched_and_paused_ends_like_one_left_alone(
    begun: tuple[Path, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    path, process = begun
    log = tmp_path / "log"
    told: list[tuple[int, str]] = []

    def watch() -> None:
        beside.watch(path)
        if (now := beside.told(path)) is not None:
            told.extend((speech.dialogue_id, speech.text) for speech in now.speaking)

    def watching(holds: Callable[[], object]) -> Callable[[], object]:
        def looked() -> object:
            watch()
            return holds()

        return looked

    alone = tmp_path / "alone.db"
    left_alone = subprocess.Popen(command(alone), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(watching(lambda: "simulation: 1/" in log.read_text(encoding="utf-8")))
    beside.pause(path)
    until(watching(lambda: "paused" in log.read_text(encoding="utf-8")))
    # One slot: at most the turn in the engine is still to come.
    before = n_turns(path)
    held_until = time.monotonic() + 1.0
    until(watching(lambda: time.monotonic() > held_until))
    held = n_turns(path)
    assert held <= before + 1
    assert process.poll() is None
    with Database.reader(path) as database:
        assert {dialogue.state for dialogue in RunStore.read(database).dialogues()} != {"complete"}
    beside.resume(path)
    until(watching(lambda: process.poll() is not None))
    assert process.returncode == 0, log.read_text(encoding="utf-8")
    assert "goes on" in log.read_text(encoding="utf-8")
    assert left_alone.wait(60) == 0
    assert facts(path) == facts(alone)
    transcripts = facts(path)[0]
    assert all(any(turn.startswith(text) for turn in transcripts[number - 1]) for number, text in told)
    left = {one.name for one in tmp_path.iterdir()} - {"paused.db.lock", "alone.db.lock", "paused.db.watched"}
    assert left == {"paused.db", "alone.db", "log"}


def test_a_paused_run_stops_when_it_is_asked_to(begun: tuple[Path, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    path, process = begun
    log = tmp_path / "log"
    until(lambda: "simulation: 1/" in log.read_text(encoding="utf-8"))
    beside.pause(path)
    until(lambda: "paused" in log.read_text(encoding="utf-8"))
    process.terminate()
    assert process.wait(30) == 130
    assert not beside.is_paused(path)
