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
from escl.store.arena import ARENA, ArenaStore, ComparisonRow
from escl.store.database import Database
from escl.tui.app import EsclApp
from escl.tui.judged import judged, read_pair
from escl.tui.judging import Judging, judges_for, judging_of
from escl.tui.screens.arena import ArenaScreen
from escl.tui.screens.pair import PairScreen
from escl.tui.widgets.judged_tables import deciding_first
from tests.tui.contests import contested_run, judged_arena
from tests.tui.driving import drive, finished_run, seen, type_keys, until, until_gone
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


def test_a_judge_is_chosen_rehearsed_started_stopped_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = contested_run(tmp_path / "run.db", english=100, chinese=0)
    arena = tmp_path / "run-arena-demo-judge.db"

    async def rehearse(app: EsclApp, pilot: Pilot[None]) -> str:
        await type_keys(pilot, "n")
        assert "demo/judge" in await until(app, pilot, "Who is the judge?")
        await type_keys(pilot, "enter")
        return await until(app, pilot, "pairs in both orders")

    async def begin_and_stop(app: EsclApp, pilot: Pilot[None], *, after: int) -> int:
        await type_keys(pilot, "enter")
        await until(app, pilot, "s stop the judge")
        await until(app, pilot, " of 300 pairs so far   s stop the judge", within_s=120)
        while (n := _n_readings(arena)) <= after and "s stop the judge" in seen(app):
            await pilot.pause(0.05)
        assert n > after
        await type_keys(pilot, "n", "s")
        await until_gone(app, pilot, "s stop the judge")
        return _n_readings(arena)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        await until(app, pilot, "Press n")
        assert "300 pairs in both orders: 600 readings" in await rehearse(app, pilot)
        await type_keys(pilot, "escape")
        await until(app, pilot, "Press n")
        assert not arena.exists()
        await rehearse(app, pilot)
        n = await begin_and_stop(app, pilot, after=0)
        assert n < 600
        assert f"600 readings, {n} of them are known" in await rehearse(app, pilot)
        assert await begin_and_stop(app, pilot, after=n) > n

    drive(steps, path, size=(120, 40))


def _n_readings(arena: Path) -> int:
    with Database.reader(arena, ARENA) as database:
        return len(ArenaStore.read(database).comparisons())


def test_who_is_compared_cannot_be_the_judge_and_files_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.gguf", "other one.gguf"):
        (tmp_path / name).touch()
    judges = judges_for(tmp_path / "run.db", {"demo/warm", "mine"})
    assert judges[0] == "demo/judge"
    assert "demo/curt" in judges
    assert judges[-1] == str(tmp_path / "other one.gguf")
    assert not {"demo/warm", str(tmp_path / "mine.gguf"), "demo/seeker"} & {*judges}


def test_the_arena_of_the_same_judge_goes_on_and_another_judge_gets_its_own(run: Path, tmp_path: Path) -> None:
    with Database.reader(run) as database:
        shown = judged(run, database, None)
    assert judging_of(run, "judge", shown).arena == tmp_path / "arena.db"
    assert judging_of(run, "models/judge.gguf", shown).arena == tmp_path / "arena.db"
    assert judging_of(run, "a/../b c.gguf", shown).arena == tmp_path / "run-arena-b-c.db"
    assert judging_of(run, "qwen/..", shown).arena == tmp_path / "run-arena-qwen-...db"


def test_a_judge_that_cannot_be_read_is_said_to_be_so_and_the_run_stays_open(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escl.tui.judging.judges_for", lambda run, supporters: [str(tmp_path / "broken.gguf")])
    (tmp_path / "broken.gguf").write_bytes(b"GGUF, but no more")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        await until(app, pilot, "first place preferred")
        await type_keys(pilot, "n")
        await until(app, pilot, "Who is the judge?")
        await type_keys(pilot, "enter")
        assert "error:" in await until(app, pilot, "broken compares")
        await type_keys(pilot, "escape")
        await until(app, pilot, "first place preferred")
        assert isinstance(app.screen, ArenaScreen)

    drive(steps, run, size=(120, 40))


def test_a_judge_that_dies_on_the_way_says_so(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rehearsed(self: Judging) -> tuple[str, bool]:
        return "two pairs", True

    monkeypatch.setattr(Judging, "rehearsed", rehearsed)
    monkeypatch.setattr("escl.tui.judging.judges_for", lambda run, supporters: [str(tmp_path / "gone.gguf")])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        await until(app, pilot, "first place preferred")
        await type_keys(pilot, "n")
        await until(app, pilot, "gone.gguf")
        await type_keys(pilot, "enter")
        await until(app, pilot, "two pairs")
        await type_keys(pilot, "enter")
        assert "error:" in await until(app, pilot, "The judge did not come to its end")
        await type_keys(pilot, "escape")
        await until(app, pilot, "first place preferred")
        assert "a judge is at work" not in seen(app)

    drive(steps, run, size=(120, 40))


def test_one_supporter_alone_is_not_compared(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "one.db", supporters=("warm",))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "5")
        await until(app, pilot, "This run has one supporter.")
        await type_keys(pilot, "n", "s")
        assert isinstance(app.screen, ArenaScreen)

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
