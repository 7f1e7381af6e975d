"""What the screens about one run have in common: the run, the bars, asking without blocking, and saying what failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from textual.binding import BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import Worker

from escl.errors import EsclError
from escl.tui.keys import EVERYWHERE, IN_A_RUN, WHILE_WRITING, Key, bindings
from escl.tui.plain import plain
from escl.tui.screens.notice import NoticeScreen
from escl.tui.widgets.bars import KeyBar, TopBar

if TYPE_CHECKING:
    from pathlib import Path

    from textual.widget import Widget

    from escl.core.dimension import Dimension, Language
    from escl.evaluation.arena_results import JudgedPair
    from escl.evaluation.leaderboard import Leaderboards
    from escl.store.browse import Wanted
    from escl.store.database import Database
    from escl.tui.open_run import OpenRun
    from escl.tui.processes import Started
    from escl.tui.strings import Strings

T = TypeVar("T")

ScoreLayout = Literal["table", "forest", "radar"]

_TINY_WIDTH, _TINY_HEIGHT = 64, 16
_LOCK_EVERY_S = 0.5


@dataclass(slots=True, kw_only=True)
class ScoresView:
    """What of the scores is looked at."""

    language: Language | None = None
    category: str | None = None
    crisis: bool = False
    sort: Dimension | None = None
    lowest_first: bool = False
    layout: ScoreLayout = "table"


@dataclass(slots=True, kw_only=True)
class Compared:
    """What is compared.

    Attributes:
        other: Another run whose supporters may be chosen too.
        side: The supporter that the verdicts are about, and whether it is the other run's; None is the second one, or
            the first one where there is another run.
        against: The reference; None is the first one, or the other run's first one.
        group: Which of the sets of cards.
        force: Whether to compare what is not comparable.
    """

    other: Path | None = None
    side: tuple[str, bool] | None = None
    against: tuple[str, bool] | None = None
    group: int = 0
    force: bool = False


@dataclass(slots=True, kw_only=True)
class ArenaView:
    """What of the arenas is looked at.

    Attributes:
        path: The arena's file; None is the first that judged the run.
        board: Which language and dimension.
        pair: The pair whose dialogues are read.
        started: The command that lets a judge compare, where it was started from here and its end was not shown yet.
    """

    path: Path | None = None
    board: int = 0
    pair: JudgedPair | None = None
    started: Started | None = None


Rated = Literal["labels", "own", "pairs"]
"""The seven dimensions, those of the user's own, or which of two dialogues is better."""


@dataclass(slots=True, kw_only=True)
class RatingView:
    """Who rates, and what: kept from run to run, so that the name is asked for once."""

    rater: str | None = None
    what: Rated = "labels"


@dataclass(slots=True, kw_only=True)
class Session:
    """A run that is open, and where in it one is: kept while its views change.

    Attributes:
        started: The command, where it was started from here.
        boards: The leaderboards that were looked at; None before the first look.
        wanted: Which dialogues are listed; None before the first look.
        at: Which of them is shown.
        beside: The supporter whose dialogue on the same card is shown beside it; None shows one dialogue.
        came_from: The view whose table led to the dialogues; None where they were asked for by themselves.
    """

    run: OpenRun
    started: Started | None = None
    boards: Leaderboards | None = None
    scores: ScoresView = field(default_factory=ScoresView)
    compared: Compared = field(default_factory=Compared)
    arena: ArenaView = field(default_factory=ArenaView)
    rating: RatingView = field(default_factory=RatingView)
    wanted: Wanted | None = None
    at: int = 0
    beside: str | None = None
    came_from: str | None = None


class EsclScreen(Screen[None]):
    """A screen with the bars, whose work happens in workers that never end in a traceback."""

    AUTO_FOCUS = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()

    def __init__(self, words: Strings) -> None:
        super().__init__()
        self.words = words

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """What this screen's help shows beside what works everywhere."""
        return self.KEYS

    @property
    def everywhere(self) -> tuple[Key, ...]:
        """What works everywhere, as this screen's bar names it."""
        return WHILE_WRITING if isinstance(self.focused, Input) else EVERYWHERE

    def bars(self, *content: Widget, title: str, view: str | None = None, aside: str = "") -> Iterator[Widget]:
        """Yield `content` between the bars."""
        yield TopBar(self.words, title=title, view=view, aside=aside)
        yield from content
        yield KeyBar(self.words, (*self.all_keys, *self.everywhere))

    def on_descendant_focus(self) -> None:
        """Name the keys that work where the focus is now."""
        self._name_keys()

    def on_descendant_blur(self) -> None:
        """Name the keys that work where the focus is now."""
        self._name_keys()

    def _name_keys(self) -> None:
        for bar in self.query(KeyBar):
            bar.show((*self.all_keys, *self.everywhere))

    def on_resize(self, event: Resize) -> None:
        """Leave out what can be done without where there is hardly room."""
        self.set_class(event.size.width < _TINY_WIDTH or event.size.height < _TINY_HEIGHT, "-tiny")

    def in_background(self, work: Callable[[], Coroutine[None, None, None]], *, group: str) -> None:
        """Do `work` without holding up the keys; newer work of the same group takes the place of older."""
        self.start(work, group=group, exclusive=True)

    def look_again(self, work: Callable[[], Coroutine[None, None, None]], *, group: str) -> None:
        """Do `work` in the background as timers ask for it: what takes longer than a timer's turn is let finish."""
        if not any(one.node is self and one.group == group and not one.is_finished for one in self.workers):
            self.in_background(work, group=group)

    def start(self, work: Callable[[], Coroutine[None, None, None]], *, group: str, exclusive: bool = False) -> None:
        """Do `work` beside other work of its group, unless it is `exclusive`."""

        async def guarded() -> None:
            await self._guarded(work)

        _: Worker[None] = self.run_worker(guarded, group=group, exclusive=exclusive, exit_on_error=False)

    async def _guarded(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await work()
        except EsclError as error:
            self.say_failed(error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - the boundary of a worker: a bug becomes a message with a way on
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error}\n{where.filename}:{where.lineno} {where.name}"
            self.say_failed(said, self.words("notice.bug"))

    def say_failed(self, message: str, hint: str | None) -> None:
        """Show what failed, once, whatever fails after it; then go back, or look again."""
        # Not `is_current`: what is seen behind a notice is that too, and its looking would put notice upon notice.
        if not self.is_active:
            return
        self.app.push_screen(NoticeScreen(self.words, message=message, hint=hint), self._after_failure)

    def _after_failure(self, again: bool | None) -> None:
        if again:
            self.load()

    def load(self) -> None:
        """Look at everything anew."""

    def anew(self, words: Strings) -> EsclScreen | None:
        """Return the same in other words; None for Home and the views of a run, which the app lays out itself."""
        del words
        return None

    def themed(self) -> None:
        """Draw anew what took its colours from the theme by itself."""


class RunScreen(EsclScreen):
    """A view of one run."""

    VIEW: ClassVar[str]
    BINDINGS: ClassVar[list[BindingType]] = bindings(IN_A_RUN)

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words)
        self.session = session

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The view's keys and those of every view."""
        return (*self.KEYS, *IN_A_RUN)

    async def ask(self, query: Callable[[Database], T]) -> T:
        """Return what a query finds in the run, from the run's own thread; say so while the file is locked."""
        waiting = self.set_interval(_LOCK_EVERY_S, self._say_whether_locked)
        try:
            return await self.session.run.ask(query)
        finally:
            waiting.stop()
            self._say_whether_locked()

    def bars(self, *content: Widget, title: str, view: str | None = None, aside: str = "") -> Iterator[Widget]:
        """Yield `content` between the bars, below the line that says that the file is locked."""
        said = f"! {self.words('state.locked')}{self.words('state.tried_again')}"
        yield from super().bars(
            Static(plain(said, "$warning"), markup=False, id="locked"), *content, title=title, view=view, aside=aside
        )

    def steps_back(self) -> bool:
        """Whether there was something here to go back from, and it was."""
        return False

    def lead_to_dialogues(self) -> None:
        """Show the dialogues that the session wants, with this view as the way back."""
        self.session.came_from = self.VIEW
        self.app.call_later(self.app.run_action, "app.show_view('dialogues')")

    def on_mount(self) -> None:
        """Begin to look."""
        self.load()

    def _say_whether_locked(self) -> None:
        # Nothing is found on a view that was left meanwhile.
        self.query("#locked").set_class(self.session.run.is_locked, "said")

    def _after_failure(self, again: bool | None) -> None:
        if again:
            self.load()
        else:
            self.app.call_later(self.app.run_action, "app.leave")
