"""Breakdowns fit 80 columns whatever supporters are called, and nothing in them steers the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from escl.core.division import Division
from escl.evaluation.breakdown import slices_of
from escl.report.breakdown import print_rounds, print_slices
from escl.store.database import Database
from escl.store.records import RoundRow
from escl.store.run import RunStore
from tests.runs import card, rated


def shown(folder: Path, supporter: str, *, source: str = "escl") -> str:
    cards = [card(f"c{at}", source=source) for at in range(3)]
    path = rated(folder / "run.db", {supporter: {one.id: [4.0] for one in cards}}, cards=cards)
    console = Console(file=io.StringIO(), width=80, highlight=False)
    with Database.reader(path) as database:
        print_slices(console, slices_of(RunStore.read(database), Division.SOURCE), division=Division.SOURCE)
    row = RoundRow(
        supporter=supporter,
        round=1,
        n_dialogues=3,
        seeker_chars=80.2,
        supporter_chars=1200.0,
        supporter_tokens=None,
        n_cut=2,
    )
    print_rounds(console, [row])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", ["demo/warm", "hf.co/a-long-owner/a-very-long-model-name-Instruct-GGUF:Q4_K_M"])
def test_a_breakdown_fits_its_terminal(tmp_path: Path, name: str) -> None:
    text = shown(tmp_path, name)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "fewer than 10 cards" in text


def test_hostile_names_steer_nothing(tmp_path: Path) -> None:
    text = shown(tmp_path, "\x1b[2J\x9bx\u202e[bold]", source="\x1b]0;owned\x07")
    assert not set("\x1b\x9b\x07\u202e") & set(text)
    assert "[bold]" in text
