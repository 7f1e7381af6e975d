"""`escl doctor` shows every check within 80 columns, in any encoding, without a connection, and ends with its code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from escl.errors import ExitCode

ROOT = Path(__file__).parents[2]

# Not even a socket is made.
PROGRAM = (
    "import sys\n"
    "def refuse(event, arguments):\n"
    "    if event.startswith('socket.'):\n"
    "        raise RuntimeError(f'{event} {arguments}')\n"
    "sys.addaudithook(refuse)\n"
    "sys.argv[0] = 'escl'\n"
    "from escl.cli.main import main\n"
    "main()\n"
)


def doctor(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "doctor", *words],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ESCL_HOME": str(home), "COLUMNS": "80", **environment},
        timeout=60,
    )


def test_the_json_has_every_finding_and_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    assert done.returncode == ExitCode.OK, done.stderr.decode()
    found = json.loads(done.stdout)["findings"]
    assert {finding["state"] for finding in found} == {"ok", "warn"}
    assert all((finding["to_do"] is None) is (finding["state"] == "ok") for finding in found)


def test_the_first_failure_decides_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "broken.toml").write_text("name = 3")
    done = doctor(tmp_path, "--json")
    assert done.returncode == ExitCode.BAD_INPUT
    assert Counter(finding["state"] for finding in json.loads(done.stdout)["findings"])["fail"] == 1


def test_the_table_fits_80_columns_and_has_no_colours_where_none_are_wanted(tmp_path: Path) -> None:
    done = doctor(tmp_path, NO_COLOR="1", FORCE_COLOR="1")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode()).splitlines()
    assert any(line.startswith("ok   Python") for line in lines)
    assert all(len(line) <= 80 for line in lines if not line.lstrip().startswith("->"))
    assert not re.search(rb"\x1b\[[0-9;]*(3|4|9|10)[0-7](;|m)", done.stdout)


def test_what_to_do_is_one_line_that_can_be_copied(tmp_path: Path) -> None:
    to_do = [finding["to_do"] for finding in json.loads(doctor(tmp_path, "--json").stdout)["findings"]]
    shown = [line.strip() for line in doctor(tmp_path).stdout.decode().splitlines()]
    assert [f"-> {each}" for each in to_do if each] == [line for line in shown if line.startswith("-> ")]
    assert max(len(each) for each in to_do if each) > 60


def test_a_terminal_without_utf_8_is_told_so_in_its_own_characters(tmp_path: Path) -> None:
    home = tmp_path / "心"
    home.mkdir()
    done = doctor(home, PYTHONIOENCODING="ascii")
    assert done.returncode == ExitCode.OK, done.stderr.decode()
    assert "encoding ascii" in " ".join(done.stdout.decode("ascii").split())
