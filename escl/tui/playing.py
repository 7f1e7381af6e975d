"""A play: `escl run human` in a process of its own, whose person sits at the app. What is said goes through a pipe.

The run's file says how far it is; nothing said is kept here. Where the app ends, the pipe does, and the run stops as at
Ctrl-D: kept, and to be gone on with.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escl.tui.processes import Started, run_beside

if TYPE_CHECKING:
    from escl.core.card import RoleCard
    from escl.core.dimension import Language
    from escl.store.database import Database

USUAL_ROUNDS: Final = 5
MOST_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Casting:
    """Who plays with the person, and how long.

    Attributes:
        scorer: None leaves the dialogue unrated.
    """

    seeker: str
    scorer: str | None
    card_id: str
    rounds: int = USUAL_ROUNDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen before a play.

    Attributes:
        unfinished: The last play in this folder that was left before its end.
    """

    cards: list[RoleCard]
    seekers: list[str]
    scorers: list[str]
    unfinished: Path | None

    def cards_in(self, language: Language | None) -> list[RoleCard]:
        """Return the cards of a language; of all where it is None."""
        return [card for card in self.cards if language in (None, card.language)]


class Play(Started):
    """A play that was started from here."""

    def __init__(
        self, path: Path, process: subprocess.Popen[bytes], log: Path, *, casting: Casting, since: int = 0
    ) -> None:
        super().__init__(path, process, log, since=since)
        self.casting = casting
        self._pipe = process.stdin

    def say(self, reply: str) -> None:
        """Hand the person's reply to the run.

        Raises:
            OSError: The run has ended.
        """
        from escl.supporters.person import LINE_BREAK

        if self._pipe is None or self._pipe.closed:
            raise BrokenPipeError("the run takes no more replies")
        # In one piece, so that no part of a line can be taken for a reply.
        os.write(self._pipe.fileno(), reply.replace("\n", LINE_BREAK).encode() + b"\n")

    def leave(self) -> None:
        """Say no more: the run stops when it asks for the next reply."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.close()


def start_play(path: Path, casting: Casting) -> Play:
    """Start a play on the run file `path`, or go on with the one that is there.

    Raises:
        OSError: The folder cannot be written.
    """
    scored = ["--no-score"] if casting.scorer is None else [f"--scorer={casting.scorer}"]
    words = ["run", "human", f"--card={casting.card_id}", f"--seeker={casting.seeker}", *scored]
    words += [f"--rounds={casting.rounds}", f"--out={path}"]
    process, log, since = run_beside(path, words, folder=Path.cwd(), stdin=subprocess.PIPE)
    return Play(path, process, log, since=since, casting=casting)


def choices(folder: Path) -> Choices:
    """Return what can be chosen; reads the shelf, the cards and the runs in `folder`."""
    from escl.core.card_choice import CardChoice, matching, read_cards
    from escl.shelf.inventory import inventory

    here = [model for model in inventory() if model.state == "here"]
    # The toys last: who pulled the real ones means those.
    here.sort(key=lambda model: model.name.startswith("demo/"))
    return Choices(
        cards=matching(read_cards(), CardChoice()),
        seekers=[model.name for model in here if model.role == "seeker"],
        scorers=[model.name for model in here if model.role == "scorer"],
        unfinished=_unfinished(folder),
    )


def is_play(supporters: list[str]) -> bool:
    """Return whether a run is with a person alone."""
    from escl.supporters.outside import HUMAN

    return supporters == [HUMAN]


def _unfinished(folder: Path) -> Path | None:
    from escl.tui.overview import overview, runs_in

    for path, _ in runs_in(folder, ()):
        known = overview(path)
        if known.progress is None or not is_play(known.progress.supporters) or known.work == "running":
            continue
        if known.progress.dialogues["speaking"] + known.progress.dialogues["pending"]:
            return path
    return None


def casting_of(database: Database, among: Choices) -> Casting:
    """Return with whom a play that is in a run file was begun; the scorer is the one asked for, else the first here.

    Raises:
        UsageError: The seeker or the card is not here, or it is no play.
    """
    from escl.core.settings import SimulationSettings
    from escl.errors import UsageError
    from escl.store.run import RunStore

    store = RunStore.read(database)
    settings, dialogues = store.settings, store.dialogues()
    if not isinstance(settings, SimulationSettings) or not dialogues or {d.supporter for d in dialogues} != {"human"}:
        raise UsageError(f"{database.path} is no play: it is not with a person alone")
    seeker, card_id = settings.seeker.name, dialogues[0].card_id
    # The file may be from elsewhere: nothing that it names is run unless it is on this shelf.
    if seeker not in among.seekers:
        raise UsageError(f"{database.path} was begun with the seeker {seeker}, which is not on this shelf")
    if len(dialogues) > 1 or card_id not in {card.id for card in among.cards}:
        raise UsageError(
            f"{database.path} has other cards than escl's own, or several", hint="go on with it by its own command"
        )
    asked = [scorer for _, scorer in store.judgings()]
    scorer = next((one for one in (*asked, *among.scorers) if one in among.scorers), None)
    return Casting(seeker=seeker, scorer=scorer, card_id=card_id, rounds=settings.rounds)
