"""What goes out to other programs holds the results as they are, and text in it stays text."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.errors import ExitCode, StorageError, UsageError
from escl.evaluation.results import results_of
from escl.report.inspect_log import export_inspect
from escl.report.result_table import AVERAGE, ResultRow, as_csv, as_markdown, result_rows
from escl.stats.cluster import clustered_mean
from escl.store.database import Database
from escl.store.records import TurnRow
from escl.store.run import RunStore
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PLAIN_WORDS
from tests.runs import PROTOCOL, card, rated, settings

LABELS: dict[str, dict[str, list[float | None]]] = {
    "kind": {"c1": [3.0], "c2": [3.5], "c3": [None]},
    "curt": {"c1": [1.0], "c2": [0.5], "c3": [2.0]},
}
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＠x"]


def report(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", *words])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return rated(tmp_path / "run.db", LABELS)


def row(supporter: str) -> ResultRow:
    mean = clustered_mean([1.0, 2.0], ["a", "b"])
    return ResultRow(run="r", supporter=supporter, language=Language.ENGLISH, crisis=False, score=mean, n_asked=2)


def test_the_csv_has_every_result_to_the_last_digit(run: Path) -> None:
    read = list(csv.DictReader(io.StringIO(report(str(run), "--csv", "-").stdout)))
    results = results_of(RunStore.read(Database.reader(run)))
    assert len(read) == len(results.cells) + len(LABELS)
    by_key = {(line["supporter"], line["dimension"]): line for line in read}
    for cell in results.cells:
        line = by_key[cell.supporter, cell.dimension.value]
        assert float(line["score"]) == cell.score.mean
        assert float(line["low"]) == cell.score.low
        assert (int(line["n_used"]), int(line["n_asked"])) == (cell.n_used, cell.n_asked)
        assert [int(line[f"label_{label}"]) for label in range(5)] == list(cell.label_counts)
    for average in results.averages:
        line = by_key[average.supporter, AVERAGE]
        assert (float(line["score"]), float(line["low"])) == (average.score.mean, average.score.low)
    assert float(by_key["curt", AVERAGE]["score"]) == pytest.approx(100 * 3.5 / 3 / 4)


def test_the_data_has_the_average_of_the_seven_dimensions_with_its_interval(run: Path) -> None:
    averages = json.loads(report(str(run), "--json").stdout)["results"]["averages"]
    curt, kind = sorted(averages, key=lambda average: str(average["supporter"]))
    assert (curt["score"]["mean"], curt["score"]["n"], curt["score"]["method"]) == (pytest.approx(87.5 / 3), 3, "t")
    # A dialogue that lacks a dimension has no average.
    assert (kind["score"]["mean"], kind["score"]["n"]) == (81.25, 2)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_the_csv_is_a_formula(formula: str) -> None:
    (line,) = csv.DictReader(io.StringIO(as_csv([row(formula)])))
    assert line["supporter"].startswith("'")
    assert line["score"] == "1.5"


def test_the_csv_keeps_rows_whole_whatever_names_hold() -> None:
    names = ['a "b", c', "two\nlines", "\x1b[31mred", "a;b\u2028c"]
    read = list(csv.DictReader(io.StringIO(as_csv([row(name) for name in names]))))
    assert [line["n_asked"] for line in read] == ["2"] * len(names)
    assert read[0]["supporter"] == names[0]
    assert "\x1b" not in read[2]["supporter"]


def test_markdown_shows_scores_and_lets_no_name_act() -> None:
    hostile = "|a| ![x](http://e.org) <b> `c` www.e.org\nd"
    shown = as_markdown([row(hostile)], notices=["[see](http://e.org)"])
    table = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert r"\|a\| \!\[x\]\(http\://e.org\) \<b\> \`c\` www\.e.org d" in table[2]
    assert "| 1.5 (" in table[2]
    assert r"\[see\]\(http\://e.org\)" in shown


def test_markdown_says_what_the_scores_are_evidence_of(run: Path) -> None:
    assert "not about people or clinical efficacy" in report(str(run), "--markdown", "-").stdout


def test_each_dialogue_is_one_line_of_json_with_every_reading(run: Path) -> None:
    lines = [json.loads(line) for line in report(str(run), "--jsonl", "-").stdout.splitlines()]
    assert [(line["supporter"], line["card_id"]) for line in lines] == [(s, c) for s in LABELS for c in LABELS[s]]
    read = lines[0]["readings"]
    assert read.keys() == {dimension.value for dimension in Dimension}
    assert read["fluency"]["label"] == 3
    assert read["fluency"]["expected"] == pytest.approx(3.0)
    assert sum(read["fluency"]["probabilities"]) == pytest.approx(1)
    assert lines[2]["readings"]["fluency"]["label"] is None
    assert lines[2]["readings"]["fluency"]["reply"] == "no idea"
    assert lines[0]["card"]["text"].startswith("Age: 30")


def test_what_a_terminal_would_obey_is_escaped_in_lines_too(run: Path) -> None:
    said = "a\x9b31mb\u202ec"
    with sqlite3.connect(run) as connection:
        connection.execute("UPDATE card SET text = ?", (said,))
    connection.close()
    shown = report(str(run), "--jsonl", "-").stdout
    assert not {"\x9b", "\u202e"} & {*shown}
    assert json.loads(shown.splitlines()[0])["card"]["text"] == said


def test_own_dimensions_go_out_apart_and_act_in_nothing(run: Path) -> None:
    rubric = PLAIN_WORDS.languages[Language.ENGLISH]
    hostile = OwnDimension(key="own", languages={Language.ENGLISH: msgspec.structs.replace(rubric, name="=1|[x](y)")})
    ask(run, Answers(), [hostile])
    by_key = {
        (line["supporter"], line["dimension"]): line
        for line in csv.DictReader(io.StringIO(report(str(run), "--csv", "-").stdout))
    }
    assert float(by_key["kind", "own"]["score"]) == 93.75
    assert (by_key["kind", "own"]["scorer"], by_key["kind", "overall"]["scorer"]) == ("s", "scorer")
    shown = report(str(run), "--markdown", "-").stdout
    assert "### English: your own dimensions" in shown
    assert r"| \=1\|\[x\]\(y\) | kind | 93.8\*" in shown
    (line, *_) = map(json.loads, report(str(run), "--jsonl", "-").stdout.splitlines())
    assert (line["own"]["own"]["label"], line["own"]["own"]["scorer"], len(line["readings"])) == (4, "s", 7)


def test_inspect_gets_own_dimensions_as_scores(run: Path, tmp_path: Path) -> None:
    ask(run, Answers(), [PLAIN_WORDS])
    export_inspect(RunStore.read(Database.reader(run)), run, tmp_path / "logs")
    log = json.loads((tmp_path / "logs" / "kind_en.json").read_bytes())
    assert [(one["name"], one["scorer"]) for one in log["results"]["scores"]][-1] == ("plain-words", "s")
    assert log["samples"][0]["scores"]["plain-words"]["value"] == 3.75


def test_several_runs_go_into_one_file_only_when_they_are_comparable(run: Path, tmp_path: Path) -> None:
    again = rated(tmp_path / "again.db", LABELS)
    other = rated(tmp_path / "other.db", LABELS, run=msgspec.structs.replace(settings(), rounds=9))
    both = report(str(run), str(again), "--csv", "-")
    assert {line["run"] for line in csv.DictReader(io.StringIO(both.stdout))} == {"run.db", "again.db"}
    refused = report(str(run), str(other), "--csv", "-")
    assert isinstance(refused.exception, UsageError)
    forced = report(str(run), str(other), "--markdown", "-", "--force")
    assert forced.exit_code == ExitCode.OK
    assert "Forced although not comparable" in forced.stdout


def test_what_cannot_be_written_is_refused_before_anything_is(run: Path, tmp_path: Path) -> None:
    for words in (["--csv", "-", "--jsonl", "-"], ["--html", str(tmp_path / "a.html"), "--transcripts", "some"]):
        assert isinstance(report(str(run), *words).exception, UsageError)
    assert isinstance(report(str(run), str(run)).exception, UsageError)
    assert not list(tmp_path.glob("*.html"))


def test_the_page_is_written_whole_and_replaces_the_last_one(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    assert report(str(run), "--html", str(page), "--transcripts", "none").exit_code == ExitCode.OK
    written = page.read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>")
    assert written.endswith("</html>")


def spoken(path: Path) -> Path:
    """A finished, rated run whose dialogues have turns."""
    rated(path, {"a/b": {"c1": [3.0], "c2": [2.0]}}, cards=[card("c1"), card("c2")])
    store = RunStore.begin(Database.writer(path), settings(), PROTOCOL, command="test", versions={"numpy": "2"})
    for dialogue in store.dialogues():
        said = [(Speaker.SUPPORTER, "Hello."), (Speaker.SEEKER, "I am tired."), (Speaker.SUPPORTER, "Tell me more.")]
        for at, (speaker, text) in enumerate(said):
            store.add_turn(dialogue.id, at, TurnRow(turn=Turn(speaker=speaker, text=text)))
    store.finish("finished")
    store.close()
    return path


def test_inspect_gets_each_dialogue_as_the_supporter_met_it(tmp_path: Path) -> None:
    path = spoken(tmp_path / "r.db")
    with Database.reader(path) as database:
        (exported,) = export_inspect(RunStore.read(database), path, tmp_path / "logs")
    log = json.loads(Path(exported.path).read_text(encoding="utf-8"))
    assert (log["version"], log["status"]) == (2, "success")
    assert log["eval"]["model"] == "escl/a/b"
    sample = log["samples"][0]
    assert (sample["id"], sample["epoch"], sample["input"]) == ("c1", 1, "I am tired.")
    assert sample["messages"] == [
        {"role": "user", "content": "I am tired."},
        {"role": "assistant", "content": "Tell me more."},
    ]
    assert sample["metadata"]["greeting"] == "Hello."
    assert sample["scores"]["fluency"]["value"] == pytest.approx(3.0)
    fluency = next(score for score in log["results"]["scores"] if score["name"] == "fluency")
    assert fluency["metrics"]["mean"]["value"] == pytest.approx(2.5)
    assert fluency["scored_samples"] == 2


def test_inspect_itself_reads_the_logs(tmp_path: Path) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed")
    path = spoken(tmp_path / "r.db")
    with Database.reader(path) as database:
        (exported,) = export_inspect(RunStore.read(database), path, tmp_path / "logs")
    read = inspect_log.read_eval_log(exported.path)
    assert read.samples[0].scores["fluency"].value == pytest.approx(3.0)
    assert read.results.scores[0].metrics["mean"].value == pytest.approx(2.5)


def test_inspect_logs_replace_nothing(tmp_path: Path) -> None:
    path = spoken(tmp_path / "r.db")
    with Database.reader(path) as database:
        store = RunStore.read(database)
        export_inspect(store, path, tmp_path / "logs")
        with pytest.raises(StorageError, match="there already"):
            export_inspect(store, path, tmp_path / "logs")


def test_rows_of_a_run_without_a_score_are_none(tmp_path: Path) -> None:
    store = RunStore.begin(Database.writer(tmp_path / "r.db"), settings(), PROTOCOL, command="test", versions={})
    assert result_rows(store, tmp_path / "r.db") == []
    store.close()
