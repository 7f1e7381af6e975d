"""From nothing to a finished run, with keys and with the mouse; what it will take is said before it begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from escl.core.card_file import upstream_json
from escl.memory.devices import Budget, Hardware
from escl.store.database import Database
from escl.store.watch import Watcher
from escl.tui.app import EsclApp
from escl.tui.screens.live import LiveScreen
from escl.tui.screens.new_run import NewRunScreen
from tests import rubrics
from tests.planning import GIB, HARDWARE
from tests.runs import card
from tests.tui.driving import drive, finished_run, seen, type_keys, until
from tests.tui.hostile import PAYLOADS, assert_harmless

GGUF = Path(__file__).parents[2] / "gguf" / "demo"
BAD = [one for one in PAYLOADS if one.isprintable() and len(one) < 300]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    budget = Budget(host_bytes=14 * GIB, device_bytes=None, device=None, shares_ram=False)
    monkeypatch.chdir(tmp_path)
    # The form's machine is made up, which is found sooner; a run that it starts has the real one.
    monkeypatch.setattr("escl.memory.devices.probe_hardware", lambda: HARDWARE)
    monkeypatch.setattr("escl.memory.devices.budget_of", lambda hardware, **wishes: budget)
    return tmp_path


async def to_new_run(app: EsclApp, pilot: Pilot[None]) -> None:
    """Open the form, once it is known what is here."""
    await until(app, pilot, "n new run")
    await type_keys(pilot, "n")
    await until(app, pilot, "16 of 84")


async def tick(app: EsclApp, pilot: Pilot[None], reference: str) -> None:
    """Choose a supporter from the first row."""
    await type_keys(pilot, "enter")
    await until(app, pilot, "[ ] demo/judge")
    await type_keys(pilot, "a", *reference, "enter")
    await until(app, pilot, f"[x] {reference}")
    await type_keys(pilot, "escape", "escape")
    await until(app, pilot, "about ")


@pytest.mark.model
@pytest.mark.kill
def test_a_run_is_laid_out_started_and_watched_to_its_end_with_keys_alone(folder: Path) -> None:
    (folder / "one.json").write_bytes(upstream_json([card("c1")]))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await tick(app, pilot, "demo/warm")
        await type_keys(pilot, "j", "enter")
        await until(app, pilot, "16 cards are played")
        await type_keys(pilot, "a", *"one.json", "enter")
        await until(app, pilot, "She cannot sleep before")
        await type_keys(pilot, "escape")
        await type_keys(pilot, *"jjjjjjj", "l")
        shown = await until(app, pilot, "1 dialogue, 1 round, 2 turns")
        command = "escl run demo/warm --cards one.json --rounds 1 --quick --out warm-quick.db"
        assert command in " ".join(shown.split())
        await type_keys(pilot, "s")
        assert isinstance(app.screen, LiveScreen)
        await until(app, pilot, "The run is finished")
        await type_keys(pilot, "escape")
        await until(app, pilot, "warm-quick.db")

    drive(steps)
    with Database.reader(folder / "warm-quick.db") as database:
        progress = Watcher(database).progress()
    assert progress.outcome == "finished"
    assert progress.command == "escl run demo/warm --cards one.json --rounds 1 --quick --out warm-quick.db"
    assert (progress.n_cards, progress.n_turns, progress.n_readings) == (1, 2, 7)


def test_dimensions_of_ones_own_are_offered_where_there_are_any(folder: Path) -> None:
    (folder / "cards.json").write_bytes(upstream_json([card("c1")]))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        assert app.words("new.seven") not in seen(app)
        rubrics.write(folder / "my-rubrics.json", rubrics.PATIENCE)
        await type_keys(pilot, "f5")
        await until(app, pilot, app.words("new.seven"))
        await tick(app, pilot, "demo/warm")
        before = app.screen.query_one("#command").render()
        app.screen.query_one("#row-rubrics").focus()
        await type_keys(pilot, "l")
        await until(app, pilot, "--rubrics my-rubrics.json")
        assert str(before) != str(app.screen.query_one("#command").render())

    drive(steps, size=(160, 48))


def test_a_command_that_names_nobody_is_not_copied(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "y")
        assert app.clipboard == ""
        await tick(app, pilot, "demo/warm")
        await type_keys(pilot, "y")
        assert app.clipboard.startswith("escl run demo/warm ")

    drive(steps)


def test_a_run_that_tests_nobody_is_not_begun_and_the_cursor_goes_to_what_is_missing(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "j", "j", "s")
        await until(app, pilot, app.words("new.choose_first"))
        assert app.screen.focused is app.screen.query_one("#row-supporters")

    drive(steps)


def test_the_mouse_chooses_too(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await pilot.click("#row-supporters")
        await until(app, pilot, "[ ] demo/warm")
        await pilot.click("#offers", offset=(2, 0))
        await until(app, pilot, "[x] demo/curt")
        await type_keys(pilot, "escape")
        await pilot.click("#row-language")
        await until(app, pilot, "escl run demo/curt --lang en --quick")
        await pilot.click("#row-language", offset=(15, 0))
        await until(app, pilot, "escl run demo/curt --quick")
        assert isinstance(app.screen, NewRunScreen)
        assert app.screen.draft.supporters == ("demo/curt",)

    drive(steps)


def test_filters_say_how_many_cards_they_leave_and_the_plan_follows(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await tick(app, pilot, "demo/warm")
        await type_keys(pilot, *"jjj", "l")
        await until(app, pilot, "16 of 42 cards")
        await type_keys(pilot, "j", "l")
        shown = await until(app, pilot, "--category family")
        await until(app, pilot, "16 of 14 cards" if "16 of 14" in shown else "14 of 14 cards")
        await type_keys(pilot, *"jj", "l")
        await until(app, pilot, "--unseen")

    drive(steps, size=(160, 48))


def test_what_fits_nowhere_is_said_in_place_and_cannot_be_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(hardware: Hardware, *, memory: int | None, device: str | None) -> Budget:
        return Budget(host_bytes=1 << 20, device_bytes=None, device=None, shares_ram=False, reason="a test")

    monkeypatch.setattr("escl.memory.devices.budget_of", tiny)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "enter")
        await until(app, pilot, "[ ] demo/curt")
        await type_keys(pilot, "space", "escape")
        shown = await until(app, pilot, "nothing fits")
        assert "of main memory would do" in " ".join(shown.split())
        await type_keys(pilot, "s")
        await until(app, pilot, "This did not work")
        await type_keys(pilot, "escape")
        assert isinstance(app.screen, NewRunScreen)

    drive(steps)
    assert list(folder.iterdir()) == []


def test_where_the_usual_seeker_and_scorer_are_absent_their_rows_are_named_and_lead_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(GGUF / "warm.gguf", folder / "mine.gguf")
    monkeypatch.setenv("ESCL_HOME", str(folder / "shelf"))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "enter")
        await until(app, pilot, "[ ] mine.gguf")
        await type_keys(pilot, "space", "escape")
        shown = " ".join((await until(app, pilot, "→ take a model")).split())
        assert "in: Seeker / Scorer" in shown
        assert "--seeker" not in shown
        for row in ("seeker", "scoring"):
            app.screen.query_one(f"#row-{row}").focus()
            await type_keys(pilot, "right")
        await until(app, pilot, "about ")

    drive(steps, size=(120, 40))


def test_what_cannot_be_tested_is_said_beside_the_line_it_was_written_on(folder: Path) -> None:
    shutil.copy(GGUF / "warm.gguf", folder / "-mine.gguf")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "enter")
        await until(app, pilot, "[ ] ./-mine.gguf")
        for written, said in (
            ("nowhere.gguf", "is not there"),
            ("http://127.0.0.1:1/v1", "names no model"),
            ("python:no_such_module:X", "no_such_module"),
            ("[@click=app.quit]x", "×"),
        ):
            app.screen.query_one(Input).value = ""
            await type_keys(pilot, "a")
            app.screen.query_one(Input).value = written
            await type_keys(pilot, "enter")
            await until(app, pilot, said)
            assert_harmless(app)
        app.screen.query_one(Input).value = "http://127.0.0.1:1/v1#m"
        await type_keys(pilot, "enter")
        await until(app, pilot, "[x] http://127.0.0.1:1/v1#m")

    drive(steps, size=(100, 30))


def test_a_name_that_is_taken_is_not_overwritten(folder: Path) -> None:
    path = finished_run(folder / "one.db")
    before = path.read_bytes()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await tick(app, pilot, "demo/warm")
        app.screen.query_one("#out", Input).value = "one.db"
        await until(app, pilot, "not yet")
        await type_keys(pilot, "s")
        await until(app, pilot, "one.db is there already")

    drive(steps)
    assert path.read_bytes() == before


def test_another_language_keeps_what_was_chosen(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await tick(app, pilot, "demo/warm")
        await type_keys(pilot, "ctrl+l")
        shown = await until(app, pilot, "个对话")
        assert "escl run demo/warm --quick" in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "本机已就绪")

    drive(steps)


def test_cards_with_hostile_words_are_previewed_harmlessly(folder: Path) -> None:
    lines = "Age: 30\nGender: woman\nOccupation: nurse\nProblem: "
    cards = [card(f"c{at}", text=lines + one) for at, one in enumerate(BAD)]
    (folder / "bad.json").write_bytes(upstream_json(cards))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await to_new_run(app, pilot)
        await type_keys(pilot, "j", "enter")
        await until(app, pilot, "16 cards are played")
        await type_keys(pilot, "a", *"bad.json", "enter")
        await until(app, pilot, "from bad.json")
        for _ in cards:
            assert_harmless(app)
            await type_keys(pilot, "j")
        await type_keys(pilot, "a", *"nothing.json", "enter")
        await until(app, pilot, "nothing.json: is not there")
        assert "from bad.json" in seen(app)

    drive(steps, size=(100, 30))
