"""`escl cards` shows cards without letting them act on the terminal, and its exit code says whether a file is good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.errors import CardError, ExitCode, StorageError, UsageError

CARD: dict[str, Any] = {
    "id": "test-1",
    "language": "en",
    "age": 52,
    "gender": "female",
    "occupation": "bookkeeper",
    "problem": "Her mother packs a suitcase every night.",
    "category": "family",
    "subcategory": "caregiving",
}


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["cards", *map(str, words)])


def write(folder: Path, *cards: dict[str, Any]) -> Path:
    path = folder / "cards.toml"
    path.write_text(tomli_w.dumps({"card": list(cards)}), encoding="utf-8")
    return path


def listed(*words: str | Path) -> dict[str, Any]:
    result = escl("ls", *words, "--json")
    assert result.exit_code == ExitCode.OK, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ls_without_a_file_lists_the_bundled_quality_cards() -> None:
    cards = listed()["cards"]
    assert len(cards) >= 80
    assert {card["crisis"] for card in cards} == {None}


def test_ls_crisis_lists_crisis_cards_only() -> None:
    cards = listed("--crisis")["cards"]
    assert len(cards) >= 20
    assert None not in {card["crisis"] for card in cards}


def test_ls_filters_combine() -> None:
    cards = listed("--language", "zh", "--category", "family", "--source", "escl", "--limit", "5")["cards"]
    assert len(cards) == 5
    assert {(card["language"], card["category"], card["source"]) for card in cards} == {("zh", "family", "escl")}


def test_ls_counts_add_up_to_the_cards() -> None:
    found = listed()
    assert sum(count["n"] for count in found["counts"]) == len(found["cards"])


def test_ls_counts_by_language_category_source_and_kind(tmp_path: Path) -> None:
    path = write(tmp_path, CARD, CARD | {"id": "test-2", "problem": "Another.", "source": "clinic"})
    assert [(count["source"], count["n"]) for count in listed(path)["counts"]] == [("clinic", 1), ("escl", 1)]


@pytest.mark.usefixtures("wide")
def test_ls_shows_a_row_for_each_card_and_the_total(tmp_path: Path) -> None:
    shown = escl("ls", write(tmp_path, CARD)).stdout
    assert "test-1" in shown
    assert "Her mother packs a suitcase" in shown
    assert "Family life" in shown


def test_show_prints_the_card_as_the_seeker_reads_it(tmp_path: Path) -> None:
    shown = escl("show", "test-1", write(tmp_path, CARD)).stdout
    assert "Age: 52\nGender: female\nOccupation: bookkeeper\nProblem: Her mother packs a suitcase every night." in shown


def test_show_json_is_the_card(tmp_path: Path) -> None:
    found = json.loads(escl("show", "test-1", write(tmp_path, CARD), "--json").stdout)
    assert (found["id"], found["category"], found["crisis"]) == ("test-1", "family", None)


def test_show_finds_crisis_cards_too() -> None:
    crisis_id = listed("--crisis", "--limit", "1")["cards"][0]["id"]
    assert crisis_id in escl("show", crisis_id).stdout


def test_show_of_an_unknown_id_is_a_usage_error() -> None:
    result = escl("show", "nobody")
    assert isinstance(result.exception, UsageError)
    assert "nobody" in result.exception.message


@pytest.mark.usefixtures("wide")
def test_markup_in_a_card_is_shown_not_obeyed(tmp_path: Path) -> None:
    loud = "[bold red]Her[/] mother [link=https://example.org]packs[/link] :warning: [/]"
    path = write(tmp_path, CARD | {"problem": loud, "occupation": "[b]baker[/b]", "source": "[i]x"})
    assert loud in escl("show", "test-1", path).stdout
    assert "[i]x" in escl("ls", path).stdout


def test_ls_of_a_malformed_file_is_a_card_error(tmp_path: Path) -> None:
    result = escl("ls", write(tmp_path, CARD | {"category": "famly"}))
    assert isinstance(result.exception, CardError)


def test_check_of_a_good_file_ends_well(tmp_path: Path) -> None:
    result = escl("check", write(tmp_path, CARD))
    assert result.exit_code == ExitCode.OK
    assert "1 cards can be read, no problems" in result.stdout


def test_check_of_the_bundled_cards_ends_well() -> None:
    assert escl("check").exit_code == ExitCode.OK


def test_check_lists_every_problem_and_ends_with_bad_input(tmp_path: Path) -> None:
    path = write(tmp_path, CARD | {"age": 0}, CARD | {"id": "test-2", "problem": "Another.", "gendr": "x"})
    result = escl("check", path)
    assert result.exit_code == ExitCode.BAD_INPUT
    for part in ("card[0] (id test-1), field age", "card[1] (id test-2), field gendr", "did you mean gender?"):
        assert part in result.stdout


def test_check_json_says_the_same(tmp_path: Path) -> None:
    result = escl("check", write(tmp_path, CARD | {"age": 0}), "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert found["ok"] is False
    assert [(problem["index"], problem["id"], problem["field"]) for problem in found["problems"]] == [
        (0, "test-1", "age")
    ]


def test_check_shows_hostile_keys_harmlessly(tmp_path: Path) -> None:
    path = tmp_path / "cards.json"
    path.write_text(json.dumps([{"\x1b[2J\n[bold]": 1}]), encoding="utf-8")
    shown = escl("check", path).stdout
    assert "\x1b" not in shown
    assert "\ufffd[2J [bold]" in shown


def test_check_of_a_missing_file_ends_with_bad_input(tmp_path: Path) -> None:
    result = escl("check", tmp_path / "none.toml")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "is not there" in result.stdout


def test_export_writes_what_evaluate_py_reads_and_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "cards.json"
    result = escl("export", out, write(tmp_path, CARD), "--json")
    assert json.loads(result.stdout) == {"file": str(out), "n": 1}
    assert json.loads(out.read_bytes())[0]["base"].endswith("Problem: Her mother packs a suitcase every night.")
    assert isinstance(escl("export", out).exception, StorageError)


def test_export_of_no_card_is_refused(tmp_path: Path) -> None:
    result = escl("export", tmp_path / "none.json", write(tmp_path, CARD), "--language", "zh")
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "none.json").exists()
