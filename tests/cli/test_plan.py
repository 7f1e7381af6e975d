"""`escl plan` says what fits and how long it takes, from headers alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.shapes import QWEN1_5_14B, write_header
from escl.errors import ExitCode
from escl.memory.plan import Plan, chosen_line
from tests import rubrics

ROOT = Path(__file__).parents[2]


def escl(*words: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "plan", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        timeout=60,
    )


@pytest.fixture(scope="module")
def seeker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a headers-only 14B model: 8.6 GiB long, and a few MB on the disk."""
    path = write_header(tmp_path_factory.mktemp("shelf") / "big-Q4_K_M.gguf", QWEN1_5_14B, "Q4_K_M")
    assert path.stat().st_size > 8 << 30
    if hasattr(os.stat_result, "st_blocks"):
        assert path.stat().st_blocks * 512 < 64 << 20
    return path


def test_the_table_marks_the_chosen_way_and_says_why(seeker: Path) -> None:
    words = (str(seeker), "--seeker", str(seeker), "--no-score", "--limit", "4", "--lang", "en", "--device", "cpu")
    done = escl(*words, "--memory", "16GiB")
    assert done.returncode == ExitCode.OK, done.stderr
    lines = done.stdout.splitlines()
    (chosen,) = (line for line in lines if line.startswith("▸"))
    assert chosen.split()[1:5] == ["one", "at", "a", "time"]
    assert any("seeker and supporter" in line and "lacks" in line for line in lines)
    assert "Chosen: one at a time: the only one that fits" in done.stdout
    assert "15.2 GiB of main memory (main memory: 16.0 GiB by --memory, less 0.8 GiB)" in done.stdout
    assert "Rates are assumed, not measured, for: big-Q4_K_M" in done.stdout


def test_dimensions_of_ones_own_take_their_time(tmp_path: Path) -> None:
    own = str(rubrics.write(tmp_path / "own.json", rubrics.PATIENCE))
    words = ("demo/warm", "--limit", "2", "--device", "cpu", "--memory", "1GiB", "--json")
    plans = [msgspec.json.decode(escl(*words, *more).stdout, type=Plan) for more in ((), ("--rubrics", own))]
    assert plans[1].best().seconds.scoring > plans[0].best().seconds.scoring > 0
    refused = escl(*words, "--rubrics", own, "--no-score")
    assert refused.returncode == ExitCode.USAGE
    assert "--rubrics is for the scorer" in refused.stderr


def test_json_is_the_plan_that_a_run_stores() -> None:
    done = escl(
        "demo/warm", "demo/curt", "--limit", "2", "--device", "cpu", "--memory", "1GiB", "--parallel", "2", "--json"
    )
    assert done.returncode == ExitCode.OK, done.stderr
    made = msgspec.json.decode(done.stdout, type=Plan)
    assert chosen_line(made).startswith("plan: seeker and supporter together, then the scorer: ")
    assert [engine.name for engine in made.best().engines] == ["demo/seeker", "demo/warm", "demo/curt", "demo/scorer"]
    assert made.best().slots == (2, 2)
    assert made.workload.dialogues == 4
    assert all(Path(engine.path).is_file() for engine in made.best().engines)


def test_what_fits_nowhere_is_a_table_and_an_error_that_says_what_would(seeker: Path) -> None:
    words = (str(seeker), "--seeker", str(seeker), "--no-score", "--limit", "4", "--device", "cpu")
    done = escl(*words, "--memory", "4GiB", "--json")
    assert done.returncode == ExitCode.MODEL
    assert json.loads(done.stdout)["chosen"] is None
    assert "nothing fits" in done.stderr
    stated = re.search(r"([\d.]+) GiB of main memory would do", done.stderr)
    assert stated
    # A budget is what is left of --memory after its margin of 5 %.
    assert escl(*words, "--memory", f"{float(stated[1]) / 0.95 + 0.01:.2f}GiB").returncode == ExitCode.OK


def test_a_model_that_is_not_there_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    manifest = Path(shutil.copy(ROOT / "gguf" / "esc-role.toml", tmp_path))
    done = escl("demo/warm", "--seeker", str(manifest), "--device", "cpu")
    assert done.returncode == ExitCode.BAD_INPUT
    assert "esc-role-Q4_K_M.gguf is not there" in done.stderr
    assert "escl models pull esc-role" in done.stderr
    slip = escl("my-modle.gguf", "--seeker", str(manifest), "--device", "cpu")
    assert "my-modle.gguf is not there" in slip.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--memory", "lots"], "is no size"),
        (["--device", "CUDA99"], "finds no such device"),
        (["--limit", "0"], "limit"),
    ],
)
def test_wrong_options_are_usage_errors(words: list[str], said: str) -> None:
    done = escl("demo/warm", *words)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
