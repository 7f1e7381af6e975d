"""Runs the command line where every connection and look-up is refused and written down, in all its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
# Python imports sitecustomize in every process that has it on its path, before the first line of the program.
REFUSE: Final = """
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
ESCL: Final = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that is watched; `folder` gets its home and its log."""
    (folder / "sitecustomize.py").write_text(REFUSE, encoding="utf-8")
    paths = os.pathsep.join([str(folder), str(ROOT)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESCL_")}
    return {**kept, "PYTHONPATH": paths, "OFFLINE_LOG": str(folder / "log"), "ESCL_HOME": str(folder / "home")}


def python(folder: Path, *words: str, program: str = ESCL, before: list[str] | None = None) -> str:
    """Return what a watched program wrote to stdout; `before` is a command that runs it."""
    command = [*(before or []), sys.executable, "-c", program, *words]
    found = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=300
    )
    if found.returncode:
        raise AssertionError(f"exit code {found.returncode}: {found.stderr}")
    return found.stdout


def log(folder: Path) -> list[str]:
    """Return a line for each process that began and for each connection or look-up that was tried."""
    return (folder / "log").read_text(encoding="utf-8").splitlines()
