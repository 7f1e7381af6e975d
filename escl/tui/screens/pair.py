"""One pair of an arena: both dialogues side by side, and what the judge said of them in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from escl.tui.judged import read_pair
from escl.tui.keys import IN_A_RUN, Key, bindings
from escl.tui.plain import line
from escl.tui.screens.run_screen import RunScreen
from escl.tui.widgets.meters import spread
from escl.tui.widgets.side_by_side import SideBySide

if TYPE_CHECKING:
    from escl.evaluation.arena_results import JudgedPair
    from escl.evaluation.pair_readings import Said


class PairScreen(RunScreen):
    """Reached from the arena's list of pairs, and leads back to it."""

    VIEW = "pair"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="escape,q", action="app.show_view('arena')", name="key.back", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The way back to the arena, in place of the way Home, and the other views."""
        return (*self.KEYS, *(key for key in IN_A_RUN if key.action != "app.step_back"))

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        which = Static(Content.styled(self.words("arena.loading"), "$muted"), markup=False, id="which")
        yield from self.bars(which, SideBySide(self.words), title=self.session.run.path.name, view="arena")

    def load(self) -> None:
        """Read the pair."""
        self.in_background(self._look, group="pair")

    async def _look(self) -> None:
        from escl.store.run import RunStore

        pair, arena = self.session.arena.pair, self.session.arena.path
        which = self.query_one("#which", Static)
        if pair is None or arena is None:
            await self.ask(lambda database: RunStore.read(database).dialogues())
            which.update(self.words("arena.no_pair"))
            return
        found = await self.ask(lambda database: read_pair(arena, database, pair))
        which.update(self._head(pair, found.said))
        sides = [[] if whole is None else whole.turns for whole in (found.one, found.other)]
        names = [Content.styled(line(name, 40), "bold $secondary") for name in (pair.one, pair.other)]
        beside = self.query_one(SideBySide)
        await beside.show((names[0], names[1]), (sides[0], sides[1]))
        beside.rows.focus()

    def _head(self, pair: JudgedPair, said: tuple[Said, Said]) -> Content:
        words, verdict = self.words, pair.verdict
        if verdict is None:
            outcome = line(pair.missing or "", 100)
        elif verdict.score == 0.5:
            outcome = words("arena.tie")
        else:
            outcome = words("arena.won_by", who=line(pair.one if verdict.score else pair.other, 40))
        about = f"{line(pair.card, 40)} · {words('dimension.' + pair.dimension.value)} · "
        one, other = line(pair.one, 30), line(pair.other, 30)
        return Content("\n").join(
            [
                Content.assemble((about, "bold"), (outcome, "bold $primary")),
                self._order(said[0], one, other),
                self._order(said[1], other, one),
            ]
        )

    def _order(self, said: Said, first: str, second: str) -> Content:
        """Return what was read with one of them in the first place."""
        from escl.stats.pairwise import leaning
        from escl.store.arena import ComparisonRow

        head = Content.styled(f"{self.words('arena.placed', first=first)}: ", "$muted")
        if said is None:
            return Content.assemble(head, self.words("arena.unread"))
        if not isinstance(said, ComparisonRow):
            return Content.assemble(head, line(f"{said.error}: {said.message}", 200))
        if said.probabilities is None:
            return Content.assemble(head, line(said.reply, 200))
        who = {"first": first, "second": second}.get(leaning(said.probabilities))
        preferred = self.words("arena.equally") if who is None else self.words("arena.preferred", who=who)
        return Content.assemble(
            head, f"{preferred}  ", spread(said.probabilities, said.label), ("  0 1 2 3 4", "$muted")
        )
