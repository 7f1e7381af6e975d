"""What a command that was started from the app says when it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from escl.tui.processes import Started


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([f"line {n}" for n in range(30)], [f"line {n}" for n in range(18, 30)]),
        (["tried", *["again"] * 30, "error: gone", "  hint: start it"], ["error: gone", "  hint: start it"]),
        ([], []),
    ],
)
def test_why_a_command_failed_comes_first(tmp_path: Path, said: list[str], shown: list[str]) -> None:
    log = tmp_path / "run.log"
    log.write_text("\n".join(said))
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert Started(tmp_path / "run.db", process, log).last_lines() == shown
