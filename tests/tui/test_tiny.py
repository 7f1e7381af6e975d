"""In a terminal of 40 by 10 the rows come first, and what explains them has what is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.core.dimension import Dimension
from escl.tui.app import EsclApp
from escl.tui.offers import Offer
from escl.tui.screens.choice import ChoiceScreen
from escl.tui.screens.pick_supporters import SupportersScreen
from escl.tui.strings import Strings, UiLanguage
from tests.tui.driving import drive, finished_run, seen, type_keys, until

SIZE = (40, 10)
LANGUAGES: tuple[UiLanguage, ...] = ("en", "zh")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return finished_run(tmp_path / "one.db")


@pytest.mark.parametrize("language", LANGUAGES)
def test_forty_by_ten_has_a_run_a_score_and_a_dimension(run: Path, language: UiLanguage) -> None:
    dimension = Strings(language)(f"dimension.{next(iter(Dimension)).value}")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "one.db")
        app.open_run(run, view="scores")
        shown = await until(app, pilot, "▸70.3")
        assert "warm" in shown
        await type_keys(pilot, "v")
        shown = await until(app, pilot, f" {dimension}")
        assert any("warm" in one and "●" in one for one in shown.splitlines())
        await type_keys(pilot, "v", "v")
        await until(app, pilot, "▸70.3")
        await app.run_action("app.show_view('compare')")
        shown = await until(app, pilot, f" {dimension}")
        assert "curt" in shown
        # The columns beside the dimension are there in the same line: it is a row, and no sentence about it.
        assert any(one.strip().startswith(dimension) and "●" in one for one in shown.splitlines())

    drive(steps, size=SIZE, language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_forty_by_ten_has_five_of_a_list_to_choose_from(run: Path, language: UiLanguage) -> None:
    names = [f"model-{n}" for n in range(5)]

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "one.db")
        await app.push_screen(ChoiceScreen(app.words, title=app.words("compare.first"), options=names))
        await until(app, pilot, names[-1])
        assert [name for name in names if name not in seen(app)] == []
        app.pop_screen()
        offers = tuple(Offer(reference=name, kind="supporter", size_bytes=5) for name in names)
        await app.push_screen(SupportersScreen(app.words, offers, ()))
        await until(app, pilot, names[-1])
        assert [name for name in names if name not in seen(app)] == []

    drive(steps, size=SIZE, language=language)
