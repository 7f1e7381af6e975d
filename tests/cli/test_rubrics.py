"""`--rubrics` and `protocol check`: a person's own dimensions, from the file to the table, on the demo's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.errors import ExitCode, ProtocolError, UsageError
from escl.store.database import Database
from escl.store.run import RunStore
from tests.rubrics import EXAMPLE

RUN = ["run", "demo/warm", "demo/curt", "--limit", "1", "--rounds", "2", "--device", "cpu", "--threads", "1"]


JUDGE = Path(__file__).parents[2] / "gguf" / "demo" / "judge.gguf"
"""Any GGUF file may read; this one was trained to answer with a number."""


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def rubrics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rubrics") / "my-rubrics.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(rubrics: Path) -> Path:
    path = rubrics.parent / "run.db"
    done = escl(*RUN, "--rubrics", rubrics, "--out", path)
    assert done.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE), done.output
    assert "your own dimensions, scores 0-100 · scorer demo/scorer" in done.stdout
    assert all(name in done.stdout for name in ("Patience", "耐心", "Plain words"))
    return path


def own_of(path: Path) -> dict[str, Any]:
    shown = json.loads(escl("report", path, "--json").stdout)
    return {own["dimension"]["key"]: own for own in shown["results"]["own"]}


@pytest.mark.model
def test_a_run_with_rubrics_reads_them_in_their_languages_and_resumes_without_reading_again(
    run: Path, rubrics: Path
) -> None:
    own = own_of(run)
    asked = {key: [(cell["language"], cell["n_asked"]) for cell in one["cells"]] for key, one in own.items()}
    assert asked == {"patience": [("en", 1), ("zh", 1)] * 2, "plain-words": [("en", 1)] * 2}
    with Database.reader(run) as database:
        before = [tuple(row) for row in database.rows("SELECT * FROM reading")]
    again = escl(*RUN, "--rubrics", rubrics, "--out", run)
    with Database.reader(run) as database:
        assert [tuple(row) for row in database.rows("SELECT * FROM reading")] == before
    assert len(before) == 4 * 7 + 4 + 2
    assert again.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE)


@pytest.mark.model
def test_any_scorer_reads_a_run_that_exists_and_leaves_the_seven_alone(
    run: Path, rubrics: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    path.write_bytes(run.read_bytes())
    with Database.reader(path) as database:
        seven = RunStore.read(database).readings(1)
    done = escl(
        "score", path, "--rubrics", rubrics, "--scorer", JUDGE, "--device", "cpu", "--threads", "1", "--no-tune"
    )
    assert done.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE), done.output
    assert {own["scorer"] for own in own_of(path).values()} == {"judge"}
    with Database.reader(path) as database:
        store = RunStore.read(database)
        assert store.readings(1) == seven
        assert store.judgings() == [(1, "demo/scorer")]


def test_a_dry_run_shows_the_rows_to_come(rubrics: Path) -> None:
    done = escl(*RUN, "--rubrics", rubrics, "--dry-run", "--json")
    own = json.loads(done.stdout)["results"]["own"]
    asked = {one["dimension"]["key"]: one["cells"][0]["n_asked"] for one in own}
    assert asked == {"patience": 1, "plain-words": 1}


def test_check_tells_rubrics_from_protocols_and_names_what_is_wrong(rubrics: Path, tmp_path: Path) -> None:
    good = escl("protocol", "check", rubrics)
    assert good.exit_code == ExitCode.OK
    assert "can be used with --rubrics" in good.stdout
    assert "patience: Patience (en), 耐心 (zh)" in good.stdout
    assert "look again: plain-words has no words for zh" in good.stdout
    bad = tmp_path / "bad.toml"
    bad.write_text(EXAMPLE.replace('  "Clear throughout.",\n', ""), encoding="utf-8")
    found = escl("protocol", "check", bad, rubrics, "--json")
    assert found.exit_code == ExitCode.BAD_INPUT
    problems = [one["problem"] for one in json.loads(found.stdout)["rubrics"]]
    assert "dimensions.plain-words.en.levels must be five texts" in problems[0]
    assert problems[1] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no-score"], "with --no-score there is none"),
        (["--rubrics", "nowhere.toml"], "is not there"),
    ],
)
def test_rubrics_that_nobody_could_be_asked_about_are_refused_before_anything_is_said(
    words: list[str], said: str, rubrics: Path
) -> None:
    refused = escl(*RUN, "--rubrics", rubrics, *words)
    assert isinstance(refused.exception, UsageError | ProtocolError)
    assert said in refused.exception.message


def test_a_run_is_scored_by_the_command_that_made_it_unless_rubrics_are_asked(tmp_path: Path) -> None:
    from tests.runs import rated

    path = rated(tmp_path / "run.db", {"warm": {"c1": [1.0]}})
    refused = escl("score", path)
    assert isinstance(refused.exception, UsageError)
    assert "is a run" in refused.exception.message
