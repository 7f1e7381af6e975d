"""The leaderboard's three ways of showing the same numbers, which are those that `escl report --json` prints."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from escl.cli.main import app as escl
from escl.core.dimension import Dimension
from escl.evaluation.leaderboard import leaderboard_of
from escl.shelf.manifest import load_manifest, manifests
from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.screens.dialogues import DialoguesScreen
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PLAIN_WORDS
from tests.runs import rated
from tests.tui.contests import SUPPORTERS, contested_run
from tests.tui.driving import drive, type_keys, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return contested_run(tmp_path / "run.db", english=6, chinese=3)


def test_the_leaderboard_has_the_numbers_of_the_report(run: Path) -> None:
    printed = json.loads(CliRunner().invoke(escl, ["report", str(run), "--json"]).stdout)
    with Database.reader(run) as database:
        board = leaderboard_of(RunStore.read(database))
    (found,) = [one for one in _dicts(printed) if "cells" in one]
    assert found["cells"] == json.loads(msgspec.json.encode(board.cells))


def _dicts(value: object) -> list[dict[str, object]]:
    if isinstance(value, list):
        return [one for item in value for one in _dicts(item)]
    return [value, *_dicts(list(value.values()))] if isinstance(value, dict) else []


@pytest.mark.parametrize(("language", "said"), [("en", "nothing outside the demo"), ("zh", "在演示之外没有任何意义")])
def test_what_a_toy_must_have_said_of_it_stands_beside_its_scores(run: Path, language: str, said: str) -> None:
    toy = load_manifest(manifests()["demo/warm"]).notice
    assert toy is not None
    with sqlite3.connect(run) as connection:
        connection.execute(
            "INSERT INTO model (role, name, sha256, size_bytes, notice) VALUES ('seeker', 'toy', ?, 1, ?)",
            ("0" * 64, toy),
        )

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "run.db")
        await until(app, pilot, "✓")
        await type_keys(pilot, "2")
        await until(app, pilot, said)

    drive(steps, run, language=language, size=(160, 48))


def test_scores_open_on_a_language_that_has_some(run: Path) -> None:
    with sqlite3.connect(run) as connection:
        connection.execute(
            "DELETE FROM reading WHERE dialogue_id IN"
            " (SELECT d.id FROM dialogue d JOIN card c ON c.id = d.card_id WHERE c.language = 'en')"
        )

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "run.db")
        await type_keys(pilot, "2")
        await until(app, pilot, "Chinese · all categories")

    drive(steps, run)


def test_sorting_again_turns_the_order_round_and_who_has_no_score_stays_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels: dict[str, dict[str, list[float | None]]] = {
        "none": {"c1": [None], "c2": [None]},
        "low": {"c1": [1.0], "c2": [1.5]},
        "high": {"c1": [3.0], "c2": [3.5]},
    }
    path = rated(tmp_path / "run.db", labels)

    def order(shown: str) -> list[str]:
        return sorted(labels, key=shown.index)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "s")
        assert order(await until(app, pilot, "▼")) == ["high", "low", "none"]
        await type_keys(pilot, "s")
        assert order(await until(app, pilot, "▲")) == ["low", "high", "none"]
        await type_keys(pilot, "x")
        await until(app, pilot, "no crisis cards")

    drive(steps, path, notifications=True)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_a_key_changes_from_table_to_forest_to_radar_and_back(run: Path, size: tuple[int, int]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "v")
        shown = await until(app, pilot, "●")
        assert shown.count("├") >= 3
        assert "labels 0:" in shown
        await type_keys(pilot, "v")
        shown = await until(app, pilot, "rim 100")
        assert all(f"{sign} {name}" in shown for sign, name in zip("●▲■", SUPPORTERS, strict=True))
        await type_keys(pilot, "v")
        await until(app, pilot, "scores 0-100")

    drive(steps, run, size=size)


def test_enter_on_a_line_of_the_forest_lists_its_dialogues(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "v")
        await until(app, pilot, "●")
        await type_keys(pilot, "j", "j", "j", "j", "enter")
        await until(app, pilot, "1 of 6")
        assert isinstance(app.screen, DialoguesScreen)
        wanted = app.screen.wanted
        assert (wanted.supporter, wanted.dimension, wanted.order) == ("calm-7b", Dimension("diversity"), "lowest")

    drive(steps, run)


def test_the_radar_says_the_numbers_of_who_is_chosen(run: Path) -> None:
    with Database.reader(run) as database:
        cells = leaderboard_of(RunStore.read(database)).cells
    means = [one.score.mean for one in cells if one.supporter == "calm-7b" and one.language == "en"]

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "v", "v")
        await until(app, pilot, "rim 100")
        await type_keys(pilot, "j")
        shown = await until(app, pilot, f"{means[0]:5.1f}")
        assert all(f"{mean:5.1f}" in shown for mean in means)

    drive(steps, run)


def test_where_many_supporters_are_the_chosen_one_is_drawn_all_the_same(tmp_path: Path) -> None:
    names = [f"model-{at}" for at in range(7)]
    path = contested_run(tmp_path / "many.db", supporters=names, english=3, chinese=0)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "v", "v")
        await until(app, pilot, "rim 100")
        await type_keys(pilot, "j", "j", "j", "j", "j")
        shown = await until(app, pilot, "◆ model-5")
        assert "◆ model-3" not in shown

    drive(steps, path)


@pytest.mark.parametrize("size", [(80, 48), (160, 48)])
def test_the_forest_has_dimensions_of_ones_own_below_the_seven(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = rated(tmp_path / "run.db", {"warm": {"a": [3.0], "b": [3.5]}, "curt": {"a": [1.0], "b": [0.5]}})
    ask(path, Answers(), [PLAIN_WORDS])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "v")
        shown = await until(app, pilot, "Plain words")
        below = shown[shown.index("Plain words") :].splitlines()
        assert "Overall" not in "".join(below)
        assert all(name in row and "93.8" in row for name, row in zip(("warm", "curt"), below, strict=False))
        await type_keys(pilot, *["j"] * 14)
        await until(app, pilot, "warm · Plain words · s   2 of 2 dialogues")

    drive(steps, path, size=size)
