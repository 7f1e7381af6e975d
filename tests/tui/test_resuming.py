"""The command that goes on with a run is the one that began it, in its folder, and writes to that run only."""

from __future__ import annotations

from pathlib import Path

import pytest

from escl.errors import UsageError
from escl.tui.resuming import resumption

PATH = Path("/data/runs/one.db")


@pytest.mark.parametrize(
    ("command", "words", "folder"),
    [
        ("escl run a.gguf --out one.db --lang en", "run a.gguf --lang en --out /data/runs/one.db", "/data/runs"),
        ("escl run a.gguf -o runs/one.db", "run a.gguf --out /data/runs/one.db", "/data"),
        ("escl run a.gguf --out=./runs/one.db", "run a.gguf --out /data/runs/one.db", "/data"),
        ("escl run a.gguf -oelse/where.db", "run a.gguf --out /data/runs/one.db", "/data/runs"),
        ("/usr/bin/escl demo", "demo --out /data/runs/one.db", "/data/runs"),
        ("escl score x.json --out /data/runs/one.db", "score x.json --out /data/runs/one.db", None),
        ("escl run a --out /etc/x.db --out /etc/y.db", "run a --out /data/runs/one.db", None),
    ],
)
def test_the_same_command_goes_on_with_this_file(command: str, words: str, folder: str | None) -> None:
    going_on = resumption(command, PATH)
    assert " ".join(going_on.words) == words
    assert going_on.folder == (Path(folder) if folder else Path.cwd())
    assert going_on.shown == f"escl {words}"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "escl",
        "rm -rf x",
        "escl models rm esc-role",
        "escl run 'half",
        "escl run human",
        "sh -c escl run",
        "escl2 run",
    ],
)
def test_what_is_no_resumable_command_is_refused(command: str) -> None:
    with pytest.raises(UsageError, match="another command"):
        resumption(command, PATH)
