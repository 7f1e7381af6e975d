"""People rate blind in the app, one key each, in the file that `escl rate` writes and `escl judge validate` reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from escl.cli.main import app as commands
from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import read_ratings
from escl.evaluation.rating import Pair, dialogues_to_rate, pairs_to_judge
from escl.evaluation.rating_desk import label_questions
from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.screens.rate import RateScreen
from escl.tui.screens.rating import RatingScreen
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import rated
from tests.tui.driving import drive, finished_run, seen, speak, type_keys, until
from tests.tui.hostile import assert_harmless

N_LABELS = 8 * len(Dimension)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run of two supporters on four cards, where nobody says who they are."""
    monkeypatch.chdir(tmp_path)
    return finished_run(tmp_path / "telltale.db", supporters=("warm-secret", "curt-secret"))


async def sit_down(app: EsclApp, pilot: Pilot[None], *more: str) -> None:
    """Open the view, say a name, and begin."""
    await until(app, pilot, "finished")
    await type_keys(pilot, "6")
    await until(app, pilot, "Your name")
    await type_keys(pilot, *"ann", "enter")
    await until(app, pilot, "Answers go to")
    await type_keys(pilot, *more, "enter")


def labels(run: Path) -> list[int]:
    return [each.label for each in read_ratings(run.with_name("ratings-ann.csv")).ratings]


def validated(run: Path, file: str) -> str:
    done = CliRunner().invoke(commands, ["judge", "validate", str(run.with_name(file)), "--runs", str(run)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_labels_are_given_with_single_keys_and_nothing_tells_whose_a_dialogue_is(
    run: Path, size: tuple[int, int]
) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        shown = await until(app, pilot, "▸Fluency")
        for n, key in enumerate("3024130", start=1):
            for word in ("secret", "telltale", "scorer", "card-"):
                assert word not in shown
            assert labels(run) == [int(each) for each in "3024130"[: n - 1]]
            await type_keys(pilot, key)
            shown = await until(app, pilot, f"{n} of {N_LABELS}")
        assert "Dialogue 2 of 8" in shown
        # Nothing else answers, and no view is shown.
        await type_keys(pilot, "5", "6", "9", "x", "left", "right")
        assert isinstance(app.screen, RatingScreen)
        assert len(labels(run)) == 7

    drive(steps, run, size=size)


def test_an_answer_is_taken_back_across_dialogues_and_no_further_than_the_first(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        await until(app, pilot, "▸Fluency")
        await type_keys(pilot, "u", *"1111111")
        await until(app, pilot, "Dialogue 2 of 8")
        await type_keys(pilot, "u")
        await until(app, pilot, "Dialogue 1 of 8")
        shown = await until(app, pilot, "▸Overall")
        assert f"6 of {N_LABELS}" in shown
        await type_keys(pilot, "4")
        await until(app, pilot, "Dialogue 2 of 8")
        assert labels(run) == [1, 1, 1, 1, 1, 1, 4]

    drive(steps, run)


def test_who_leaves_goes_on_later_where_they_were_without_being_asked_for_a_name_again(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        await until(app, pilot, "▸Fluency")
        await type_keys(pilot, *"22")
        await until(app, pilot, "▸Empathy")
        await type_keys(pilot, "escape")
        await until(app, pilot, f"2 of {N_LABELS}")
        assert "escl judge validate ratings-ann.csv --runs telltale.db" in seen(app)
        await type_keys(pilot, "1")
        await until(app, pilot, "The run is finished")
        await type_keys(pilot, "6")
        await until(app, pilot, "Answers go to")
        await type_keys(pilot, "enter")
        shown = await until(app, pilot, "▸Empathy")
        assert f"2 of {N_LABELS}" in shown

    drive(steps, run)


def test_a_skipped_dialogue_is_left_for_later(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        await until(app, pilot, "▸Fluency")
        await type_keys(pilot, "s")
        await until(app, pilot, "Dialogue 2 of 8")
        await type_keys(pilot, *"sssssss")
        await until(app, pilot, f"0 of {N_LABELS}")
        assert isinstance(app.screen, RateScreen)

    drive(steps, run)


def test_a_skip_is_taken_back_before_the_answer_before_it_and_the_dialogue_stays_blind(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        await until(app, pilot, "▸Fluency")
        await type_keys(pilot, *"2s")
        await until(app, pilot, "Dialogue 2 of 8")
        await type_keys(pilot, "u")
        await until(app, pilot, "Dialogue 1 of 8")
        shown = await until(app, pilot, f"1 of {N_LABELS}")
        assert "Fluency 2" in shown
        assert "▸Fluency" not in shown
        assert "secret" not in shown
        assert labels(run) == [2]
        await type_keys(pilot, "u")
        await until(app, pilot, "▸Fluency")
        assert labels(run) == []

    drive(steps, run)


def test_the_file_of_labels_is_what_judge_validate_reads(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot)
        await until(app, pilot, "▸Fluency")
        for n in range(2):
            await until(app, pilot, f"Dialogue {n + 1} of 8")
            await type_keys(pilot, *"3210123")
        await until(app, pilot, "Dialogue 3 of 8")

    drive(steps, run)
    assert labels(run) == [3, 2, 1, 0, 1, 2, 3] * 2
    assert "1 rater" in validated(run, "ratings-ann.csv")


def test_preferences_are_given_with_one_key_and_read_by_judge_validate(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot, "j")
        shown = await until(app, pilot, "Which supporter is better")
        for n, key in enumerate(("left", "2", "0"), start=1):
            assert "secret" not in shown
            assert "telltale" not in shown
            assert "card-" not in shown
            await type_keys(pilot, key)
            shown = await until(app, pilot, f"{n} of 4")
            shown = await until(app, pilot, f"Pair {n + 1} of 4")
        await type_keys(pilot, "right", "u")
        await until(app, pilot, "✓ 4 of 4")
        # Nothing is left to ask.
        await type_keys(pilot, "enter")
        assert isinstance(app.screen, RateScreen)

    drive(steps, run)
    with Database.reader(run) as database:
        pairs = pairs_to_judge([RunStore.read(database)], rater="ann")
    found = read_ratings(run.with_name("pairs-ann.csv")).preferences
    assert [(each.card, each.a, each.b, each.preference) for each in found] == [
        (pair.first.card, pair.first.code, pair.second.code, answer)
        for pair, answer in zip(pairs, ("a", "b", "tie", "b"), strict=True)
    ]
    assert "4/4 pairs" in validated(run, "pairs-ann.csv")


def test_which_side_comes_first_is_drawn(run: Path) -> None:
    def side(pair: Pair) -> bool:
        return pair.first.dialogue_id < pair.second.dialogue_id

    with Database.reader(run) as database:
        stores = [RunStore.read(database)]
        sides = [side(pair) for rater in "abcd" for pair in pairs_to_judge(stores, rater=rater)]
    assert set(sides) == {True, False}


def test_a_name_that_is_none_is_not_taken(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "6")
        await until(app, pilot, "Your name")
        await type_keys(pilot, *"../x", "enter")
        await until(app, pilot, "A name is 1 to 64 letters")
        assert not list(run.parent.glob("*.csv"))

    drive(steps, run)


def test_a_file_of_something_else_is_told_and_another_name_taken(run: Path) -> None:
    run.with_name("ratings-ann.csv").write_text("what,is\nthis,then\n", encoding="utf-8")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "6")
        await until(app, pilot, "Your name")
        await type_keys(pilot, *"ann", "enter")
        await until(app, pilot, "This did not work")
        await type_keys(pilot, "escape")
        await until(app, pilot, "Your name")
        await type_keys(pilot, *"bo", "enter")
        await until(app, pilot, "ratings-bo.csv")

    drive(steps, run)


def test_without_two_supporters_there_are_labels_and_no_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = finished_run(tmp_path / "one.db", supporters=("alone",))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot, "j")
        shown = await until(app, pilot, "No card has complete dialogues of two supporters yet.")
        assert f"0 of {4 * len(Dimension)}" in shown
        assert isinstance(app.screen, RateScreen)

    drive(steps, path)


def test_hostile_words_are_harmless_side_by_side_and_while_they_are_rated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = "\x1b]52;c;ZXZpbA==\x07[bold red]x[/]\u202e\x9b31m[@click=app.quit]quit[/]"
    names = (said, f"{said} again")
    path = rated(tmp_path / "run.db", {name: {said: [2.5]} for name in names})
    speak(path, lambda dialogue: dialogue.supporter)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3", "v")
        await until(app, pilot, "mean 2.5")
        assert_harmless(app)
        await type_keys(pilot, "6")
        await until(app, pilot, "Your name")
        await type_keys(pilot, *"ann", "enter")
        await until(app, pilot, "Answers go to")
        for key, words in (("enter", "▸Fluency"), ("escape", "Answers go to"), ("j", "pairs-ann")):
            await type_keys(pilot, key)
            await until(app, pilot, words)
            assert_harmless(app)
        await type_keys(pilot, "enter")
        await until(app, pilot, "Which supporter")
        assert_harmless(app)

    drive(steps, path, size=(120, 40))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_dimensions_of_ones_own_are_rated_apart_from_the_seven_into_the_file_of_labels(
    run: Path, size: tuple[int, int]
) -> None:
    chinese = {Language.CHINESE: PATIENCE.languages[Language.CHINESE]}
    ask(run, Answers(), [PLAIN_WORDS, msgspec.structs.replace(PATIENCE, languages=chinese)])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await sit_down(app, pilot, "j")
        shown = await until(app, pilot, "▸Plain words")
        assert "Dialogue 1 of 8" in shown
        assert "Fluency" not in shown
        await type_keys(pilot, "3")
        await until(app, pilot, "Dialogue 2 of 8")
        await type_keys(pilot, "1")
        await until(app, pilot, "Dialogue 3 of 8")
        await type_keys(pilot, "u")
        await until(app, pilot, "Dialogue 2 of 8")
        await type_keys(pilot, "4")
        await until(app, pilot, "Dialogue 3 of 8")
        await type_keys(pilot, "escape")
        shown = await until(app, pilot, f"0 of {N_LABELS}")
        assert "2 of 8" in shown

    drive(steps, run, size=size)
    found = read_ratings(run.with_name("ratings-ann.csv"), own=[PLAIN_WORDS.key])
    assert [(each.own, each.label) for each in found.own] == [(PLAIN_WORDS.key, 3), (PLAIN_WORDS.key, 4)]
    assert not found.ratings
    with Database.reader(run) as database:
        dialogues = dialogues_to_rate([RunStore.read(database)], rater="ann")
    assert len(label_questions(found, dialogues, dimensions=(), own=[PLAIN_WORDS], rater="ann")) == 6


def test_a_run_that_was_read_in_no_other_dimension_offers_none(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "6")
        await until(app, pilot, "Your name")
        await type_keys(pilot, *"ann", "enter")
        shown = await until(app, pilot, "Answers go to")
        assert "Labels" in shown
        assert "Your own" not in shown

    drive(steps, run)
