"""The paper's figures are whole and consistent, and never stand beside a run without what differs."""

from __future__ import annotations

import io
import math
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from escl.core.dimension import Dimension, Language
from escl.evaluation.published import CARDS, leaderboard, published_beside
from escl.evaluation.results import results_of
from escl.report.published import print_published
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import rated


@pytest.mark.parametrize("language", Language)
def test_every_figure_is_a_mean_of_one_label_for_each_card(language: Language) -> None:
    """To the last digit printed, which the paper cuts off as often as it rounds it."""
    for row in leaderboard():
        if row.language is language:
            for score in row.scores:
                assert score is not None
                labels = score * CARDS[language] / 25
                assert math.isclose(labels, round(labels), abs_tol=CARDS[language] * 0.0101 / 25), row
            assert row.average == pytest.approx(fmean(score for score in row.scores if score is not None), abs=0.011)


def test_the_rows_are_the_paper_s_fourteen_and_twelve() -> None:
    languages = [row.language for row in leaderboard()]
    assert (languages.count(Language.ENGLISH), languages.count(Language.CHINESE)) == (14, 12)
    emollm = next(row for row in leaderboard() if row.model == "EmoLLM" and row.language is Language.CHINESE)
    assert dict(zip(Dimension, emollm.scores, strict=True))[Dimension.HUMANOID] == 68.67


def test_a_run_s_supporters_stand_among_them_with_what_differs(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"mine\x1b[2J": {"c1": [2.6]}, "mute": {"c1": [None]}})
    with Database.reader(path) as database:
        store = RunStore.read(database)
        published = published_beside(results_of(store), store)
    assert {row.language for row in published.rows} == {Language.ENGLISH}
    averages = [row.average for row in published.rows]
    assert averages[-1] is None
    known = [average for average in averages if average is not None]
    assert known == sorted(known, reverse=True)
    text = "\n".join(published.differs)
    for said in ("People rated there", "protocol is open", "1 cards in en here, 331 there", "16 bits", "2 rounds here"):
        assert said in text
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_published(console, published)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "Not comparable as they stand" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.partition("Not comparable")[0].splitlines())) <= 80
