"""What docs/judge-validation.md shows is read, and the options it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.ratings_file import PREFERENCE_COLUMNS, RATING_COLUMNS, read_ratings
from escl.errors import ExitCode

PAGE = (Path(__file__).parents[2] / "docs/judge-validation.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^escl (.+?)\s*(?:#.*)?$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_of_the_page_names_commands_and_options_that_are_there(words: str) -> None:
    said = words.split()
    group = 2 if said[0] == "judge" else 1
    shown = CliRunner().invoke(app, [*said[:group], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == ExitCode.OK
    assert {word for word in said if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", shown.stdout))


def test_the_rows_of_the_page_are_read(tmp_path: Path) -> None:
    first, second = re.findall(r"^\| `(dialogue, .*?|card, .*?)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert tuple(first[0].split(", ")) == RATING_COLUMNS[:-1]
    assert tuple(second[0].split(", ")) == PREFERENCE_COLUMNS[:-1]
    n_rows = 0
    for columns, rows in (first, second):
        path = tmp_path / "page.csv"
        path.write_text("\n".join([columns, *re.findall(r"`([^`]*(?:, [^`]*){3,})`", rows)]), encoding="utf-8")
        file = read_ratings(path)
        n_rows += len(file.ratings) + len(file.preferences)
    assert n_rows == 3
