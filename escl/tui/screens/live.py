"""A run as it happens, read from its file: any number of terminals may watch, and none of them matters to the run."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line, plain
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.meters import clock, meter, size, sparkline

if TYPE_CHECKING:
    from escl.store.database import Database
    from escl.store.watch import Progress, Said, Stay, Trouble, Watcher, Work
    from escl.tui.strings import Strings

_EVERY_S = 1.0
_WINDOW_S = 60.0
_HISTORY = 240
_FAILURES = 20
_SIGNS = {"running": ("●", "$primary"), "finished": ("✓", "$success"), "interrupted": ("‖", "$warning")}


class Speed:
    """How fast an amount grew lately. Knows only what it was told, so it begins when watching begins."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(_WINDOW_S / _EVERY_S) + 1)
        self.history: deque[float] = deque(maxlen=_HISTORY)

    def note(self, now: float, amount: int) -> None:
        """Take the amount at a time in seconds."""
        if self._marks and now > self._marks[-1][0]:
            before, last = self._marks[-1]
            self.history.append(max(0.0, (amount - last) / (now - before)))
        self._marks.append((now, amount))

    @property
    def per_s(self) -> float | None:
        """Growth per second over the last minute; None where nothing grew or too little is known."""
        if len(self._marks) < 2:
            return None
        (since, before), (now, amount) = self._marks[0], self._marks[-1]
        return (amount - before) / (now - since) if now > since and amount > before else None


class LiveScreen(RunScreen):
    """Phases, speed, memory, what is being spoken, what failed. Leaving it leaves the run going."""

    VIEW = "live"
    KEYS: ClassVar[tuple[Key, ...]] = (Key(keys="s", action="stop", name="key.stop"),)
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._watcher: Watcher | None = None
        self._turns, self._readings = Speed(), Speed()
        self._work: Work | None = None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        begun = "live.looking" if self.session.started is None else "state.starting"
        body = VerticalScroll(
            Static(Content.styled(self.words(begun), "$muted"), markup=False, id="state"),
            Static(markup=False, id="phases"),
            Horizontal(
                Vertical(Static(markup=False, classes="heading", id="speed-name"), Static(markup=False, id="speed")),
                Vertical(self._heading("live.in_memory"), Static(markup=False, id="memory")),
                id="gauges",
            ),
            Vertical(self._heading("live.now"), Static(markup=False, id="now"), id="speaking"),
            Vertical(self._heading("live.failures"), Static(markup=False, id="failures"), id="failed"),
            classes="page",
        )
        # Nothing is known yet, and empty headings say nothing.
        body.add_class("unknown")
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, and go on looking."""
        self.set_interval(_EVERY_S, self._tick)
        super().on_mount()

    def load(self) -> None:
        """Look at the run now."""
        self.in_background(self._look, group="live")

    def action_stop(self) -> None:
        """Ask the run to stop after the turns in flight."""
        self.in_background(self._stop, group="stop")

    def _tick(self) -> None:
        # What is over does not change, unless somebody goes on with it: that is seen on opening it again.
        if self.is_current and (self._work in (None, "running") or self._is_starting):
            self.load()

    @property
    def _is_starting(self) -> bool:
        started = self.session.started
        return started is not None and not started.has_ended

    async def _stop(self) -> None:
        from escl.tui.processes import ask_to_stop

        found = await asyncio.to_thread(ask_to_stop, self.session.run.path)
        self.app.notify(self.words("live.stopping" if found else "live.not_found"), markup=False)

    async def _look(self) -> None:
        started = self.session.started
        if not self.session.run.path.exists() and started is not None:
            if started.has_ended:
                self._say_ended_early()
            return
        if started is not None and not started.has_ended and not await self._has_begun():
            return
        progress, stays, said, troubles, is_held = await self.ask(self._query)
        self._work = progress.work(is_held=is_held)
        self._note(progress)
        self._show(progress, self._work)
        self._show_memory(stays)
        self._show_now(said)
        self._show_failures(troubles, progress.n_failures)

    async def _has_begun(self) -> bool:
        """Return whether the file that the command has just made holds its run already."""
        from escl.errors import StorageError

        try:
            await self.ask(lambda database: None)
            return bool(await self.ask(lambda database: database.rows("SELECT 1 FROM run")))
        except StorageError:
            return False

    def _query(self, database: Database) -> tuple[Progress, list[Stay], list[Said], list[Trouble], bool]:
        from escl.store.watch import Watcher, is_held

        if self._watcher is None:
            self._watcher = Watcher(database)
        watcher = self._watcher
        # Whether somebody works on it is asked first: what ended since then is shown by the next look.
        held = is_held(self.session.run.path)
        return watcher.progress(), watcher.in_memory(), watcher.latest(), watcher.troubles(_FAILURES), held

    def _note(self, progress: Progress) -> None:
        now = time.monotonic()
        self._turns.note(now, progress.n_turns)
        if progress.n_readings is not None:
            self._readings.note(now, progress.n_readings)

    def _show(self, progress: Progress, work: Work) -> None:
        self.query_one(".page").remove_class("unknown")
        sign, style = _SIGNS.get(work, ("×", "$error"))
        states = self.words("live.dialogues", **progress.dialogues)
        parts = [Content.styled(f"{sign} {self.words('state.' + work)}", f"bold {style}"), Content(f"   {states}")]
        if work == "finished":
            parts.append(Content.styled(f"\n{self.words('live.done')}", "$primary"))
        elif work != "running":
            parts += [
                Content(f"\n{self.words('live.resume')}\n  "),
                plain(progress.command).stylize("bold"),
                *self._log(),
            ]
        self._say_state(Content.assemble(*parts))
        self.query_one("#phases", Static).update(self._phases(progress))
        for name in ("#gauges", "#speaking"):
            self.query_one(name).display = work == "running"
        is_scoring = progress.n_readings is not None
        speed = self._readings if is_scoring else self._turns
        name = self.words("live.reading_speed" if is_scoring else "live.speed")
        self.query_one("#speed-name", Static).update(Content(name))
        width = max(10, min(60, self.size.width // 2 - 12))
        now = f"  {speed.per_s:.1f}" if speed.per_s is not None else ""
        self.query_one("#speed", Static).update(Content.assemble(sparkline(speed.history, width), now))

    def _log(self) -> list[Content]:
        started = self.session.started
        lines = [] if started is None or not started.has_ended else started.last_lines()
        if not lines:
            return []
        return [Content(f"\n{self.words('live.log')}\n"), plain("\n".join(lines)).stylize("$muted")]

    def _phases(self, progress: Progress) -> Content:
        words = self.words
        asked = progress.n_turns_asked
        turns = (
            Content.styled(words("live.imported"), "$muted")
            if asked is None
            else self._phase(progress.n_turns, asked, "live.turns", self._turns)
        )
        readings = (
            Content.styled(words("live.waits"), "$muted")
            if progress.n_readings is None
            else self._phase(progress.n_readings, progress.n_readings_asked, "live.readings", self._readings)
        )
        names = [fitted(words(f"live.{name}"), 12) for name in ("simulation", "scoring")]
        return Content.assemble((names[0], "bold"), turns, "\n", (names[1], "bold"), readings)

    def _phase(self, done: int, total: int, unit: str, speed: Speed) -> Content:
        width = max(6, min(48, self.size.width - 62))
        parts: list[Content] = [meter(done, total, width), Content(f"  {done:,}/{total:,} {self.words(unit)}")]
        if speed.per_s is not None and done < total:
            left = self.words("live.left", time=clock((total - done) / speed.per_s))
            parts.append(Content.styled(f"   {speed.per_s:.1f}/s   {left}", "$muted"))
        return Content.assemble(*parts)

    def _show_memory(self, stays: list[Stay]) -> None:
        shown = [
            Content.assemble(
                (fitted(line(stay.name), 16), "bold"),
                (f" {size(stay.peak_bytes):>9}  ", "$primary"),
                (line(stay.device, 30), "$muted"),
            )
            for stay in (stays if self._work == "running" else [])
        ]
        nothing = Content.styled(self.words("live.nothing_loaded"), "$muted")
        self.query_one("#memory", Static).update(Content("\n").join(shown) if shown else nothing)

    def _show_now(self, said: list[Said]) -> None:
        width = max(20, self.size.width - 8)
        shown = [
            Content.assemble(
                (fitted(line(f"{one.card_id} {one.supporter}"), min(28, width // 3)), "bold"),
                (f" {one.position:>2} ", "$muted"),
                (self.words(f"speaker.{one.speaker.value}") + " ", "$primary"),
                line(one.text, max(10, width - min(28, width // 3) - 15)),
            )
            for one in said
        ]
        nothing = Content.styled(self.words("live.nothing_spoken"), "$muted")
        self.query_one("#now", Static).update(Content("\n").join(shown) if shown else nothing)

    def _show_failures(self, troubles: list[Trouble], n: int) -> None:
        shown = [
            Content.assemble(
                ("× ", "bold $error"),
                (line(f"{one.card_id} {one.supporter} "), "bold"),
                (self._where(one), "$muted"),
                line(f" {one.error}: {one.message}", 400),
            )
            for one in troubles
        ]
        if n > len(troubles):
            shown.append(Content.styled(self.words("live.more_failures", n=n - len(troubles)), "$muted"))
        nothing = Content.styled(self.words("live.no_failures"), "$muted")
        self.query_one("#failures", Static).update(Content("\n").join(shown) if shown else nothing)

    def _where(self, trouble: Trouble) -> str:
        if trouble.own is not None:
            return trouble.own
        if trouble.dimension is not None:
            return self.words(f"dimension.{trouble.dimension.value}")
        return "" if trouble.position is None else f"{self.words('live.turns')} {trouble.position}"

    def _say_ended_early(self) -> None:
        self._work = "error"
        words = self.words
        self._say_state(Content.assemble((f"× {words('state.error')}", "bold $error"), *self._log()))

    def _say_state(self, content: Content) -> None:
        self.query_one("#state", Static).update(content)

    def _heading(self, name: str) -> Static:
        return Static(self.words(name), markup=False, classes="heading")
