"""`escl compare`: tables that fit, references that are understood, and a gate with its exit code and JUnit file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from escl.cli.compare import split_reference
from escl.cli.main import app
from escl.errors import EsclError, ExitCode, UsageError
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PLAIN_WORDS
from tests.runs import rated

UP = {f"c{at}": [2.5 + at % 3 / 10] for at in range(12)}
SAME = {f"c{at}": [2.5 + (at + 1) % 3 / 10] for at in range(12)}
DOWN = {f"c{at}": [1.5 + at % 4 / 10] for at in range(12)}


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)], env={"COLUMNS": "80"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return rated(tmp_path / "run.db", {"hf.co/owner/model:Q4_K_M": UP, "b": DOWN, "c": SAME})


def test_all_others_are_compared_with_the_first_and_said_in_words(run: Path) -> None:
    done = escl(run)
    assert done.exit_code == ExitCode.OK
    assert "b against hf.co/owner/model:Q4_K_M" in done.stdout
    assert "b is worse in all 7." in done.stdout
    assert "c is as good in all 7." in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_what_is_left_out_is_said_with_the_name_of_who_lacks_it(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": UP, "b": {**SAME, "c3": [None]}, "c": {"c1": [3.0]}})
    text = escl(path).stdout
    assert "Cards left out, no value of b: 1." in text
    assert "Cards left out, not played with c: 11." in text
    assert "It cannot be told how c compares with a." in text


def test_no_number_is_cut_on_80_columns_where_the_verdict_is_long(tmp_path: Path) -> None:
    labels = {"a": {f"c{at}": [4.0 * (at % 2)] for at in range(20)}, "b": {f"c{at}": [2.1] for at in range(20)}}
    shown = escl(rated(tmp_path / "wide.db", labels)).stdout
    assert "Information" in shown
    assert "…" not in shown
    assert "cannot" in shown


def test_the_reference_is_the_supporter_named_first(run: Path) -> None:
    found = json.loads(escl(f"{run}:b", f"{run}:hf.co/owner/model:Q4_K_M", "--json").stdout)
    (pairing,) = found["pairings"]
    assert pairing["against"]["supporter"] == "b"
    assert {row["comparison"]["verdict"] for row in pairing["groups"][0]["rows"]} == {"better"}
    assert found["gate"] is None


def test_a_reference_may_hold_colons_in_the_run_and_in_the_supporter(tmp_path: Path) -> None:
    path = tmp_path / "a:b.db"
    path.touch()
    assert split_reference(f"{path}") == (path, None)
    assert split_reference(f"{path}:x:y") == (path, "x:y")
    assert split_reference("nowhere.db:x") == (Path("nowhere.db:x"), None)


@pytest.mark.parametrize(("new", "code", "failures"), [(SAME, ExitCode.OK, 0), (DOWN, ExitCode.GATE, 7)])
def test_the_gate_sets_the_exit_code_and_writes_junit(
    tmp_path: Path, new: dict[str, list[float | None]], code: ExitCode, failures: int
) -> None:
    old = rated(tmp_path / "old.db", {"m": UP})
    after = rated(tmp_path / "new.db", {"m": new})
    junit = tmp_path / "gate.xml"
    done = escl(after, "--baseline", old, "--margin", "0.2", "--junit", junit)
    assert done.exit_code == code, done.output
    root = ET.parse(junit).getroot()
    cases = list(root.iter("testcase"))
    assert (len(cases), len(list(root.iter("failure")))) == (7, failures)
    assert (root.get("tests"), root.get("failures")) == ("7", str(failures))
    assert all(failure.get("type") == "worse" for failure in root.iter("failure"))
    assert {case.get("classname") for case in cases} == {"m"}


def test_too_few_cards_do_not_pass_a_gate(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": {"c1": [3.0], "c2": [3.1]}, "b": {"c1": [3.0], "c2": [3.1]}})
    done = escl(f"{path}:a", "--baseline", f"{path}:b")
    assert done.exit_code == ExitCode.GATE
    assert "2 cards are too few" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{run}:nobody"], "has no supporter nobody"),
        (["{run}:b"], "there is nothing to compare it with"),
        (["{run}", "--junit", "x.xml"], "there is no gate"),
        (["{run}:b", "--baseline", "{run}:b"], "nothing to compare with it"),
    ],
)
def test_what_cannot_be_compared_is_refused(run: Path, words: list[str], said: str) -> None:
    done = escl(*(word.format(run=run) for word in words))
    assert isinstance(done.exception, EsclError)
    assert said in done.exception.message
    assert done.exception.exit_code == ExitCode.USAGE


def test_hostile_names_steer_neither_terminal_nor_xml(tmp_path: Path) -> None:
    payload = "\x1b[2J\x9b]0;x\x07<&\"'[bold]\u202e"
    path = rated(tmp_path / "run.db", {payload: UP, "b": DOWN})
    junit = tmp_path / "gate.xml"
    done = escl(path, "--baseline", f"{path}:b", "--junit", junit)
    assert not set("\x1b\x9b\x07\u202e") & set(done.stdout)
    assert "[bold]" in done.stdout
    names = {case.get("classname") or "" for case in ET.parse(junit).getroot().iter("testcase")}
    assert len(names) == 1
    assert "<&\"'" in names.pop()


def test_a_dimension_of_ones_own_is_chosen_by_its_key_and_is_no_gate(run: Path) -> None:
    ask(run, Answers(), [PLAIN_WORDS])
    shown = escl(run, "--dimension", "plain-words", "--json")
    (group,) = json.loads(shown.stdout)["pairings"][0]["groups"]
    assert ([row["dimension"] for row in group["own"]], group["rows"]) == (["plain-words"], [])
    table = escl(run).stdout
    assert "Plain words" in table
    assert "In your own dimensions:" in table
    for words, said in (
        (["--dimension", "plain-word"], "did you mean plain-words?"),
        (["--dimension", "plain-words", "--baseline", f"{run}:b"], "a gate asks about the seven"),
    ):
        refused = escl(run, *words)
        assert isinstance(refused.exception, UsageError)
        assert said in refused.exception.message


def test_what_passes_only_because_the_scorer_does_not_move_is_counted_on_every_way_out(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {name: {f"c{at}": [4.0] for at in range(20)} for name in "ab"})
    words, junit = (f"{path}:b", "--baseline", f"{path}:a"), tmp_path / "gate.xml"
    done = escl(*words, "--junit", junit)
    assert done.exit_code == ExitCode.OK
    assert "7 of 7 checks, 7 of them only because the scorer does not move." in done.stdout.strip().splitlines()[-1]
    said = " ".join(done.stdout.split())
    assert "Overall: no resolution: the scorer gives both the label 4 on nearly every dialogue." in said
    assert "every card differs by +0.0; up to 17 % of cards could still differ" in said
    assert "as good" not in said
    assert "+0.0 to +0.0" not in said
    root = ET.parse(junit).getroot()
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["passed_only_because_the_scorer_does_not_move"] == "7"
    assert all("no resolution" in (one.text or "") for one in root.iter("system-out"))
    assert json.loads(escl(*words, "--json").stdout)["gate"]["passed_without_resolution"] == 7


def test_a_gate_on_a_scorer_that_moves_speaks_of_nothing_else(run: Path) -> None:
    done = escl(f"{run}:c", "--baseline", f"{run}:hf.co/owner/model:Q4_K_M")
    assert done.stdout.strip().splitlines()[-1] == "Gate passed: 7 of 7 checks."
    assert "resolution" not in done.stdout
