"""`escl score` and `escl report --export` under the imported protocol, with the demo's scorer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.dimension import Language
from escl.errors import ExitCode, UsageError
from escl.store.database import Database
from escl.store.run import RunStore
from escl.upstream.protocol import read_protocol, write_protocol
from tests.esc_eval_scripts import write_scripts


@pytest.fixture(autouse=True)
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    write_protocol(read_protocol(write_scripts(tmp_path / "copy")))


def write(path: Path, label: str) -> Path:
    talk = [f"{label}Hello.", "ESC-Role：My AI assistant is broken. ", f"{label}\n\nWhy?"]
    path.write_bytes(json.dumps({"0": talk}, ensure_ascii=False, indent=4).encode())
    return path


@pytest.mark.model
def test_a_file_with_the_old_label_is_scored_and_written_back_as_it_is(tmp_path: Path) -> None:
    file, run, out = write(tmp_path / "old_en.json", "AI assitant："), tmp_path / "run.db", tmp_path / "out"
    words = ["score", str(file), "--protocol", "esc-eval", "--scorer", "demo/scorer", "--device", "cpu"]
    scored = CliRunner().invoke(app, [*words, "--threads", "1", "--out", str(run), "--json"])
    assert scored.exit_code in (ExitCode.OK, ExitCode.INCOMPLETE), scored.output
    with Database.reader(run) as database:
        store = RunStore.read(database)
        read = store.protocol.transcript(Language.ENGLISH, store.turns(1))
        replies = {reading.dimension.value: reading.reply for reading in store.readings(1)}
    assert read == "AI assitant：Hello.\n\n##来客##My ##帮手## is broken. \n\nAI assitant：\n\nWhy?"
    assert CliRunner().invoke(app, ["report", str(run), "--export", "esc-eval", str(out)]).exit_code == ExitCode.OK
    assert (out / "result" / "old_en.json").read_bytes() == file.read_bytes()
    labels = json.loads((out / "score" / "old_en.json").read_bytes())["0"]
    assert labels == {key: min((int(c) for c in reply if c in "01234"), default=-1) for key, reply in replies.items()}
    cells = json.loads(scored.stdout)["results"]["cells"]
    assert {cell["dimension"]: cell["upstream_counts"] for cell in cells} == {
        key: {str(label): 1} for key, label in labels.items()
    }


def test_files_that_label_the_supporter_in_two_ways_are_scored_apart(tmp_path: Path) -> None:
    files = [write(tmp_path / "a_en.json", "AI assitant："), write(tmp_path / "b_en.json", "AI assistant：")]
    result = CliRunner().invoke(app, ["score", *map(str, files), "--scorer", "demo/scorer"])
    assert isinstance(result.exception, UsageError)
    assert "two ways" in result.exception.message
