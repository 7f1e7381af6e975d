"""`escl protocol` reads, keeps and shows a protocol whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.core.protocol import Protocol, load_protocol
from escl.errors import ExitCode, ProtocolError
from escl.upstream import script
from tests.esc_eval_scripts import DEFAULT_SYSTEM, write_scripts


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def escl(*words: str | Path) -> Result:
    result = CliRunner().invoke(app, ["protocol", *map(str, words)])
    assert result.exit_code == ExitCode.OK, result.output
    return result


def as_data(*words: str | Path) -> Any:  # noqa: ANN401
    return json.loads(escl(*words, "--json").stdout)


def test_an_imported_protocol_is_listed_and_shown_whole(tmp_path: Path, home: Path) -> None:
    folder = write_scripts(tmp_path / "copy")
    imported = as_data("import", folder, "--modeling", folder)
    assert imported["file"] == str(home / "protocols" / "esc-eval.json")
    assert {source["name"] for source in imported["sources"]} == {
        "evaluate.py",
        "score.py",
        "modeling_internlm2.py",
    }
    listed = {entry["name"]: entry for entry in as_data("ls")["protocols"]}
    assert listed["esc-eval"]["sha256"] == imported["sha256"]
    shown = as_data("show", "esc-eval")
    assert msgspec.convert(shown["protocol"], Protocol) == load_protocol("esc-eval")
    assert DEFAULT_SYSTEM in escl("show", "esc-eval").stdout


def test_a_known_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_scripts(tmp_path / "copy")
    first = as_data("import", folder)["sources"][0]
    assert first["known_as"] is None
    monkeypatch.setitem(script.KNOWN, first["sha256"], "evaluate.py of the toy")
    assert as_data("import", folder)["sources"][0]["known_as"] == "evaluate.py of the toy"
    assert "evaluate.py of the toy" in escl("import", folder).stdout


def test_the_import_says_what_the_example_supporters_do_and_what_is_missing(tmp_path: Path) -> None:
    said = escl("import", write_scripts(tmp_path / "copy")).stdout
    assert "ShortHelper: 128 tokens, greedy" in said
    (note,) = [line for line in said.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: the scorer's system message is left open")
    assert "--modeling" in note
    assert len(note) <= 120


def test_a_listed_name_is_the_one_that_the_option_takes(home: Path) -> None:
    copied = msgspec.structs.replace(load_protocol("open"), name="inside")
    (home / "protocols").mkdir(parents=True)
    (home / "protocols" / "outside.json").write_bytes(msgspec.json.encode(copied))
    listed = [entry["name"] for entry in as_data("ls")["protocols"]]
    assert "outside" in listed
    assert "inside" not in listed
    assert load_protocol("outside").name == "inside"
    assert "called inside in reports" in escl("ls").stdout


def test_a_broken_file_among_the_users_own_is_listed_with_its_problem(home: Path) -> None:
    (home / "protocols").mkdir(parents=True)
    (home / "protocols" / "mine.json").write_text("{")
    listed = {entry["name"]: entry for entry in as_data("ls")["protocols"]}
    assert "is not JSON" in listed["mine"]["problem"]
    assert listed["open"]["problem"] is None


def test_no_file_of_the_users_stands_in_for_a_protocol_that_ships(home: Path) -> None:
    (home / "protocols").mkdir(parents=True)
    (home / "protocols" / "open.json").write_text("{")
    assert load_protocol("open").name == "open"


def test_a_run_without_the_import_says_how_to_get_it() -> None:
    with pytest.raises(ProtocolError) as caught:
        load_protocol("esc-eval")
    assert "escl protocol import" in (caught.value.hint or "")


def test_what_a_protocol_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evaluate = tmp_path / "x.json"
    evaluate.write_text('{"name": "\\u001b[31m", "version": 1, "languages": {}}')
    result = CliRunner().invoke(app, ["protocol", "show", str(evaluate)])
    assert isinstance(result.exception, ProtocolError)
    assert "holds no language" in result.exception.message
