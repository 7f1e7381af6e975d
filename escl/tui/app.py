"""The app: its screens, looks, languages and commands. Made and run by `escl tui`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType

from escl.tui.hangup import leave_when_told
from escl.tui.keys import EVERYWHERE, bindings
from escl.tui.open_run import OpenRun
from escl.tui.screens.help import HelpScreen
from escl.tui.screens.home import HomeScreen
from escl.tui.screens.run_screen import EsclScreen, RatingView, RunScreen, Session
from escl.tui.strings import Strings, UiLanguage, language_of
from escl.tui.themes import CONTRAST, DARK, THEMES

if TYPE_CHECKING:
    from textual.screen import Screen

    from escl.doctor.finding import Diagnosis
    from escl.tui.processes import Started
    from escl.tui.shelf_work import ShelfWork


class EsclApp(App[None]):
    """Home, and the views of one open run."""

    CSS_PATH = "escl.tcss"
    TITLE = "escl"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVERYWHERE)

    def __init__(
        self,
        runs: tuple[Path, ...] = (),
        *,
        language: UiLanguage | None = None,
        theme: str | None = None,
        diagnosis: Diagnosis | None = None,
    ) -> None:
        super().__init__()
        # Where little room begins: one thing at a time, without what is beside it.
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]
        # Calm: nothing slides or fades.
        self.animation_level = "none"
        self.words = Strings(language or language_of())
        self.diagnosis = diagnosis
        self._named = runs
        self._session: Session | None = None
        self.shelf_work: ShelfWork | None = None
        self._rating = RatingView()
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme or self._fitting_theme()

    def on_mount(self) -> None:
        """Show Home, and the run that the command line names when it names one."""
        if not self.is_headless:
            leave_when_told(self)
        self.push_screen(self._home())
        if len(self._named) == 1:
            self.call_after_refresh(self.open_run, self._named[0], view="live")

    def open_run(self, path: Path, *, view: str, started: Started | None = None) -> None:
        """Open a run's file at one of its views; while one is open, this is a key that was pressed twice."""
        if any(isinstance(one, RunScreen) for one in self.screen_stack):
            return
        self._close()
        self._session = Session(run=OpenRun(path), started=started, rating=self._rating)
        self.push_screen(self._view(view, self._session))

    def action_show_view(self, view: str) -> None:
        """Show another view of the run that is open."""
        if self._session is not None and isinstance(self.screen, RunScreen) and view != self.screen.VIEW:
            if view != "dialogues":
                self._session.came_from = None
            self.switch_screen(self._view(view, self._session))

    def action_play(self) -> None:
        """Let a person answer as the supporter."""
        self.play()

    def action_models(self) -> None:
        """Look after the models."""
        from escl.tui.screens.models import ModelsScreen

        self.push_screen(ModelsScreen(self.words))

    def play(self, left: Path | None = None) -> None:
        """Show what can be played; with `left` go on with that run file."""
        from escl.tui.screens.play import PlayScreen

        self.push_screen(PlayScreen(self.words, left=left))

    def action_step_back(self) -> None:
        """Go back to the table that led here, or Home."""
        session, screen = self._session, self.screen
        if isinstance(screen, RunScreen) and screen.steps_back():
            return
        if session is None or session.came_from is None or not isinstance(screen, RunScreen):
            self.action_leave()
        else:
            self.action_show_view(session.came_from)

    def action_leave(self) -> None:
        """Go back Home; what runs goes on running."""
        while any(isinstance(one, RunScreen) for one in self.screen_stack):
            self.pop_screen()
        if self._session is not None:
            for home in (one for one in self.screen_stack if isinstance(one, HomeScreen)):
                home.runs.stand_on(self._session.run.path)
        self._close()

    def action_help(self) -> None:
        """Show the keys of this screen."""
        if isinstance(self.screen, EsclScreen):
            self.push_screen(HelpScreen(self.words, self.screen.all_keys, self.screen.everywhere))

    def action_next_theme(self) -> None:
        """Take the next look."""
        names = [theme.name for theme in THEMES]
        self.take_theme(names[(names.index(self.theme) + 1) % len(names)])

    def take_theme(self, name: str) -> None:
        """Take the look of that name."""
        self.theme = name
        self.notify(self.words("theme.changed", theme=name.removeprefix("escl-")), markup=False, timeout=2)
        if isinstance(self.screen, EsclScreen):
            self.screen.themed()

    def action_next_language(self) -> None:
        """Speak the other language; the open view is laid out anew, where one was."""
        self.words = Strings("zh" if self.words.language == "en" else "en")
        view = next((one.VIEW for one in self.screen_stack if isinstance(one, RunScreen)), None)
        again = [one.anew(self.words) for one in self.screen_stack if isinstance(one, EsclScreen)]
        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.switch_screen(self._home())
        for one in again:
            if one is not None:
                self.push_screen(one)
        if view is not None and self._session is not None:
            self.push_screen(self._view(view, self._session))

    def action_command_palette(self) -> None:
        """Show the command palette, in the app's language."""
        from textual.command import CommandPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=self.words("palette.search"), id="--command-palette"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the command palette offers: the screen's keys, the looks, and what works everywhere."""
        keys = screen.all_keys if isinstance(screen, EsclScreen) else ()
        for key in (*keys, *EVERYWHERE):
            if key.action.startswith(("move", "app.command_palette")):
                continue
            yield SystemCommand(self.words(key.name), key.label, lambda action=key.action: self._do(action))
        for theme in THEMES:
            name = theme.name.removeprefix("escl-")
            yield SystemCommand(
                self.words("theme.changed", theme=name), "", lambda name=theme.name: self.take_theme(name)
            )

    def on_unmount(self) -> None:
        """Close the run's file, and stop the work on the shelf."""
        self._close()
        if self.shelf_work is not None:
            self.shelf_work.stop()

    def _fitting_theme(self) -> str:
        """Return the look to begin with: where a terminal has 16 colours only, the one that needs no others."""
        return DARK.name if self.console.color_system in ("256", "truecolor") else CONTRAST.name

    def _do(self, action: str) -> None:
        self.call_later(self.run_action, action, self.screen)

    def _home(self) -> HomeScreen:
        return HomeScreen(self.words, self._named, self.diagnosis)

    def _view(self, view: str, session: Session) -> RunScreen:
        # What Home does not need is not imported for the first paint.
        if view == "scores":
            from escl.tui.screens.scores import ScoresScreen

            return ScoresScreen(self.words, session)
        if view == "arena":
            from escl.tui.screens.arena import ArenaScreen

            return ArenaScreen(self.words, session)
        if view == "pair":
            from escl.tui.screens.pair import PairScreen

            return PairScreen(self.words, session)
        if view == "compare":
            from escl.tui.screens.compare import CompareScreen

            return CompareScreen(self.words, session)
        if view == "dialogues":
            from escl.tui.screens.dialogues import DialoguesScreen

            return DialoguesScreen(self.words, session)
        if view == "rate":
            from escl.tui.screens.rate import RateScreen

            return RateScreen(self.words, session)
        from escl.tui.screens.live import LiveScreen

        return LiveScreen(self.words, session)

    def _close(self) -> None:
        if self._session is not None:
            self._session.run.close()
            self._session = None
