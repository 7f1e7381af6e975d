"""`escl power`: the same plan from a pilot, from one supporter, and from assumptions, both ways round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.errors import EsclError, ExitCode
from tests.runs import rated

UP = {f"c{at}": [1.0 + at % 5 / 2] for at in range(15)}
DOWN = {f"c{at}": [2.5 - at % 3 / 2] for at in range(15)}


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["power", *map(str, words)], env={"COLUMNS": "80"})


def test_assumptions_are_called_assumptions_and_fit_the_terminal() -> None:
    done = escl()
    assert done.exit_code == ExitCode.OK
    assert "assumptions, not data: SD 0.8" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_both_tables_say_the_same() -> None:
    (line,) = json.loads(escl("--difference", "0.3", "--cards", "58", "--cards", "57", "--json").stdout)["lines"]
    assert line["cards_needed"] == {"0.3": 58}
    assert line["detectable"]["58"] <= 0.3 < line["detectable"]["57"]


def test_a_pilot_with_two_supporters_gives_the_spread_of_their_differences(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": DOWN})
    lines = json.loads(escl(path, "--json").stdout)["lines"]
    differences = [DOWN[name][0] - UP[name][0] for name in UP]
    mean = sum(differences) / 15
    deviation = (sum((value - mean) ** 2 for value in differences) / 14) ** 0.5
    assert len(lines) == 8
    assert all(line["deviation"] == pytest.approx(deviation) for line in lines)


def test_one_supporter_needs_an_assumed_correlation(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP})
    half, none = (json.loads(escl(path, "--correlation", value, "--json").stdout)["lines"][0] for value in ("0.5", "0"))
    assert none["deviation"] == pytest.approx(half["deviation"] * 2**0.5)
    assert "assumed correlation of 0.5" in " ".join(escl(path).stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [(["{run}", "--sd", "1"], "a pilot run shows it"), (["{run}", "--correlation", "0"], "two supporters show it")],
)
def test_an_assumption_that_the_pilot_shows_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": DOWN})
    done = escl(*(word.format(run=path) for word in words))
    assert isinstance(done.exception, EsclError)
    assert said in done.exception.message
