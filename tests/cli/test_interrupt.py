"""Ctrl-C once finishes what is in flight, says how to go on, and the same command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from escl.errors import ExitCode
from escl.store.database import Database
from escl.store.run import RunStore

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"


def command(path: Path) -> list[str]:
    words = [
        "run",
        "demo/curt",
        "--lang",
        "en",
        "--limit",
        "6",
        "--rounds",
        "4",
        "--threads",
        "1",
        "--ctx",
        "2048",
        "--parallel",
        "2",
    ]
    return [sys.executable, "-c", PROGRAM, *words, "--out", str(path)]


def stored_turns(path: Path) -> int:
    try:
        with Database.reader(path) as database:
            return len(database.rows("SELECT 1 FROM turn"))
    except Exception:  # noqa: BLE001 - the file is being made
        return 0


@pytest.mark.model
@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_softly_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "run.db"
    process = subprocess.Popen(command(path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while stored_turns(path) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, said
    assert "To go on, run the same command" in said
    assert f"--out {path}" in " ".join(said.split())
    before = stored_turns(path)
    assert 5 <= before < 6 * 9

    subprocess.run(command(path), cwd=ROOT, check=True, capture_output=True)
    with Database.reader(path) as database:
        store = RunStore.read(database)
        assert {dialogue.state for dialogue in store.dialogues()} == {"complete"}
        outcomes = [row["outcome"] for row in database.rows("SELECT outcome FROM attempt ORDER BY id")]
    assert outcomes == ["interrupted", "finished"]
