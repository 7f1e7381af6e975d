"""Two supporters compared: the numbers are those of `escl compare --json`, and lead to the dialogues that decided."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from escl.cli.main import app as escl
from escl.core.dimension import Dimension, Language
from escl.core.message import as_text
from escl.evaluation.deciding import deciding_cards
from escl.evaluation.sides import AVERAGE, sides_of
from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.comparing import compared
from escl.tui.screens.compare import CompareScreen
from escl.tui.screens.dialogues import DialoguesScreen
from escl.tui.screens.run_screen import Compared
from escl.tui.strings import Strings
from escl.tui.widgets.verdicts import detail, notes
from tests.runs import rated
from tests.tui.contests import contested_run
from tests.tui.driving import drive, finished_run, seen, type_keys, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return contested_run(tmp_path / "run.db")


def printed(*words: str | Path) -> list[object]:
    found: dict[str, list[object]] = json.loads(
        CliRunner().invoke(escl, ["compare", *map(str, words), "--json"]).stdout
    )
    return found["pairings"]


def test_the_numbers_are_those_of_the_command(run: Path, tmp_path: Path) -> None:
    other = contested_run(tmp_path / "other.db", supporters=("hot-9b",), seed=7)
    with Database.reader(run) as database:
        inside = compared(run, database, Compared()).found
        third = compared(run, database, Compared(side=("curt-3b", False))).found
        between = compared(
            run, database, Compared(other=other, side=("warm-7b", False), against=("hot-9b", True))
        ).found
    assert [json.loads(msgspec.json.encode(one, enc_hook=as_text)) for one in (inside, third)] == printed(run)
    assert [json.loads(msgspec.json.encode(between, enc_hook=as_text))] == printed(f"{other}:hot-9b", f"{run}:warm-7b")


def test_the_deciding_cards_are_all_cards_of_the_comparison_the_largest_difference_first(run: Path) -> None:
    with Database.reader(run) as database:
        warm, _, curt = sides_of(run, RunStore.read(database))
        found = compared(run, database, Compared(side=("warm-7b", False), against=("curt-3b", False))).found
    assert found is not None
    pooled = next(group for group in found.groups if group.language is None)
    for row in pooled.rows:
        cards = deciding_cards(warm, curt, row.dimension, None, crisis=False)
        sizes = [abs(one.difference) for one in cards]
        assert sizes == sorted(sizes, reverse=True)
        assert len(cards) == row.comparison.n_cards == 20
        assert sum(one.difference for one in cards) / 20 == pytest.approx(row.comparison.difference.mean)
        assert all(one.difference == pytest.approx(one.first - one.second) for one in cards)
    assert {one.language for one in deciding_cards(warm, curt, AVERAGE, Language.CHINESE, crisis=False)} == {"zh"}


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_verdicts_are_said_in_words_and_drawn_around_zero(run: Path, size: tuple[int, int]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        shown = await until(app, pilot, "Holm p")
        assert "calm-7b against warm-7b   English" in shown
        assert "worse in Empathy; unclear in" in shown
        assert "▼ worse" in shown
        assert "Average" in shown
        assert "░" in shown
        assert "├" in shown
        await type_keys(pilot, "L", "L")
        await until(app, pilot, "both languages pooled")

    drive(steps, run, size=size)


def test_from_a_dimension_to_its_cards_to_both_dialogues_side_by_side(run: Path) -> None:
    with Database.reader(run) as database:
        warm, calm, _ = sides_of(run, RunStore.read(database))
    cards = deciding_cards(calm, warm, Dimension("empathic").value, Language.ENGLISH, crisis=False)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "Holm p")
        await type_keys(pilot, "j", "j")
        await until(app, pilot, "-15.8")
        await type_keys(pilot, "enter", "j")
        shown = await until(app, pilot, cards[-1].card)
        assert shown.index(cards[0].card) < shown.index(cards[1].card)
        await type_keys(pilot, "enter")
        shown = await until(app, pilot, "(calm-7b)")
        assert isinstance(app.screen, DialoguesScreen)
        assert "(warm-7b)" in shown
        assert cards[1].card in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "Holm p")

    drive(steps, run, size=(120, 30))


def test_both_supporters_and_another_run_can_be_chosen(run: Path, tmp_path: Path) -> None:
    contested_run(tmp_path / "other.db", supporters=("hot-9b",), seed=7)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "calm-7b against warm-7b")
        await type_keys(pilot, "a")
        await until(app, pilot, "Which supporter?")
        await type_keys(pilot, "j", "j", "enter")
        await until(app, pilot, "curt-3b against warm-7b")
        await type_keys(pilot, "f")
        await until(app, pilot, "Another run to compare with")
        await type_keys(pilot, "j", "enter", "b")
        await until(app, pilot, "hot-9b (other.db)")
        await type_keys(pilot, "j", "j", "j", "enter")
        shown = await until(app, pilot, "hot-9b (other.db)   English")
        assert "warm-7b (run.db) against" in shown
        assert "seed" in shown

    drive(steps, run, size=(120, 30))


@pytest.mark.parametrize("label", [None, "unread"])
def test_a_run_without_a_label_says_that_nothing_was_scored(tmp_path: Path, label: str | None) -> None:
    path = rated(tmp_path / "early.db", {name: {"c1": [None], "c2": [None]} for name in ("warm", "curt")})
    if label == "unread":
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM reading")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "early.db")
        await type_keys(pilot, "4")
        await until(app, pilot, "Nothing was scored yet.")

    drive(steps, path)


def test_one_supporter_is_said_and_leads_nowhere_else(tmp_path: Path) -> None:
    alone = finished_run(tmp_path / "alone.db", supporters=("warm",))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "There is one supporter here")
        await type_keys(pilot, "enter", "tab", "j", "F", "L", "f")
        assert isinstance(app.screen, CompareScreen)
        assert "There is one supporter here" in seen(app)

    drive(steps, alone)


def test_what_is_not_comparable_says_in_what_it_differs_and_is_forced_by_a_key(run: Path, tmp_path: Path) -> None:
    rated(tmp_path / "strange.db", {"odd": {"en-00": [3.0], "en-01": [2.0]}}, scorer="another scorer")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "calm-7b against warm-7b")
        app.screen._take_other(tmp_path / "strange.db")  # type: ignore[attr-defined]
        app.screen.session.compared.against = ("odd", True)  # type: ignore[attr-defined]
        app.screen.load()  # type: ignore[attr-defined]
        shown = await until(app, pilot, "F compares them all the same")
        assert "are not comparable" in shown
        await type_keys(pilot, "F")
        await until(app, pilot, "Compared although not comparable")

    drive(steps, run, size=(120, 40))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_where_the_scorer_does_not_move_it_is_said_and_no_interval_is_drawn(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = rated(tmp_path / "run.db", {name: {f"c{at}": [4.0] for at in range(20)} for name in ("one-7b", "two-7b")})

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "unclear in all 7")
        said = " ".join((await until(app, pilot, "no resolution")).split())
        assert "the scorer gives both the label 4 on nearly every dialogue" in said
        assert "all cards alike · Holm p" in said
        assert "+0.0 …" not in said
        assert "could see -" in said

    drive(steps, path, size=size)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_escape_leads_from_the_cards_back_to_the_dimensions_and_from_there_home(
    run: Path, size: tuple[int, int]
) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "Average")
        await type_keys(pilot, "enter")
        await until(app, pilot, "The cards that differ most")
        await type_keys(pilot, "escape")
        await until(app, pilot, "Average")
        assert isinstance(app.screen, CompareScreen)
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")

    drive(steps, run, size=size)


def test_another_run_that_is_locked_is_waited_for_and_that_is_told(run: Path, tmp_path: Path) -> None:
    other = contested_run(tmp_path / "other.db", supporters=("hot-9b",), seed=7)
    locking = sqlite3.connect(other, isolation_level=None)
    locking.execute("BEGIN EXCLUSIVE")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "4")
        await until(app, pilot, "Average")
        app.screen._take_other(other)  # type: ignore[attr-defined]
        await until(app, pilot, "locked by another program: tried again", within_s=20)
        locking.execute("ROLLBACK")
        await until(app, pilot, "warm-7b (run.db) against hot-9b (other.db)")

    drive(steps, run)
    locking.close()


def test_what_else_differs_is_said_in_the_language_of_the_app(run: Path, tmp_path: Path) -> None:
    other = contested_run(tmp_path / "other.db", supporters=("hot-9b",), seed=7)
    with Database.reader(run) as database:
        found = compared(run, database, Compared(other=other, side=("warm-7b", False), against=("hot-9b", True))).found
    assert found is not None
    said = notes(found, found.groups[0], Strings("zh")).plain
    assert "随机种子不同" in said
    assert "seeds" not in said


def test_every_reason_is_said_in_the_language_of_the_app(tmp_path: Path) -> None:
    some: dict[str, list[float | None]] = {f"c{at}": [at % 2 + 2.0] for at in range(20)}
    stuck: dict[str, list[float | None]] = {card: [4.0] for card in some}
    lower: dict[str, list[float | None]] = {f"c{at}": [at % 2 + 1.0] for at in range(20)}
    others: dict[str, dict[str, list[float | None]]] = {
        "stuck": stuck,
        "alike": lower,
        "few-differ": some | {"c1": [1.0], "c2": [1.0]},
        "one-card": {"c1": [2.0]},
        "missing": some | {"c3": [None], "c4": [None]},
    }
    for name, labels in others.items():
        path = rated(tmp_path / f"{name}.db", {"x": stuck if labels is stuck else some, "y": labels})
        with Database.reader(path) as database:
            found = compared(path, database, Compared()).found
        assert found is not None
        rows, words = found.groups[0].rows, Strings("zh")
        said = [detail(row, words).plain for row in rows] + [notes(found, found.groups[0], words).plain]
        assert not re.findall("[a-z]{2,}", "".join(said).replace("Holm", "")), name


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_chinese_app_says_in_chinese_that_the_scorer_does_not_move(size: tuple[int, int], tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {name: {f"c{at}": [4.0] for at in range(20)} for name in ("one-7b", "two-7b")})

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "已完成")
        await type_keys(pilot, "4")
        said = "".join((await until(app, pilot, "无法分辨")).split())
        assert "评分器几乎对每段对话都给双方同一标签4；每张卡的差值都是+0.0" in said
        assert "各卡相同·Holmp" in said

    drive(steps, path, size=size, language="zh")
