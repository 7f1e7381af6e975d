"""The commands in docs/ run as they are written there, page after page in one folder, on the demo's models.

A block that begins with "```sh" is run line by line by a shell; one that needs a person's keys or models that are not
here begins with "```sh by-hand", which readers do not see. A line is expected to end with exit code 0, or with the one
that its comment names ("# exit code 8: ..."). A block that begins with "```toml NAME" is a file of that name.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("statistics", "arena", "judge-validation", "validity", "crisis", "report", "rubrics")
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^```toml (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_EXIT_CODE = re.compile(r"#.*exit code (\d+)")

pytestmark = pytest.mark.model


def commands(page: str) -> list[str]:
    """Return the commands of a page that are run, each with its comment."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    lines = "".join(_BLOCK.findall(text)).replace("\\\n", "").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that stands for the checkout: its tools, `escl` and `python` on the path, and no runs yet."""
    found = tmp_path_factory.mktemp("docs")
    (found / "tools").symlink_to(ROOT / "tools")
    (found / "bin").mkdir()
    for name, words in (("escl", "-m escl "), ("python", "")):
        program = found / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        program.chmod(0o755)
    return found


@pytest.fixture(scope="module")
def surroundings(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "ESCL_HOME": str(folder / "home"),
        "COLUMNS": "80",
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_runs_as_written(page: str, folder: Path, surroundings: dict[str, str]) -> None:
    lines = commands(page)
    assert lines
    for name, text in _FILE.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    for line in lines:
        named = _EXIT_CODE.search(line)
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=folder, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True
        )
        assert done.returncode == (int(named[1]) if named else 0), (
            f"docs/{page}.md: {line}\n{done.stdout.decode()[-2000:]}\n{done.stderr.decode()[-2000:]}"
        )


def test_the_pages_together_run_compare_rate_validate_and_report_two_supporters(folder: Path) -> None:
    told = [line for page in PAGES for line in commands(page)]
    for words in ("escl demo", "escl compare", "escl arena", "escl judge validate", "escl report demo.db --html"):
        assert any(line.startswith(words) for line in told), words
    shown = (folder / "demo.html").read_text(encoding="utf-8")
    assert "demo/warm" in shown
    assert "demo/curt" in shown
