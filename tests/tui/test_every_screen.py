"""What holds on every screen: it fits any terminal, can be read in every look, and is left by keys and by mouse."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from rich.color import Color
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

import escl.tui
from escl.tui.app import EsclApp
from escl.tui.screens.run_screen import EsclScreen, RunScreen
from escl.tui.themes import THEMES
from escl.tui.widgets.bars import VIEWS, KeyBar, TopBar
from tests.tui.driving import drive, finished_run, seen, type_keys, until
from tests.tui.every_screen import SCREENS, rest, show
from tests.tui.hostile import assert_harmless

SIZES = ((80, 24), (160, 48), (40, 10), (80, 24))
LEAST_CONTRAST = 4.5
"""Of text on its ground (WCAG 2.2, 1.4.3)."""
TEXT = "I cannot sleep before a night shift. 睡不着，明天还要上班。"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return finished_run(tmp_path / "run.db", text=TEXT)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.__name__)
def test_a_screen_fits_any_terminal_in_both_languages(run: Path, screen: type[Screen[Any]]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        for _ in ("en", "zh"):
            await show(app, pilot, screen, run)
            for size in SIZES:
                await pilot.resize_terminal(*size)
                await rest(app, pilot)
                assert type(app.screen) is screen
                assert_harmless(app)
                lines = seen(app).splitlines()
                if isinstance(app.screen, EsclScreen):
                    assert lines[0].startswith(" escl ")
                    assert "?" in lines[-1] or "F1" in lines[-1], "the way to the help is not seen"
            await app.run_action("app.next_language")
            await rest(app, pilot)

    drive(steps)


@pytest.mark.parametrize("theme", THEMES, ids=lambda one: one.name)
@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.__name__)
def test_text_stands_out_from_its_ground(run: Path, screen: type[Screen[Any]], theme: Any) -> None:  # noqa: ANN401
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await show(app, pilot, screen, run)
        pale = {
            (round(contrast, 1), text.strip()[:30])
            for text, contrast in _contrasts(app)
            if contrast < LEAST_CONTRAST and any(letter.isalnum() for letter in text)
        }
        assert pale == set()

    drive(steps, size=(120, 40), theme=theme.name)


@pytest.mark.parametrize(
    "screen", [one for one in SCREENS if issubclass(one, EsclScreen)], ids=lambda one: one.__name__
)
def test_help_names_every_key_of_its_screen(run: Path, screen: type[EsclScreen]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await show(app, pilot, screen, run)
        assert isinstance(app.screen, EsclScreen)
        names = [app.words(key.name) for key in app.screen.all_keys]
        await type_keys(pilot, "f1")
        shown = await until(app, pilot, "On this screen")
        assert [name for name in names if name not in shown] == []
        await type_keys(pilot, "escape")
        assert type(app.screen) is screen

    drive(steps, size=(100, 60))


@pytest.mark.parametrize(
    "screen", [one for one in SCREENS if issubclass(one, ModalScreen)], ids=lambda one: one.__name__
)
def test_a_dialog_is_left_by_escape(run: Path, screen: type[Screen[Any]]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await show(app, pilot, screen, run)
        await type_keys(pilot, "escape")
        assert type(app.screen) is not screen

    drive(steps)


def test_every_view_is_reached_by_its_key_and_by_a_click_on_its_name(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        for by in ("key", "mouse"):
            for view, key in (*VIEWS[1:], VIEWS[0]):
                if by == "key":
                    await type_keys(pilot, key)
                else:
                    await pilot.click(TopBar, offset=(seen(app).splitlines()[0].index(f" {key} ") + 2, 0))
                await rest(app, pilot)
                assert isinstance(app.screen, RunScreen)
                assert view == app.screen.VIEW

    drive(steps, run, size=(160, 40))


def test_a_click_on_a_key_does_what_the_key_does(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await pilot.click(KeyBar, offset=(seen(app).splitlines()[-1].index("help"), 0))
        await until(app, pilot, "On this screen")
        await type_keys(pilot, "escape")
        await pilot.click(KeyBar, offset=(seen(app).splitlines()[-1].index("esc back"), 0))
        await until(app, pilot, "enter open")

    drive(steps, run)


def test_nothing_moves_by_itself(run: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        assert app.animation_level == "none"

    drive(steps)


def test_where_arrows_move_the_letters_of_vi_do_too() -> None:
    pairs = {"down": "j", "up": "k"}
    missing = [
        (one.__name__, arrow)
        for one in _own_classes()
        for binding in vars(one).get("BINDINGS", ())
        if isinstance(binding, Binding)
        for arrow, letter in pairs.items()
        if arrow in binding.key.split(",") and letter not in binding.key.split(",")
    ]
    assert missing == []


def _own_classes() -> Iterator[type[Widget]]:
    for module in walk_packages(escl.tui.__path__, "escl.tui."):
        for one in vars(import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, Widget) and one.__module__ == module.name:
                yield one


def _contrasts(app: EsclApp) -> Iterator[tuple[str, float]]:
    """Yield what is written and how far it stands out (1-21); what is dimmed behind a dialog is left out."""
    region = app.screen.query_one(".dialog").region if isinstance(app.screen, ModalScreen) else app.screen.region
    for strip in app.screen._compositor.render_strips()[region.y : region.bottom]:
        for segment in strip.crop(region.x, region.right):
            style = segment.style
            if style is None or style.color is None or style.bgcolor is None or not segment.text.strip():
                continue
            first, second = _luminance(style.color), _luminance(style.bgcolor)
            yield segment.text, (max(first, second) + 0.05) / (min(first, second) + 0.05)


def _luminance(color: Color) -> float:
    """Return the relative luminance (0-1) as WCAG 2.2 defines it."""
    parts = [part / 255 for part in color.get_truecolor()]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
