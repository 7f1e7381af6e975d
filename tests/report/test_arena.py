"""An arena on the terminal: within 80 columns, with what must be said, and names as text."""

from __future__ import annotations

import csv
import io

import msgspec
from rich.console import Console

from escl.core.dimension import Dimension, Language
from escl.core.settings import ArenaSettings
from escl.evaluation.arena import NOT_JUDGED
from escl.evaluation.arena_results import Against, ArenaResults, Board
from escl.report.arena import print_arena
from escl.report.arena_csv import as_csv
from escl.stats.length_control import length_controlled
from escl.stats.pairwise import Distribution, consistency, pair_verdict
from escl.stats.proportion import proportion
from escl.stats.ratings import Meeting, rate

FIRST: Distribution = (0.9, 0.1, 0.0, 0.0, 0.0)
SECOND: Distribution = (0.0, 0.0, 0.0, 0.1, 0.9)
CARDS = [f"c{at}" for at in range(12)]


def results(
    readings: list[tuple[Distribution, Distribution]], *, name: str = "supporter/of-some-length"
) -> ArenaResults:
    verdicts = [found for found in (pair_verdict(*both) for both in readings) if found is not None]
    cards = CARDS[: len(verdicts)]
    met = [
        Meeting(card=card, one=name, other="reference", score=found.score)
        for card, found in zip(cards, verdicts, strict=True)
    ]
    scores = [found.score for found in verdicts]
    board = Board(
        language=Language.ENGLISH,
        dimension=Dimension.OVERALL,
        n_asked=len(verdicts),
        n_judged=len(verdicts),
        failed={},
        consistency=consistency(verdicts, cards),
        ratings=rate(met, [name, "reference"]),
        against=[
            Against(
                supporter=name,
                rate=proportion(scores, cards),
                at_equal_length=length_controlled(scores, [10.0 + at for at in range(len(scores))], cards),
                longer_by=15.0,
            )
        ],
    )
    return ArenaResults(
        runs=["run.db"],
        settings=ArenaSettings(judge="j", sha256="0", rubric="open", rubric_sha256="0", llama_cpp="0"),
        supporters=[name, "reference"],
        reference="reference",
        budget=None,
        n_possible=len(verdicts),
        boards=[board],
        pairs=[],
        forced=[],
        left_out={},
        notices=["A toy."],
    )


def printed(shown: ArenaResults) -> str:
    out = io.StringIO()
    print_arena(Console(file=out, width=80, force_terminal=False), shown)
    return out.getvalue()


def test_the_table_fits_80_columns_and_says_how_it_was_made() -> None:
    text = printed(results([(FIRST, SECOND)] * 9 + [(SECOND, FIRST)] * 2 + [(FIRST, FIRST)]))
    (row,) = [line for line in text.splitlines() if "9-1-2" in line]
    assert len(row) <= 80
    assert "79.2 ± 11.4 %" in row
    assert "Won-tied-" in text
    assert "1 flipped (8 %, " in text
    assert "are all longer: extrapolated" in text
    assert "A toy." in text


def test_a_judge_that_goes_by_the_place_is_named() -> None:
    text = printed(results([(FIRST, FIRST)] * 6 + [(FIRST, SECOND)] * 6))
    assert "contradicts itself" in text
    assert "contradicts itself" not in printed(results([(FIRST, SECOND)] * 12))


def test_nothing_judged_yet_shows_no_table() -> None:
    empty = results([])
    board = msgspec.structs.replace(empty.boards[0], failed={NOT_JUDGED: 4}, n_asked=4, against=[])
    text = printed(msgspec.structs.replace(empty, boards=[board]))
    assert "4 pairs: not judged yet" in text
    assert "Rating  " not in text


def test_names_stay_text() -> None:
    text = printed(results([(FIRST, SECOND)] * 3, name="[red]a[/red]\x1b[31m"))
    assert "\x1b" not in text
    assert "[red]" in text


def test_the_csv_has_a_row_for_each_supporter_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(results([(FIRST, SECOND)] * 3 + [(FIRST, FIRST)], name="=1+1")))))
    assert [(row["supporter"], row["won"], row["tied"], row["reference"]) for row in rows] == [
        ("'=1+1", "3", "1", "reference"),
        ("reference", "0", "1", "reference"),
    ]
    assert float(rows[0]["win_rate"]) == 0.875
    assert rows[1]["win_rate"] == ""
