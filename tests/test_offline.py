"""A run opens no connection: not in the command, not in its engines, and with no network to open one to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from escl.store.database import Database
from escl.store.run import RunStore

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.model

# Python imports sitecustomize in every process that has it on its path, before the first line of the program.
REFUSE = """
import os, sys

_log = os.environ["OFFLINE_LOG"]
_refused = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}

def _write(line):
    handle = os.open(_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (line + "\\n").encode())
    os.close(handle)

def _hook(event, arguments):
    if event in _refused:
        _write(f"tried {event}")
        raise RuntimeError(f"{event} is refused")

sys.addaudithook(_hook)
_write("began " + " ".join(sys.orig_argv[1:]))
"""
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"


def environment(folder: Path) -> dict[str, str]:
    (folder / "sitecustomize.py").write_text(REFUSE, encoding="utf-8")
    paths = os.pathsep.join([str(folder), str(ROOT)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESCL_")}
    return {**kept, "PYTHONPATH": paths, "OFFLINE_LOG": str(folder / "log"), "ESCL_HOME": str(folder / "home")}


def python(folder: Path, *before: str, program: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", program, *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False, timeout=300
    )


def demo(folder: Path, *before: str) -> dict[str, Any]:
    command = [
        *before,
        sys.executable,
        "-c",
        PROGRAM,
        "demo",
        "--limit",
        "1",
        "--out",
        str(folder / "run.db"),
        "--json",
    ]
    found = subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False, timeout=300
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def check_whole(folder: Path, results: dict[str, Any]) -> None:
    """Check that the demo was spoken and rated to its end, and says itself that it tried no connection."""
    assert results["results"]["n_dialogues"] == {"complete": 4, "failed": 0, "speaking": 0, "pending": 0}
    assert all(cell["n_used"] == cell["n_asked"] == 1 for cell in results["results"]["cells"])
    with Database.reader(folder / "run.db") as database:
        assert RunStore.read(database).connections() == 0


def test_the_demo_tries_no_connection_in_any_of_its_processes(tmp_path: Path) -> None:
    check_whole(tmp_path, demo(tmp_path))
    log = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [line for line in log if line.startswith("tried")] == []
    # The seeker, the two supporters and the scorer were watched too.
    assert sum("escl.engine.worker" in line for line in log) >= 4


def test_the_watch_over_connections_sees_and_refuses_one(tmp_path: Path) -> None:
    program = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "is refused" in found.stderr
    assert "tried socket.getaddrinfo" in (tmp_path / "log").read_text(encoding="utf-8")


def test_the_demo_runs_where_there_is_no_network_interface(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    alone = ["unshare", "--map-root-user", "--net"]
    look = (
        subprocess.run([*alone, "cat", "/proc/net/dev"], capture_output=True, text=True, check=False)
        if unshare
        else None
    )
    if look is None or look.returncode:
        pytest.skip("this system allows no network namespace without root")
    interfaces = [line.split(":")[0].strip() for line in look.stdout.splitlines() if ":" in line]
    assert interfaces == ["lo"]
    check_whole(tmp_path, demo(tmp_path, *alone))
