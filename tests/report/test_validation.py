"""A validation's tables fit a terminal of 80 columns and say what is missing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from escl.core.dimension import Dimension, Language
from escl.evaluation.judged_runs import JudgedBy
from escl.evaluation.validation import JudgeValidation, ValidatedCell
from escl.report.validation import print_validation
from escl.stats.validation import JudgedDialogue, validate


def shown(dialogues: list[JudgedDialogue]) -> str:
    """Return what is printed of a validation of all dimensions."""
    validation = validate(dialogues)
    cells = [
        ValidatedCell(language=Language.ENGLISH, dimension=each, crisis=False, validation=validation)
        for each in Dimension
    ]
    by = JudgedBy(scorer="rank\x1b[2J", sha256="0" * 64, adapters={}, protocol="open", protocol_sha256="1" * 64)
    made = JudgeValidation(
        judged_by=by, runs=("r.db",), ratings="h.csv", n_ratings=1, n_blank=2, n_unknown=3, cells=tuple(cells)
    )
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_validation(console, made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def judged(at: int, label: int, *people: int) -> JudgedDialogue:
    said = {f"r{number}": (each,) for number, each in enumerate(people)}
    return JudgedDialogue(cluster=f"c{at}", supporter="s", people=said, label=label, expected=float(label))


def test_tables_fit_80_columns_with_all_numbers_there() -> None:
    text = shown([judged(at, 4 - at % 5 if at % 7 else 0, at % 5, 0) for at in range(40)])
    tables = text.partition("English\n  labels")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "…" not in tables
    assert "\x1b" not in text


@pytest.mark.parametrize("said", ["2 rows without a label", "3 ratings left out: in none of these runs", "People -:"])
def test_what_is_missing_is_said(said: str) -> None:
    assert said in shown([judged(0, 3, 3)])


def test_one_outcome_of_all_dimensions_is_one_line() -> None:
    assert "labels better than one and the same answer: all" in shown(
        [judged(at, at % 5, at % 5 if at % 8 else 2) for at in range(40)]
    )
