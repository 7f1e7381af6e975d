"""All screens there are, found in the package, each with the way to it: what must hold everywhere is tried on these."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.worker import WorkerError

import escl.tui.screens
from escl.core.dimension import Dimension
from escl.doctor.finding import Diagnosis, ok, warn
from escl.evaluation.rating import dialogues_to_rate
from escl.evaluation.rating_desk import Desk, label_questions
from escl.evaluation.rating_sheet import label_sheet
from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.draft import Draft
from escl.tui.keys import Key
from escl.tui.offers import Offer
from escl.tui.playing import Choices
from escl.tui.screens.ask import AskScreen
from escl.tui.screens.choice import ChoiceScreen
from escl.tui.screens.form import Field, FormScreen
from escl.tui.screens.home import HomeScreen
from escl.tui.screens.machine import MachineScreen
from escl.tui.screens.models import ModelsScreen
from escl.tui.screens.new_run import NewRunScreen
from escl.tui.screens.pick_cards import CardsScreen
from escl.tui.screens.pick_supporters import SupportersScreen
from escl.tui.screens.play import PlayScreen
from escl.tui.screens.play_chat import PlayChatScreen
from escl.tui.screens.rate import RateScreen
from escl.tui.screens.rating import RatingScreen
from escl.tui.screens.run_screen import EsclScreen, RunScreen
from escl.tui.screens.text import TextScreen
from tests.runs import card
from tests.tui.plays import Idle, idle_play
from tests.tui.shelves import shelf_model

Opener = Callable[[EsclApp, Path, str], Awaitable[object]]
"""Shows a screen; what is said on it where it says what it is told is the last argument."""


async def _home(app: EsclApp, path: Path, said: str) -> None:
    del app, path, said


async def _help(app: EsclApp, path: Path, said: str) -> None:
    await app.run_action("app.help")


async def _machine(app: EsclApp, path: Path, said: str) -> None:
    findings = (ok("Python", said or "3.11"), warn("memory", said or "2 GiB", to_do=said or "close programs"))
    await app.push_screen(MachineScreen(app.words, Diagnosis(escl="0", findings=findings)))


async def _notice(app: EsclApp, path: Path, said: str) -> None:
    app.screen.say_failed(said or "It broke.", said or "Mend it.")  # type: ignore[attr-defined]


async def _ask(app: EsclApp, path: Path, said: str) -> None:
    about = said or "escl run"
    await app.push_screen(AskScreen(app.words, title=app.words("resume.title"), text=about, about=about))


async def _play(app: EsclApp, path: Path, said: str) -> None:
    screen = PlayScreen(app.words)
    await app.push_screen(screen)
    with contextlib.suppress(WorkerError):
        await app.workers.wait_for_complete()
    if said:
        cards = [card(said, text=said)]
        screen.take(Choices(cards=cards, seekers=[said], scorers=[said], unfinished=Path(said)))


async def _play_chat(app: EsclApp, path: Path, said: str) -> None:
    await app.push_screen(PlayChatScreen(app.words, idle_play(path, Idle(code=0))))


async def _choice(app: EsclApp, path: Path, said: str) -> None:
    options = [said or "this one", "another one"]
    await app.push_screen(ChoiceScreen(app.words, title=app.words("compare.first"), options=options))


async def _models(app: EsclApp, path: Path, said: str) -> None:
    screen = ModelsScreen(app.words)
    await app.push_screen(screen)
    if said:
        screen.take([shelf_model(said)])


async def _form(app: EsclApp, path: Path, said: str) -> None:
    fields = [Field(name=said, about=said, value=said), Field(name=said, about=said)]
    await app.push_screen(FormScreen(app.words, title=said, text=said, fields=fields))


async def _text(app: EsclApp, path: Path, said: str) -> None:
    await app.push_screen(TextScreen(app.words, title=said, text=said, is_table=True))


async def _new_run(app: EsclApp, path: Path, said: str) -> None:
    await app.push_screen(NewRunScreen(app.words, Draft(supporters=(said or "demo/warm",), out=said)))


async def _supporters(app: EsclApp, path: Path, said: str) -> None:
    offers = (Offer(reference=said or "demo/warm", kind="supporter", size_bytes=5),)
    await app.push_screen(SupportersScreen(app.words, offers, (said or "demo/warm", "demo/curt")))


async def _cards(app: EsclApp, path: Path, said: str) -> None:
    cards = (card(said or "c1", text=said or "Age: 30", source=said or "test", subcategory=said or None),)
    await app.push_screen(CardsScreen(app.words, (Path(said),) if said else (), lambda files: cards))


async def _rating(app: EsclApp, path: Path, said: str) -> None:
    app.open_run(path, view="rate")
    assert isinstance(app.screen, RateScreen)
    with Database.reader(path) as database:
        dialogues = dialogues_to_rate([RunStore.read(database)], rater="ann")
    sheet = label_sheet(path.with_name("ratings-ann.csv"))
    desk = Desk(label_questions(sheet.before, dialogues, dimensions=tuple(Dimension), rater="ann"), sheet)
    await app.push_screen(RatingScreen(app.words, app.screen.session.run, desk, n_before=0))


_OPENERS: dict[str, Opener] = {
    "AskScreen": _ask,
    "ChoiceScreen": _choice,
    "CardsScreen": _cards,
    "HomeScreen": _home,
    "FormScreen": _form,
    "NewRunScreen": _new_run,
    "SupportersScreen": _supporters,
    "HelpScreen": _help,
    "MachineScreen": _machine,
    "ModelsScreen": _models,
    "NoticeScreen": _notice,
    "PlayChatScreen": _play_chat,
    "PlayScreen": _play,
    "TextScreen": _text,
    "RatingScreen": _rating,
}
"""The way to what is no view of a run."""


def _classes() -> list[type[Screen[Any]]]:
    found: set[type[Screen[Any]]] = set()
    for module in walk_packages(escl.tui.screens.__path__, "escl.tui.screens."):
        for one in vars(import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, Screen) and one.__module__ == module.name:
                found.add(one)
    return sorted(found - {EsclScreen, RunScreen}, key=lambda one: one.__name__)


SCREENS = _classes()
WITHOUT_A_WAY = [one.__name__ for one in SCREENS if not issubclass(one, RunScreen) and one.__name__ not in _OPENERS]


async def show(app: EsclApp, pilot: Pilot[None], screen: type[Screen[Any]], path: Path, said: str = "") -> None:
    """Show a screen of that class, on the run at `path` where it is about one, once it has come to rest."""
    await rest(app, pilot)
    await leave(app, pilot)
    if issubclass(screen, RunScreen):
        app.open_run(path, view=screen.VIEW)
    else:
        await _OPENERS[screen.__name__](app, path, said)
    await rest(app, pilot)
    assert type(app.screen) is screen, app.screen


async def leave(app: EsclApp, pilot: Pilot[None]) -> None:
    """Go Home."""
    await app.run_action("app.leave")
    while not isinstance(app.screen, HomeScreen):
        app.pop_screen()
        await pilot.pause()


async def rest(app: EsclApp, pilot: Pilot[None]) -> None:
    """Wait until nothing is under way."""
    for _ in range(3):
        with contextlib.suppress(WorkerError):
            await app.workers.wait_for_complete()
        await pilot.pause(0.02)


def own_keys(screen: Screen[Any]) -> tuple[Key, ...]:
    """Return the keys that do something on this screen and do not lead away from it."""
    if not isinstance(screen, EsclScreen):
        return ()
    return tuple(
        key
        for key in screen.KEYS
        if not key.action.startswith(("app.quit", "app.leave", "app.step_back", "app.show_view"))
    )
