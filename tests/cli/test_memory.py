"""A run keeps to the memory that it is given, says beforehand what it will do, and shows afterwards what it did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from escl.cli.planning import Wishes, explaining_out_of_memory
from escl.cli.work import say_plan
from escl.errors import ExitCode, NothingFitsError, OutOfMemoryError
from escl.memory.choices import Role
from escl.memory.plan import Plan, make_plan
from escl.shelf.manifest import Model
from escl.store.database import Database
from tests.memory.test_plan import plan
from tests.planning import choice, cpu, workload

ROOT = Path(__file__).parents[2]


def escl(*words: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.model
def test_a_budget_for_one_model_makes_waves_that_the_load_log_shows(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    size = ["--ctx", "2048", "--parallel", "2", "--threads", "1", "--memory", "95MiB"]
    done = escl("run", "demo/warm", "--lang", "en", "--limit", "2", "--rounds", "2", *size, "--out", str(path))
    assert done.returncode == ExitCode.OK, done.stderr
    assert "plan: one model at a time" in done.stderr
    shown = escl("report", str(path), "--loads").stdout
    models = [word for line in shown.splitlines() for word in line.split() if word.startswith("demo/")]
    assert models == ["demo/seeker", "demo/warm"] * 2 + ["demo/scorer"]
    listed = json.loads(escl("report", str(path), "--loads", "--json").stdout)
    assert [load["name"] for load in listed["loads"]] == models
    data = json.loads(escl("report", str(path), "--json").stdout)
    assert [load["name"] for load in data["results"]["loads"]] == models
    with Database.reader(path) as database:
        ((stored,),) = database.rows("SELECT plan FROM attempt")
    assert json.loads(stored)["budget"]["host_bytes"] < 95 << 20


@pytest.mark.model
def test_a_budget_for_nothing_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    done = escl("run", "demo/warm", "--limit", "1", "--memory", "20MiB", "--out", str(path))
    assert done.returncode == ExitCode.MODEL
    assert "would do" in done.stderr
    assert not path.exists()


@pytest.mark.model
def test_an_attempt_at_scoring_that_cannot_be_planned_has_ended(tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.json"
    spoken.write_text(
        json.dumps({"0": ["AI assistant：Hi.", "ESC-Role：I am sad.", "AI assistant：Why?"]}), encoding="utf-8"
    )
    path = tmp_path / "run.db"
    done = escl("score", str(spoken), "--scorer", "demo/scorer", "--memory", "20MiB", "--out", str(path))
    assert done.returncode == ExitCode.MODEL, done.stderr
    with Database.reader(path) as database:
        ((ended, outcome),) = database.rows("SELECT ended_utc, outcome FROM attempt")
    assert ended is not None
    assert outcome == "error"


def test_a_file_that_stands_in_for_the_named_one_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    seeker = choice("seeker", "esc-role-Q4_K_M.gguf")
    named = Model(name=seeker.name, path=seeker.files[0].path, sha256="0" * 64, size_bytes=1)
    other = choice("supporter", "warm-Q4_K_M.gguf")
    supporter = Model(name=other.name, path=other.files[0].path, sha256="0" * 64, size_bytes=1)
    seats: list[tuple[Role, Model]] = [("seeker", named), ("supporter", supporter)]
    for gib, stands_in in ((12, False), (9, True)):
        say_plan(make_plan([seeker, other], workload(), cpu(gib)), seats)
        said = capsys.readouterr().err
        assert said.startswith("plan: ")
        assert (f"{seeker.files[1].path} is used in place of esc-role-Q4_K_M.gguf" in said) is stands_in
        assert "warm-Q4_K_M.gguf" not in said


def test_work_that_may_end_early_takes_at_most_what_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    made = plan(cpu(48))
    for at_most in (False, True):
        say_plan(made, [], at_most=at_most)
        said = capsys.readouterr().err
        assert (", at most " in said, ", about " in said) == (at_most, not at_most)


def test_running_out_of_memory_names_the_plan_that_fits_into_less() -> None:
    made = plan(cpu(48))
    asked: list[Wishes] = []

    def replan(wishes: Wishes) -> Plan:
        asked.append(wishes)
        return plan(cpu(12))

    with (
        pytest.raises(OutOfMemoryError, match="no room") as caught,
        explaining_out_of_memory(made, Wishes(), replan),
    ):
        raise OutOfMemoryError("no room")
    assert "--memory" in (caught.value.hint or "")
    assert "plan: " in (caught.value.hint or "")
    assert not asked[0].tune


def test_running_out_of_memory_where_less_fits_nothing_says_what_would() -> None:
    def replan(wishes: Wishes) -> Plan:
        raise NothingFitsError("nothing fits: 7 GiB would do")

    with (
        pytest.raises(OutOfMemoryError) as caught,
        explaining_out_of_memory(plan(cpu(48)), Wishes(), replan),
    ):
        raise OutOfMemoryError("no room")
    assert caught.value.hint == "nothing fits: 7 GiB would do"
