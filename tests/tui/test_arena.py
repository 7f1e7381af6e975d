"""What a judge said of a run: the numbers are those of `escl arena --json`, and each pair can be read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from escl.cli.main import app as escl
from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.core.message import as_text
from escl.evaluation.pair_readings import pair_readings
from escl.store.arena import ComparisonRow
from escl.store.database import Database
from escl.tui.app import EsclApp
from escl.tui.judged import judged, read_pair
from escl.tui.screens.arena import ArenaScreen
from escl.tui.screens.pair import PairScreen
from escl.tui.widgets.judged_tables import deciding_first
from tests.tui.contests import contested_run, judged_arena
from tests.tui.driving import drive, finished_run, seen, type_keys, until
from tests.tui.every_screen import rest
from tests.tui.hostile import PAYLOADS, assert_harmless


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = contested_run(tmp_path / "run.db", english=6, chinese=3)
    judged_arena(tmp_path / "arena.db", path)
    return path


def test_the_numbers_are_those_of_the_command(run: Path) -> None:
    printed = CliRunner().invoke(escl, ["arena", str(run), "--out", str(run.with_name("arena.db")), "--json"]).stdout
    with Database.reader(run) as database:
        found = judged(run, database, None)
    assert json.loads(printed)["results"] == json.loads(msgspec.json.encode(found.results, enc_hook=as_text))


def test_an_arena_of_other_runs_is_passed_over_and_another_judge_can_be_chosen(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other = contested_run(folder / "other.db", supporters=("x", "y", "z"), english=2, chinese=0)
    judged_arena(tmp_path / "a-stranger.db", other)
    second = judged_arena(tmp_path / "second.db", run, judge="another judge", seed=5)
    with Database.reader(run) as database:
        assert judged(run, database, None).path == tmp_path / "arena.db"
        assert judged(run, database, second).path == second
        assert judged(run, database, tmp_path / "a-stranger.db").path == tmp_path / "arena.db"


def test_a_pair_is_read_in_both_orders_as_the_judge_did(run: Path, tmp_path: Path) -> None:
    with Database.reader(run) as database:
        found = judged(run, database, None)
        assert found.results is not None
        assert found.path is not None
        for pair in found.results.pairs:
            read = read_pair(found.path, database, pair)
            assert read.one is not None
            assert read.other is not None
            assert (read.one.dialogue.supporter, read.other.dialogue.supporter) == (pair.one, pair.other)
            straight, turned = read.said
            assert isinstance(straight, ComparisonRow)
            assert isinstance(turned, ComparisonRow)
            assert straight != turned
    nothing: list[Turn] = []
    assert pair_readings(found.path, Language.ENGLISH, Dimension.OVERALL, nothing, nothing) == (None, None)


def test_the_clearest_pairs_on_which_both_orders_agreed_come_first(run: Path) -> None:
    with Database.reader(run) as database:
        results = judged(run, database, None).results
    assert results is not None
    verdicts = [one.verdict for one in deciding_first(results.pairs)]
    agreed = [abs(one.preference - 0.5) for one in verdicts if one is not None and one.agreement == "agreed"]
    assert agreed == sorted(agreed, reverse=True)
    assert all(one is not None and one.agreement == "agreed" for one in verdicts[: len(agreed)])


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_from_the_ratings_to_a_pair_to_its_dialogues_and_back(run: Path, size: tuple[int, int]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        shown = await until(app, pilot, "first place preferred")
        assert "English · Overall · 18 pairs   judge judge" in shown
        assert "├" in shown
        await type_keys(pilot, "L")
        await until(app, pilot, "Chinese · Overall · 9 pairs")
        await type_keys(pilot, "enter", "enter")
        shown = await until(app, pilot, "warm-7b first: prefers")
        assert isinstance(app.screen, PairScreen)
        assert "curt-3b first: prefers warm-7b" in shown
        assert "Sleep earlier." in shown
        assert "That sounds heavy." in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "first place preferred")
        assert isinstance(app.screen, ArenaScreen)

    drive(steps, run, size=size)


@pytest.mark.parametrize(
    ("supporters", "said"),
    [(("warm", "curt"), "escl arena one.db --judge MODEL.gguf"), (("warm",), "escl arena one.db OTHER.db --judge")],
)
def test_where_nothing_was_judged_the_command_is_said(tmp_path: Path, supporters: tuple[str, ...], said: str) -> None:
    path = finished_run(tmp_path / "one.db", supporters=supporters)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        await until(app, pilot, said)
        await type_keys(pilot, "enter", "tab", "L", "J", "j")
        assert said in seen(app)

    drive(steps, path)


def test_hostile_names_of_supporters_judges_and_files_are_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [one for one in PAYLOADS if one.strip("\x00") and len(one) < 300][:24:3]
    path = contested_run(tmp_path / "run.db", supporters=names, english=2, chinese=0)
    judged_arena(tmp_path / "arena.db", path, judge=names[0])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        for keys in (("2", "v"), ("v",), ("4",), ("enter",), ("tab", "a"), ("escape", "5"), ("tab", "enter")):
            await type_keys(pilot, *keys)
            await rest(app, pilot)
            assert_harmless(app)
        assert isinstance(app.screen, PairScreen)

    drive(steps, path, size=(120, 40))
