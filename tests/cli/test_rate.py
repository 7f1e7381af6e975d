"""A rater answers with single keys, never learns whose a dialogue is, and goes on where they were."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from escl.cli.main import app
from escl.cli.rating_desk import judge_pairs, rate_labels
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import read_ratings
from escl.core.settings import ImportSettings
from escl.errors import RatingsError, UsageError
from escl.evaluation.rating import dialogues_to_rate, own_dimensions, pairs_to_judge, shown
from escl.evaluation.rating_desk import Desk, label_questions, preference_questions
from escl.evaluation.rating_sheet import label_sheet, preference_sheet
from escl.store.database import Database
from escl.store.run import RunStore
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import PROTOCOL

ROOT = Path(__file__).parents[2]
DIMENSIONS = (Dimension.EMPATHY, Dimension.OVERALL)
Rate = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run of two cards with two supporters each."""
    path = tmp_path / "run.db"
    names = ("warm-secret", "curt-secret")
    settings = ImportSettings(files=dict.fromkeys(names, "0" * 64), protocol_sha256=PROTOCOL.sha256())
    store = RunStore.begin(Database.writer(path), settings, PROTOCOL, command="test", versions={})
    for name in names:
        for card in ("c1", "c2"):
            turns = [
                Turn(speaker=Speaker.SEEKER, text=f"I am {card}. \x1b[2J"),
                Turn(speaker=Speaker.SUPPORTER, text=f"It is {name[:4]}."),
            ]
            store.import_dialogue(card_id=card, language=Language.ENGLISH, supporter=name, turns=turns)
    store.finish("finished")
    store.close()
    return path


def typed(keys: str) -> Callable[[], str]:
    waiting = iter(keys)
    return lambda: next(waiting, "")


@pytest.fixture
def rate(run: Path, tmp_path: Path) -> Rate:
    """Return a function that rates with some keys and returns what the rater saw."""

    def with_keys(keys: str) -> str:
        console = Console(file=io.StringIO(), width=80, color_system=None)
        with Database.reader(run) as database:
            stores = [RunStore.read(database)]
            dialogues = dialogues_to_rate(stores, rater="ann")
            sheet = label_sheet(tmp_path / "r.csv")
            desk = Desk(label_questions(sheet.before, dialogues, dimensions=DIMENSIONS, rater="ann"), sheet)
            rate_labels(console, typed(keys), desk, partial(shown, stores))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    return with_keys


def labels(folder: Path) -> list[int]:
    return [each.label for each in read_ratings(folder / "r.csv").ratings]


def test_each_key_is_a_label_on_the_disk_and_others_are_nothing(rate: Rate, tmp_path: Path) -> None:
    rate("3x97 4")
    assert labels(tmp_path) == [3, 4]


def test_nothing_on_the_screen_or_in_the_file_names_a_supporter(rate: Rate, tmp_path: Path) -> None:
    screen = rate("33333333")
    assert "secret" not in screen + (tmp_path / "r.csv").read_text(encoding="utf-8")
    assert "\x1b" not in screen


def test_undo_takes_back_over_dialogues_and_stops_at_the_first(rate: Rate, tmp_path: Path) -> None:
    screen = rate("u12uu3")
    assert "nothing to take back" in screen
    assert labels(tmp_path) == [3]


def test_undo_takes_back_a_skip_before_the_answer_before_it(rate: Rate, tmp_path: Path) -> None:
    rate("12s3uu3q")
    assert labels(tmp_path) == [1, 2, 3]


def test_undo_crosses_a_skipped_dialogue(rate: Rate, tmp_path: Path) -> None:
    rate("12s3uuu4q")
    assert labels(tmp_path) == [1, 4]


def test_a_skipped_dialogue_is_asked_for_next_time_and_answers_are_not(rate: Rate, tmp_path: Path) -> None:
    rate("1s22q")
    rate("0")
    file = read_ratings(tmp_path / "r.csv")
    assert labels(tmp_path) == [1, 2, 2, 0]
    assert (file.ratings[0].dialogue, file.ratings[3].dimension) == (file.ratings[3].dialogue, Dimension.OVERALL)


def test_read_again_shows_the_dialogue_again(rate: Rate) -> None:
    assert rate("rr").count("dialogue 1 of 4") == 3


def test_raters_have_their_own_order_that_stays(run: Path) -> None:
    with Database.reader(run) as database:
        stores = [RunStore.read(database)]
        orders = {rater: [each.code for each in dialogues_to_rate(stores, rater=rater)] for rater in "abcdefgh"}
        assert orders["a"] == [each.code for each in dialogues_to_rate(stores, rater="a")]
    assert len({tuple(order) for order in orders.values()}) > 1


def test_a_file_of_another_kind_or_with_other_columns_is_refused(run: Path, tmp_path: Path) -> None:
    preference_sheet(tmp_path / "p.csv")
    with pytest.raises(RatingsError, match="has other columns"):
        label_sheet(tmp_path / "p.csv")


def test_a_row_that_was_cut_off_at_its_end_does_not_swallow_the_next(rate: Rate, tmp_path: Path) -> None:
    rate("1q")
    path = tmp_path / "r.csv"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    rate("2q")
    assert labels(tmp_path) == [1, 2]


def test_pairs_are_of_two_supporters_on_one_card(run: Path, tmp_path: Path) -> None:
    with Database.reader(run) as database:
        stores = [RunStore.read(database)]
        pairs = pairs_to_judge(stores, rater="ann")
        console = Console(file=io.StringIO(), width=80)
        sheet = preference_sheet(tmp_path / "p.csv")
        desk = Desk(preference_questions(sheet.before, pairs, rater="ann"), sheet)
        judge_pairs(console, typed("1ut2"), desk, partial(shown, stores))
    assert (desk.n_answered, desk.is_done) == (2, True)
    found = read_ratings(tmp_path / "p.csv").preferences
    assert [(each.a, each.b, each.preference) for each in found] == [
        (pairs[0].first.code, pairs[0].second.code, "tie"),
        (pairs[1].first.code, pairs[1].second.code, "b"),
    ]
    assert {each.card for each in found} == {"c1", "c2"}
    assert preference_questions(preference_sheet(tmp_path / "p.csv").before, pairs, rater="ann") == []


def test_a_real_terminal_gives_its_keys_and_is_left_as_it_was(run: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    words = ["rate", str(run), "--rater", "ann", "--dimension", "overall", "--out", str(tmp_path / "r.csv")]
    escl = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    before = termios.tcgetattr(theirs)
    try:
        assert escl.stdout is not None
        # Keys from before the first question are dropped, as nobody saw what they would have answered.
        assert "give a label" in escl.stdout.readline()
        os.write(ours, b"31q")
        _, said = escl.communicate(timeout=30)
        after = termios.tcgetattr(theirs)
    finally:
        escl.kill()
        escl.wait()
        os.close(ours)
        os.close(theirs)
    assert escl.returncode == 0, said
    assert labels(tmp_path) == [3, 1]
    assert "2 judgements written" in said
    assert after == before


def test_without_a_terminal_it_says_so(run: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["rate", str(run), "--rater", "ann", "--out", str(tmp_path / "r.csv")])
    assert isinstance(refused.exception, UsageError)
    odd = CliRunner().invoke(app, ["rate", str(run), "--rater", "=cmd"])
    assert "--rater is" in str(odd.exception)


def test_own_dimensions_are_rated_by_their_words_and_validated_apart(run: Path, tmp_path: Path) -> None:
    ask(run, Answers(4), [PATIENCE, PLAIN_WORDS])
    sheet = tmp_path / "r.csv"
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with Database.reader(run) as database:
        stores = [RunStore.read(database)]
        own = own_dimensions(stores, ["plain-words"])
        dialogues, opened = dialogues_to_rate(stores, rater="ann"), label_sheet(sheet)
        asked = label_questions(opened.before, dialogues, dimensions=[Dimension.OVERALL], own=own, rater="ann")
        desk = Desk(asked, opened)
        rate_labels(console, typed("34" * 4), desk, partial(shown, stores))
        again = label_questions(label_sheet(sheet).before, dialogues, dimensions=[], own=own, rater="ann")
        with pytest.raises(UsageError, match="did you mean plain-words"):
            own_dimensions(stores, ["plain-word"])
    assert isinstance(console.file, io.StringIO)
    assert "0: Hard to follow: jargon or tangled sentences throughout." in console.file.getvalue()
    assert (desk.is_done, again) == (True, [])
    held = read_ratings(sheet, own={"plain-words"})
    assert ([one.label for one in held.own], [one.label for one in held.ratings]) == ([4] * 4, [3] * 4)
    with pytest.raises(RatingsError, match='dimension is "plain-words"'):
        read_ratings(sheet)
