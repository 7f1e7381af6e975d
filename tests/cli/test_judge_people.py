"""`escl judge validate` prints data that can be read again, and its exit codes are the house's."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from escl.cli.main import app
from escl.errors import ExitCode, RatingsError
from tests.runs import rated


def test_validate_prints_json_and_ends_well(tmp_path: Path) -> None:
    run = rated(tmp_path / "run.db", {"s": {"c1": [3.0], "c2": [1.0]}})
    human = tmp_path / "human.csv"
    human.write_text("dialogue,dimension,rater,label\nc1/s,Overall,ann,3\nc2/s,Overall,ann,2\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["judge", "validate", str(human), "--runs", str(run), "--json"])
    assert result.exit_code == ExitCode.OK
    made = json.loads(result.stdout)
    assert made["cells"][0]["validation"]["exact"]["value"] == 0.5
    assert made["judged_by"]["scorer"] == "scorer"


def test_gaps_end_with_their_own_code_and_a_bad_file_is_refused(tmp_path: Path) -> None:
    run = rated(tmp_path / "run.db", {"s": {"c1": [None]}})
    human = tmp_path / "human.csv"
    human.write_text("dialogue,dimension,rater,label\nc1/s,Overall,ann,3\n", encoding="utf-8")
    words = ["judge", "validate", str(human), "--runs", str(run)]
    assert CliRunner().invoke(app, words).exit_code == ExitCode.INCOMPLETE
    human.write_text("dialogue,dimension,rater,label\n", encoding="utf-8")
    assert isinstance(CliRunner().invoke(app, words).exception, RatingsError)
