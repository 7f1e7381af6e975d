"""A run killed at any moment goes on with the same command and ends as if nothing had happened."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from escl.store.database import Database
from escl.store.run import RunStore

ROOT = Path(__file__).parents[2]
KILLS = 20
WORKERS = 4


def command(path: Path) -> list[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    words = ["run", "demo/warm", "demo/curt", "--lang", "en", "--limit", "1", "--strict", "--rounds", "3"]
    return [sys.executable, "-c", program, *words, "--threads", "1", "--ctx", "2048", "--out", str(path), "--json"]


def facts(path: Path) -> tuple[list[list[str]], dict[object, object], int]:
    """Return all transcripts, all replies of the scorer, and how many turns are stored."""
    with Database.reader(path) as database:
        store = RunStore.read(database)
        transcripts = [[turn.text for turn in store.turns(dialogue.id)] for dialogue in store.dialogues()]
        (judging_id, _) = store.judgings()[-1]
        replies = {(r.dialogue_id, r.dimension): (r.reply, r.label) for r in store.readings(judging_id)}
    return transcripts, dict(replies), sum(map(len, transcripts))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("whole") / "run.db"
    started = time.monotonic()
    subprocess.run(command(path), cwd=ROOT, check=True, capture_output=True)
    return path, time.monotonic() - started


@pytest.mark.model
@pytest.mark.kill
@pytest.mark.parametrize("worker", range(WORKERS))
def test_a_run_killed_at_random_moments_ends_byte_for_byte_like_an_uninterrupted_one(
    worker: int, uninterrupted: tuple[Path, float], tmp_path: Path
) -> None:
    whole, duration_s = uninterrupted
    moments = random.Random(worker)
    path = tmp_path / "run.db"
    turns_before = 0
    for _ in range(KILLS // WORKERS):
        process = subprocess.Popen(command(path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0, duration_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        turns_now = stored_turns(path)
        assert turns_now >= turns_before
        turns_before = turns_now
    subprocess.run(command(path), cwd=ROOT, check=True, capture_output=True)
    assert facts(path) == facts(whole)


def stored_turns(path: Path) -> int:
    """Return how many turns are durable now; 0 when the process was killed before it made the run."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with Database.writer(path) as database:
        return len(database.rows("SELECT 1 FROM turn"))
