"""A run as it happens, read from its file: any number of terminals may watch, and none of them matters to the run."""

from __future__ import annotations

import asyncio
from time import monotonic as _now_s
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import EVERYWHERE, IN_A_RUN, Key, bindings
from escl.tui.look import Look, change_pause, look
from escl.tui.plain import fitted, line, plain
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.speed import Speed
from escl.tui.widgets.bars import KeyBar
from escl.tui.widgets.lines import Lines
from escl.tui.widgets.meters import clock, meter, sparkline
from escl.tui.widgets.residents import memory_lines, swap_lines
from escl.tui.widgets.speaking import LINES_EACH, WIDE, speaking_lines

if TYPE_CHECKING:
    from escl.store.beside import Now
    from escl.store.database import Database
    from escl.store.watch import Progress, Said, Trouble, Watcher, Work
    from escl.tui.strings import Strings

_EVERY_S = 1.0
_SPEAKING_EVERY_S = 0.25
_SPOKEN = 10
_FAILURES_AT_WORK = 3
_HIGH = 30
_PAUSED = ("‖", "$warning")
_SIGNS = {"running": ("●", "$primary"), "finished": ("✓", "$success"), "interrupted": ("‖", "$warning")}


class LiveScreen(RunScreen):
    """Phases, speed, memory, what is being spoken, what failed. Leaving it leaves the run going."""

    VIEW = "live"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="p,space", action="pause", name="key.pause"),
        Key(keys="s", action="stop", name="key.stop"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._watcher: Watcher | None = None
        self._turns, self._readings, self._tokens = Speed(), Speed(), Speed()
        self._work: Work | None = None
        self._saw_its_end = False

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        body = VerticalScroll(
            Lines(id="state"),
            Lines(id="phases"),
            Vertical(self._heading("live.failures"), Lines(id="failures"), id="failed"),
            Horizontal(
                Vertical(
                    self._heading("live.speed"),
                    Lines(id="speed"),
                    self._heading("live.swaps"),
                    Lines(id="swaps"),
                ),
                Vertical(self._heading("live.in_memory"), Lines(id="memory")),
                id="gauges",
            ),
            Vertical(self._heading("live.now"), Lines(id="now"), id="speaking"),
            classes="page",
        )
        # Nothing is known yet, and empty headings say nothing.
        body.add_class("unknown")
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, and go on looking."""
        begun = "live.looking" if self.session.started is None else "state.starting"
        self._say_state(Content.styled(self.words(begun), "$muted"))
        self.set_interval(_EVERY_S, self._tick)
        self.set_interval(_SPEAKING_EVERY_S, self._listen)
        super().on_mount()

    def load(self) -> None:
        """Look at the run now."""
        self.in_background(self._look, group="live")

    def action_stop(self) -> None:
        """Ask the run to stop after the turns in flight."""
        self.in_background(self._stop, group="stop")

    def action_pause(self) -> None:
        """Ask the run to begin nothing new, or to go on."""
        self.in_background(self._pause, group="pause")

    def _tick(self) -> None:
        # What is over does not change, unless somebody goes on with it: that is seen on opening it again.
        # A command that was started is looked at until it has ended and once more: what it did last may be news.
        if self.is_current and (self._work in (None, "running") or not self._saw_its_end):
            self.look_again(self._look, group="live")

    def _listen(self) -> None:
        if self.is_current and self._work == "running":
            self.look_again(self._hear, group="hear")

    async def _stop(self) -> None:
        from escl.tui.processes import ask_to_stop

        found = await asyncio.to_thread(ask_to_stop, self.session.run.path)
        self.app.notify(self.words("live.stopping" if found else "live.not_found"), markup=False)

    async def _pause(self) -> None:
        if self._work != "running":
            self.app.notify(self.words("live.not_running"), markup=False)
            return
        await asyncio.to_thread(change_pause, self.session.run.path)
        self.load()

    async def _hear(self) -> None:
        limit = self._most_spoken()

        def query(database: Database) -> tuple[list[Said], Now | None]:
            now = self._watching(database).now()
            return self._watching(database).speaking(now, limit), now

        said, now = await self.ask(query)
        if self._work != "running":
            return
        self.query_one("#now", Lines).show(speaking_lines(self.words, said, now, self._room))
        # While the scorer reads nothing is spoken, and an empty heading says nothing.
        self.query_one("#speaking").display = bool(said)

    def _most_spoken(self) -> int:
        """Return how many dialogues are shown: as many as there are lines left for them."""
        lines = self.size.height - 2 - self.query_one("#now").region.y
        return max(3, min(_SPOKEN, lines // LINES_EACH if self._room >= WIDE else lines))

    @property
    def _room(self) -> int:
        """Cells of a line beside the page's scrollbar, also while there is none: it comes and goes with the lines."""
        page = self.query_one(".page")
        return max(20, page.content_region.width - page.styles.scrollbar_size_vertical)

    async def _look(self) -> None:
        started = self.session.started
        has_ended = started is None or started.has_ended
        if not self.session.run.path.exists() and started is not None:
            if has_ended:
                self._say_ended_early()
            return
        if not has_ended and not await self._has_begun():
            return
        path, was_running = self.session.run.path, self._work == "running"
        found = await self.ask(lambda run: look(run, self._watching(run), path, was_running=was_running))
        self._work, self._saw_its_end = found.work, has_ended
        self._note(found)
        self._show(found)
        self._show_gauges(found)
        self._show_failures(found.troubles, found.progress.n_failures)
        if found.work == "running":
            await self._hear()

    async def _has_begun(self) -> bool:
        """Return whether the file that the command has just made holds its run already."""
        from escl.errors import StorageError

        try:
            await self.ask(lambda database: None)
            return bool(await self.ask(lambda database: database.rows("SELECT 1 FROM run")))
        except StorageError:
            return False

    def _watching(self, database: Database) -> Watcher:
        from escl.store.watch import Watcher

        if self._watcher is None:
            self._watcher = Watcher(database)
        return self._watcher

    def _note(self, found: Look) -> None:
        if found.is_paused:
            for speed in (self._turns, self._readings, self._tokens):
                speed.rest()
            return
        now = _now_s()
        self._turns.note(now, found.progress.n_turns)
        if found.progress.n_readings is not None:
            self._readings.note(now, found.progress.n_readings)
        if found.now is not None:
            self._tokens.note(now, found.now.n_evaluated + found.now.n_generated)

    def _show(self, found: Look) -> None:
        progress, work = found.progress, found.work
        self.query_one(".page").remove_class("unknown")
        sign, style = _SIGNS.get(work, ("×", "$error"))
        name = self.words("state." + work)
        if found.is_paused:
            (sign, style), name = _PAUSED, self.words("state.paused")
        states = self.words("live.dialogues", **progress.dialogues)
        parts = [Content.styled(f"{sign} {name}", f"bold {style}"), Content(f"   {states}")]
        if found.is_paused:
            parts.append(Content.styled(f"\n{self.words('live.paused')}", "$warning"))
        elif work == "finished":
            parts.append(Content.styled(f"\n{self.words('live.done')}", "$primary"))
        elif work != "running":
            parts += [
                Content(f"\n{self.words('live.resume')}\n  "),
                plain(progress.command).stylize("bold"),
                *self._log(),
            ]
        self._say_state(Content.assemble(*parts))
        self.query_one("#phases", Lines).show(self._phases(progress))
        self.query_one("#gauges").display = work == "running"
        # What cannot be done any more is not offered.
        self.query_one(KeyBar).show((*(self.all_keys if work == "running" else IN_A_RUN), *EVERYWHERE))
        if work != "running":
            self.query_one("#speaking").display = False

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
        # What nobody works on has no time left, however fast it was.
        if self._work == "running" and speed.per_s is not None and done < total:
            left = self.words("live.left", time=clock((total - done) / speed.per_s))
            parts.append(Content.styled(f"   {speed.per_s:.1f}/s   {left}", "$muted"))
        return Content.assemble(*parts)

    def _show_gauges(self, found: Look) -> None:
        room = self._room if self.has_class("-tiny") else (self.size.width - 6) // 2 - 3
        width = max(20, min(70, room))
        is_scoring = found.progress.n_readings is not None
        rates = (
            ("live.readings_s", self._readings) if is_scoring else ("live.turns_s", self._turns),
            ("live.tokens_s", self._tokens),
        )
        rows = [self._rate(self.words(name), speed, width) for name, speed in rates]
        self.query_one("#speed", Lines).show(Content("\n").join(rows))
        nothing = Content.styled(self.words("live.nothing_loaded"), "$muted")
        swaps = swap_lines(self.words, found.swaps, width)
        self.query_one("#swaps", Lines).show(swaps if found.swaps else nothing)
        memory = memory_lines(self.words, found.memories, found.stays, width)
        self.query_one("#memory", Lines).show(memory if found.memories or found.stays else nothing)

    def _rate(self, name: str, speed: Speed, width: int) -> Content:
        now = "" if speed.per_s is None else f"{speed.per_s:,.1f}" if speed.per_s < 100 else f"{speed.per_s:,.0f}"
        line_width = max(8, width - 12 - 8)
        return Content.assemble((fitted(name, 12), "$muted"), sparkline(speed.history, line_width), f"{now:>8}")

    def _show_failures(self, troubles: list[Trouble], n: int) -> None:
        # Of a run at work the latest, a line each: what is being spoken has its place below them.
        most, room = len(troubles), 480
        if self._work == "running":
            most = _FAILURES_AT_WORK if self.size.height >= _HIGH else 1
            room = max(20, self.size.width - 10)
        shown = [self._failure(one, room) for one in troubles[:most]]
        if n > len(shown):
            shown.append(Content.styled(self.words("live.more_failures", n=n - len(shown)), "$muted"))
        self.query_one("#failures", Lines).show(Content("\n").join(shown))
        self.query_one("#failed").display = bool(shown)

    def _failure(self, one: Trouble, room: int) -> Content:
        who, where = line(f"{one.card_id} {one.supporter}", room), self._where(one)
        said = line(f"{one.error}: {one.message}", max(1, room - cell_len(f"{who}  {where}  ")))
        gap = "  " if where else ""
        return Content.assemble(("× ", "bold $error"), (who, "bold"), "  ", (where, "$muted"), gap, said)

    def _where(self, trouble: Trouble) -> str:
        if trouble.own is not None:
            return line(trouble.own)
        if trouble.dimension is not None:
            return self.words(f"dimension.{trouble.dimension.value}")
        return "" if trouble.position is None else f"{self.words('live.turns')} {trouble.position}"

    def _say_ended_early(self) -> None:
        self._work = "error"
        words = self.words
        self._say_state(Content.assemble((f"× {words('state.error')}", "bold $error"), *self._log()))

    def _say_state(self, content: Content) -> None:
        self.query_one("#state", Lines).show(content)

    def _heading(self, name: str) -> Static:
        return Static(self.words(name), markup=False, classes="heading")
