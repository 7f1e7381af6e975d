"""A play as it happens: the chat, the line to answer in, and at the end what the scorer reads in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import EVERYWHERE, WHILE_WRITING, Key, bindings
from escl.tui.open_run import OpenRun
from escl.tui.plain import line
from escl.tui.playing import Play, start_play
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.widgets.bars import KeyBar
from escl.tui.widgets.facts import card, labels
from escl.tui.widgets.reply_box import ReplyBox
from escl.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from escl.store.browse import Whole
    from escl.store.database import Database
    from escl.tui.strings import Strings

_EVERY_S = 0.25
_LOG_LINES = 4


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the run's file holds of the play.

    Attributes:
        longest_bytes: Of a reply.
    """

    whole: Whole
    longest_bytes: int


class PlayChatScreen(EsclScreen):
    """One dialogue, with the person as its supporter. Leaving it keeps what was said."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="read", name="key.send"),
        Key(keys="ctrl+j", action="new_line", name="key.new_line", shown="^j"),
        Key(keys="pageup", action="scroll_chat(-1)", name="key.scroll", in_bar=False),
        Key(keys="pagedown", action="scroll_chat(1)", name="key.scroll", in_bar=False),
        Key(keys="3", action="read", name="key.dialogues", in_bar=False),
        Key(keys="escape", action="leave", name="key.leave_play", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    KEYS_AT_THE_END: ClassVar[tuple[Key, ...]] = (
        Key(keys="3", action="read", name="key.dialogues"),
        Key(keys="pageup,pagedown", action="scroll_chat(-1)", name="key.scroll", shown="pgup pgdn"),
        Key(keys="escape", action="leave", name="key.back", shown="esc"),
    )

    def __init__(self, words: Strings, play: Play) -> None:
        super().__init__(words)
        self._play = play
        self._run = OpenRun(play.path)
        self._seen: Seen | None = None
        self._sent: str | None = None
        self._n_before = 0
        self._shown = (0, False)
        self._is_over = False

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The keys of the chat, and afterwards of reading it."""
        return self.KEYS_AT_THE_END if self._is_complete else self.KEYS

    @property
    def everywhere(self) -> tuple[Key, ...]:
        """As long as the person writes, without the keys that are text."""
        return EVERYWHERE if self._is_complete else WHILE_WRITING

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        facts = VerticalScroll(Static(markup=False, id="labels"), Static(markup=False, id="card"), id="facts-side")
        facts.can_focus = False
        box = ReplyBox(self.words("play.placeholder"))
        box.display = False
        chat = Vertical(Transcript(self.words), Static(markup=False, id="state"), box, id="chat-side")
        yield from self.bars(Horizontal(chat, facts), title=f"{self.words('play.title')} · {self._play.path.name}")

    def on_mount(self) -> None:
        """Begin to look, and go on looking."""
        self.set_interval(_EVERY_S, self._tick)
        self._show_state()
        self.load()

    def on_unmount(self) -> None:
        """Say no more; the run stops when it would ask, and is kept."""
        self._play.leave()
        self._run.close()

    def load(self) -> None:
        """Look at the run now; one that broke off is gone on with."""
        if self._is_over and not self._is_complete:
            self._go_on()
        self.in_background(self._look, group="play")

    def action_leave(self) -> None:
        """Go back; what was said is kept."""
        if not self._is_complete:
            self.app.notify(self.words("play.kept"), markup=False, timeout=4)
        self.app.pop_screen()

    def action_read(self) -> None:
        """Read the finished dialogue among the run's views."""
        from escl.tui.app import EsclApp

        if self._is_complete and self._is_over and isinstance(self.app, EsclApp):
            path = self._play.path
            self.app.pop_screen()
            self.app.open_run(path, view="dialogues")

    def action_new_line(self) -> None:
        """Begin a new line of the reply."""
        self.query_one(ReplyBox).insert("\n")

    def action_scroll_chat(self, by: int) -> None:
        """Scroll the chat by a page."""
        transcript = self.query_one(Transcript)
        if by > 0:
            transcript.scroll_page_down(animate=False)
        else:
            transcript.scroll_page_up(animate=False)

    def on_reply_box_sent(self, event: ReplyBox.Sent) -> None:
        """Say what was written, if it is the person's turn and not too long."""
        from escl.supporters.person import as_reply

        reply = as_reply(event.text)
        if reply == "/quit":
            self.action_leave()
        elif self._seen is not None and self._is_asked and len(reply.encode()) <= self._seen.longest_bytes:
            try:
                self._play.say(reply)
            except OSError as error:
                self.say_failed(str(error), self.words("play.go_on_hint"))
                return
            self._sent, self._n_before = reply, len(self._seen.whole.turns)
            self.query_one(ReplyBox).clear()
            self.in_background(self._show, group="show")

    def on_text_area_changed(self) -> None:
        """Say how much room is left where that matters."""
        self._show_state()

    @property
    def _is_complete(self) -> bool:
        return self._seen is not None and self._seen.whole.dialogue.state == "complete"

    @property
    def _is_asked(self) -> bool:
        """Whether it is the person's turn."""
        if self._seen is None or self._sent is not None or self._is_over:
            return False
        whole = self._seen.whole
        return (
            whole.dialogue.state == "speaking" and bool(whole.turns) and whole.turns[-1].turn.speaker.value == "seeker"
        )

    def _tick(self) -> None:
        if self.is_current and not self._is_over:
            self.look_again(self._look, group="play")

    def _go_on(self) -> None:
        try:
            self._play = start_play(self._play.path, self._play.casting)
        except OSError as error:
            self.say_failed(str(error), None)
            return
        self._is_over = False

    async def _look(self) -> None:
        # Asked before the file is read: what the run wrote last is then in it.
        has_ended = await asyncio.to_thread(lambda: self._play.has_ended)
        if self._play.path.exists():
            self._seen = await self._run.ask(_query) or self._seen
        self._is_over = has_ended
        if self._seen is not None and len(self._seen.whole.turns) > self._n_before:
            self._sent = None
        await self._show()
        if has_ended and not self._is_complete:
            self._say_broken_off()

    def _say_broken_off(self) -> None:
        if self._sent is not None:
            # It was not kept: it is said again when the play goes on.
            self.query_one(ReplyBox).text, self._sent = self._sent, None
        failures = [] if self._seen is None else self._seen.whole.failures
        said = "\n".join([one.message for one in failures] or self._play.last_lines()[-_LOG_LINES:])
        self.say_failed(said or self.words("play.broken_off"), self.words("play.go_on_hint"))

    async def _show(self) -> None:
        from escl.core.dialogue import Speaker, Turn
        from escl.store.records import TurnRow

        turns = [] if self._seen is None else list(self._seen.whole.turns)
        if self._sent is not None:
            turns.append(TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text=self._sent)))
        self._show_state()
        # What is shown at the end takes room beside the chat, whose lines are then broken anew.
        shown = (len(turns), self._is_complete)
        if turns and shown != self._shown:
            transcript = self.query_one(Transcript)
            await transcript.show(turns)
            transcript.scroll_end(animate=False)
            self._shown = shown

    def _show_state(self) -> None:
        box, facts = self.query_one(ReplyBox), self.query_one("#facts-side")
        box.display = not self._is_complete and self._seen is not None
        facts.display = self._is_complete
        if self._is_asked and not box.has_focus:
            box.focus()
        if self._is_complete and self._seen is not None:
            self.query_one(KeyBar).show((*self.all_keys, *self.everywhere))
            if box.has_focus or self.focused is None:
                self.query_one(Transcript).focus()
            whole = self._seen.whole
            self.query_one("#labels", Static).update(labels(whole, self.words, wide=self.has_class("-wide")))
            self.query_one("#card", Static).update(card(whole, self.words))
        self.query_one("#state", Static).update(self._state())

    def _state(self) -> Content:
        words, casting = self.words, self._play.casting
        if self._seen is None:
            return Content.assemble(
                ("● ", "$primary"), (words("play.loading", model=line(casting.seeker, 30)), "$muted")
            )
        if self._is_complete:
            return self._ending(len(self._seen.whole.readings))
        n_said = sum(row.turn.speaker.value == "supporter" for row in self._seen.whole.turns[1:])
        of = words("play.of", at=min(casting.rounds, n_said + 1), n=casting.rounds)
        if not self._is_asked:
            return Content.assemble(("● ", "$primary"), words("play.writing"), (f"   {of}", "$muted"))
        n_bytes = len(self.query_one(ReplyBox).text.encode("utf-8", "replace"))
        longest = self._seen.longest_bytes
        room, style = "", "$muted"
        if n_bytes > longest:
            room, style = f"   ! {words('play.too_long', n=f'{n_bytes:,}', most=f'{longest:,}')}", "bold $warning"
        return Content.assemble(("▸ ", "bold $secondary"), (words("play.yours"), "bold"), f"   {of}", (room, style))

    def _ending(self, n_read: int) -> Content:
        words = self.words
        if not self._is_over:
            return Content.assemble(("● ", "$primary"), words("play.scoring", n=n_read))
        return Content.assemble(("✓ ", "$success"), words("play.done"))


def _query(database: Database) -> Seen | None:
    from escl.core.settings import SimulationSettings
    from escl.store.browse import Browser, Wanted
    from escl.store.run import RunStore
    from escl.supporters.person import longest_reply

    browser = Browser(database)
    ids = browser.find(Wanted())
    whole = browser.whole(ids[0]) if ids else None
    settings = RunStore.read(database).settings
    if whole is None or not isinstance(settings, SimulationSettings):
        return None
    return Seen(whole=whole, longest_bytes=longest_reply(settings.supporters[0].sampling.max_tokens))
