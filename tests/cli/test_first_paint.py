"""Opening the app loads what its first paint needs and nothing else: every library more is a wait for a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import functools, json, sys
sys.stdin.isatty = sys.stdout.isatty = sys.stderr.isatty = lambda: True
from textual.app import App
App.run = functools.partialmethod(App.run, headless=True, size=(80, 24))
from escl.tui.screens.home import HomeScreen
def mounted(self):
    sys.stdout.write(json.dumps(sorted(sys.modules)))
    self.app.exit()
HomeScreen.on_mount = mounted
from escl.cli.main import main
sys.argv = ["escl", *sys.argv[1:]]
main()
"""
LIGHT = {"cli", "core", "errors", "tui"}
HEAVY = {"numpy", "scipy", "matplotlib", "sqlite3", "llama_cpp", "pydantic", "psutil", "jinja2", "cryptography", "gguf"}


@pytest.mark.parametrize("words", [(), ("tui",), ("tui", "some.db")])
def test_the_first_paint_waits_for_no_library_that_home_does_not_show(words: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path), "TERM": "xterm"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded: list[str] = json.loads(done.stdout)
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    assert {name.split(".")[1] for name in loaded if name.startswith("escl.")} - LIGHT == set()
    commands = {name for name in loaded if name.startswith("escl.cli.")}
    assert commands == {"escl.cli.commands", "escl.cli.main", "escl.cli.tui"}
    screens = {name for name in loaded if name.startswith("escl.tui.screens.")}
    assert screens <= {f"escl.tui.screens.{name}" for name in ("help", "home", "machine", "notice", "run_screen")}


def test_no_module_of_the_front_ends_needs_what_windows_has_not() -> None:
    program = """
import builtins, importlib, pkgutil, escl.cli, escl.tui
whole, asked = builtins.__import__, set()
def noted(name, space=None, *rest):
    if name in ("termios", "fcntl", "pty", "tty", "resource", "pwd", "grp") and space["__name__"].startswith("escl"):
        asked.add((space["__name__"], name))
    return whole(name, space, *rest)
builtins.__import__ = noted
for package in (escl.cli, escl.tui):
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(one.name)
print(sorted(asked))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_command_imports_no_other_commands_module() -> None:
    program = (
        "import sys; from escl.cli.main import app; from typer.testing import CliRunner;"
        "assert CliRunner().invoke(app, ['doctor', '--help']).exit_code == 0;"
        "print(sorted(name for name in sys.modules if name.startswith('escl.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"escl.cli.doctor"} <= set(done.stdout.strip("[]\n").replace("'", "").split(", "))
    assert "escl.cli.arena" not in done.stdout
