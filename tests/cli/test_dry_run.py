"""A dry run shows the plan and the columns of the run to come, and neither loads nor writes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.cli.work import RunResults
from escl.core.dimension import Dimension
from escl.errors import ExitCode

COMMAND = ["run", "demo/warm", "demo/curt", "--lang", "en", "--limit", "2", "--no-tune", "--out"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing start a model."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run loads nothing")

    monkeypatch.setattr("escl.engine.client.Engine.start", refuse)
    monkeypatch.setattr("escl.memory.tune.tune", refuse, raising=False)


def test_it_asks_for_every_dialogue_and_has_no_score(tmp_path: Path) -> None:
    out = tmp_path / "run.db"
    shown = json.loads(run(*COMMAND, str(out), "--dry-run", "--json").stdout)
    cells = shown["results"]["cells"]
    assert {(cell["supporter"], cell["dimension"]) for cell in cells} == {
        (name, dimension.value) for name in ("demo/warm", "demo/curt") for dimension in Dimension
    }
    assert {(cell["n_used"], cell["n_asked"]) for cell in cells} == {(0, 2)}
    assert all(cell["score"]["mean"] is None for cell in cells)
    assert shown["results"]["n_dialogues"]["pending"] == 4
    assert shown["plan"]["chosen"] is not None
    assert not list(tmp_path.iterdir())


def test_it_has_the_fields_of_the_run(tmp_path: Path) -> None:
    shown = json.loads(run(*COMMAND, str(tmp_path / "run.db"), "--dry-run", "--json").stdout)
    assert set(RunResults.__struct_fields__) <= shown.keys()
    assert shown["dry_run"] is True


def test_the_tables_are_those_of_a_run(tmp_path: Path) -> None:
    done = run(*COMMAND, str(tmp_path / "run.db"), "--dry-run")
    assert done.exit_code == ExitCode.OK
    for part in ("Strategy", "Chosen:", "Dimension", "Score", "interval", "Overall", "0/2"):
        assert part in done.stdout
