"""Dialogues are found as they are typed for, read beside each other, and copied as harmless text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.screens import dialogues
from escl.tui.widgets.dialogue_list import DialogueList
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import PROTOCOL, judging_by, rated, reading, settings
from tests.tui.driving import drive, finished_run, quick_writer, seen, speak, type_keys, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run of two supporters on four cards, each of whom says who they are."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "one.db"
    labels = {name: {f"card-{n}": [3.0 - at - n / 8] for n in range(4)} for at, name in enumerate(("warm", "curt"))}
    rated(path, labels)
    speak(path, lambda dialogue: f"I am {dialogue.supporter}. " + "Hm. " * (40 if dialogue.supporter == "warm" else 1))
    return path


def row_of(screen: str, words: str) -> str:
    return next(line for line in screen.splitlines() if words in line)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_two_supporters_on_a_card_stand_side_by_side_turn_by_turn(run: Path, size: tuple[int, int]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "v")
        await until(app, pilot, "I am curt.")
        await type_keys(pilot, "j", "j", "j")
        shown = await until(app, pilot, "seeker  1")
        # The turns of one are longer, and still each begins where the other's does.
        assert row_of(shown, "seeker  1").count("seeker  1") == 2
        assert "I am curt." in row_of(shown, "I am warm.")
        await type_keys(pilot, "n")
        await until(app, pilot, "2 of 8")
        await until(app, pilot, "I am curt.")
        await type_keys(pilot, "v")
        while "I am curt." in seen(app):
            await pilot.pause(0.01)
        assert "I am warm." in seen(app)

    drive(steps, run, size=size)


def test_while_words_are_typed_the_help_is_named_by_the_key_that_is_no_text(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "? help")
        await type_keys(pilot, "slash")
        await until(app, pilot, "F1 help")
        await type_keys(pilot, "f1")
        shown = await until(app, pilot, "On this screen")
        await type_keys(pilot, "escape", "escape")
        await until(app, pilot, "? help")
        assert "?  " not in shown

    drive(steps, run, size=(160, 48))


@pytest.mark.parametrize("two", [False, True])
def test_a_filter_that_finds_nothing_says_so_and_shows_no_dialogue(run: Path, two: bool) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        if two:
            await type_keys(pilot, "v")
            await until(app, pilot, "I am curt.")
        await type_keys(pilot, "f")
        shown = await until(app, pilot, "c clears the filters")
        assert not any(words in shown for words in ("Nothing was said", "No other supporter", "I am"))

    drive(steps, run, size=(160, 48))


def test_where_the_list_is_not_seen_the_filter_is_named_above_the_dialogue(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "b")
        shown = await until(app, pilot, "mean below 3")
        assert "I am warm." in shown
        assert not app.screen.query_one("#list-side").display

    drive(steps, run, size=(80, 24))


@pytest.mark.parametrize("before", [(), ("tab",)])
def test_where_there_is_room_for_one_pane_two_supporters_take_the_place_of_the_list(
    run: Path, before: tuple[str, ...]
) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, *before, "v")
        shown = await until(app, pilot, "I am curt.")
        assert "I am warm." in shown

    drive(steps, run, size=(80, 24))


def test_where_nobody_else_has_the_card_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = rated(tmp_path / "one.db", {"warm": {"a": [1.0], "b": [1.0]}, "curt": {"a": [1.0]}})

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 3")
        await type_keys(pilot, "v")
        await until(app, pilot, "curt   mean")
        await type_keys(pilot, "n")
        await until(app, pilot, "No other supporter has a dialogue on this card.")

    drive(steps, path, size=(160, 48))


def test_disagreeing_scorers_are_found_and_shown(run: Path) -> None:
    store = RunStore.begin(quick_writer(run), settings(), PROTOCOL, command="test", versions={})
    second = store.add_judging(judging_by("strict", settings()), is_shown=False)
    store.database.rows("UPDATE judging SET asked_utc = '2000' WHERE id = ?", second)
    store.add_reading(second, reading(2, Dimension.EMPATHY, 0.25))
    store.finish("finished")
    store.close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "e")
        await until(app, pilot, "1 of 1")
        shown = await until(app, pilot, "≠ 0.2 strict")
        assert "scorers disagree" in shown
        assert "card-1" in row_of(shown, "1 of 1")
        await type_keys(pilot, "e")
        await until(app, pilot, "scorer unsure")
        await type_keys(pilot, "e")
        await until(app, pilot, "1 of 8")

    drive(steps, run, size=(160, 48))


def test_a_search_shows_what_it_finds_slice_by_slice(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogues, "_SLICE", 1)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "o", "slash", *"card-1", "enter")
        shown = await until(app, pilot, "1 of 2")
        assert "lowest first" in shown
        assert "curt · card-1" in row_of(shown, "1 of 2")
        await type_keys(pilot, "G")
        shown = await until(app, pilot, "2 of 2")
        assert "warm · card-1" in row_of(shown, "2 of 2")

    drive(steps, run, size=(160, 48))


def test_a_copied_dialogue_is_harmless_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = finished_run(tmp_path / "one.db", text="Good\x1b]52;c;ZXZpbA==\x07 night\u202e.")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "y")
        assert app.clipboard.startswith("card-0 · warm\n\nsupporter: Good�]52;c;ZXZpbA==� night�.\n\nseeker: Good")
        assert "curt" not in app.clipboard
        await type_keys(pilot, "v")
        await until(app, pilot, "curt   mean")
        await type_keys(pilot, "y")
        assert "card-0 · curt\n\nsupporter: Good" in app.clipboard

    drive(steps, path)


def test_what_was_read_in_dimensions_of_ones_own_stands_below_the_seven_as_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = rated(tmp_path / "one.db", {"warm": {"a": [1.0]}})
    rubric = msgspec.structs.replace(PATIENCE.languages[Language.ENGLISH], name="[b]Own[/b]")
    ask(path, Answers(), [OwnDimension(key="own", languages={Language.ENGLISH: rubric})])
    ask(path, Answers(fails=True), [PLAIN_WORDS])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        shown = await until(app, pilot, "[b]Own[/b]")
        assert "3.8" in row_of(shown, "[b]Own[/b]")
        # The line is folded where the column ends.
        assert "× plain-words:" in shown

    drive(steps, path, size=(160, 48))


def test_of_ten_thousand_dialogues_the_last_is_reached_and_found_with_few_rows_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "one.db"
    store = RunStore.begin(quick_writer(path), settings(), PROTOCOL, command="test", versions={})
    store.plan_dialogues((f"card-{n}", "en", "warm", 0) for n in range(10_000))
    store.finish("finished")
    store.close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 10,000")
        await type_keys(pilot, "G")
        await until(app, pilot, "10,000 of 10,000")
        await until(app, pilot, "▸ card-9999")
        rows = app.screen.query_one(DialogueList)._pages.values()
        assert sum(len(page) for page in rows) <= 300
        # A search that is typed on is given up for the longer one.
        await type_keys(pilot, "slash", *"card-99", "9", "8", "enter")
        await until(app, pilot, "1 of 1 ")
        await until(app, pilot, "▸ card-9998")

    drive(steps, path, size=(160, 48))


@pytest.mark.parametrize("size", [(40, 10), (160, 48)])
def test_cards_that_differ_at_their_end_can_be_told_apart_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("demo/warm", "demo/curt")
    labels = {name: {f"en-marriage-{n}": [2.0] for n in (1, 2)} for name in names}
    path = rated(tmp_path / "one.db", labels)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "one.db")
        app.open_run(path, view="dialogues")
        await until(app, pilot, "1 of 4")
        await type_keys(pilot, "tab")
        for n in (1, 2):
            await until(app, pilot, f"en-marriage-{n}   ")

    drive(steps, size=size)
