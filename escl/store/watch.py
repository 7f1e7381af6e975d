"""How far a run is, asked of its file while another process works on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import filelock
import msgspec

from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension
from escl.core.own_dimension import OwnDimension
from escl.core.settings import SimulationSettings
from escl.errors import StorageError
from escl.store import beside
from escl.store.arena import ARENA
from escl.store.beside import Now
from escl.store.database import RUN, Database
from escl.store.records import Outcome
from escl.store.run import OF_THE_SEVEN, RunStore, own_apart

_MAGIC: Final = b"SQLite format 3\0"
_ID_AT: Final = 68
"""Where SQLite keeps the application's id (https://sqlite.org/fileformat.html, 1.3)."""
_LATEST: Final = 60
"""Of turns and failures, how many are shown at most."""

Work = Literal["running", "finished", "interrupted", "error", "killed"]
"""What became of the last command that worked on a run; "killed": it ended without saying how."""


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is in memory."""

    name: str
    device: str
    peak_bytes: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a dialogue that is being spoken."""

    dialogue_id: int
    card_id: str
    supporter: str
    repeat: int
    position: int
    speaker: Speaker
    text: str


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was given up, with whose dialogue it was."""

    card_id: str
    supporter: str
    dimension: Dimension | None
    position: int | None
    error: str
    message: str
    own: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is.

    Attributes:
        dialogues: By state.
        n_turns: Said, without the greetings. `n_turns_asked` is None for imported dialogues; of a dialogue that has
            failed it counts what was said, as nothing more will be.
        n_readings: Of the judging asked for last, and of the user's own dimensions; None before the first.
        outcome: Of the last command; None while it runs, or when it was killed.
    """

    supporters: list[str]
    scorer: str | None
    protocol: str
    n_cards: int
    dialogues: dict[str, int]
    n_turns: int
    n_turns_asked: int | None
    n_readings: int | None
    n_readings_asked: int
    n_failures: int
    command: str
    started_utc: str
    ended_utc: str | None
    outcome: Outcome | None

    def work(self, *, is_held: bool) -> Work:
        """Return what became of the last command, from whether a process holds the run's lock."""
        if self.outcome is not None and self.ended_utc is not None and not is_held:
            return self.outcome
        return "running" if is_held else "killed"


class Watcher:
    """Reads how far an open run is. Cheap enough to be asked every second of a run of ten thousand dialogues."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run = RunStore.read(database)
        settings = self._run.settings
        self._rounds = settings.rounds if isinstance(settings, SimulationSettings) else None
        self._protocol = self._run.protocol.name

    def progress(self) -> Progress:
        """Return how far the run is now."""
        rows = self._database.rows
        states = dict.fromkeys(("pending", "speaking", "complete", "failed"), 0)
        states |= {row["state"]: row["n"] for row in rows("SELECT state, count(*) AS n FROM dialogue GROUP BY state")}
        n_dialogues = sum(states.values())
        n_said = self._n_turns()
        judging = rows(f"SELECT id, scorer FROM judging WHERE {OF_THE_SEVEN} ORDER BY asked_utc DESC, id DESC LIMIT 1")
        own = self._run.own_judgings()
        shown = [*(row["id"] for row in judging), *(judging_id for judging_id, _ in own)]
        attempts = rows("SELECT command, started_utc, ended_utc, outcome FROM attempt ORDER BY id DESC LIMIT 1")
        if not attempts:
            raise StorageError(f"{self._database.path} holds a run that nobody began", hint="do not trust this file")
        attempt = attempts[0]
        return Progress(
            supporters=[row["supporter"] for row in rows("SELECT DISTINCT supporter FROM dialogue")],
            scorer=judging[0]["scorer"] if judging else None,
            protocol=self._protocol,
            n_cards=rows("SELECT count(DISTINCT card_id) AS n FROM dialogue")[0]["n"],
            dialogues=states,
            n_turns=sum(n_said.values()) + self._n_turns_of(states["complete"]),
            n_turns_asked=None
            if self._rounds is None
            else self._n_turns_of(n_dialogues - states["failed"]) + n_said.get("failed", 0),
            n_readings=sum(map(self._n_readings, shown)) if shown else None,
            n_readings_asked=len(Dimension) * (n_dialogues - states["failed"]) + self._n_own_asked(own),
            n_failures=rows("SELECT count(*) AS n FROM failure WHERE NOT retried")[0]["n"],
            command=attempt["command"],
            started_utc=attempt["started_utc"],
            ended_utc=attempt["ended_utc"],
            outcome=attempt["outcome"],
        )

    def in_memory(self) -> list[Stay]:
        """Return the models that the last command has in memory."""
        rows = self._database.rows(
            "SELECT name, json_extract(ready, '$.device') AS device, peak_bytes FROM load"
            # The load of an engine that died has no end either; the one that came in its place is later.
            " WHERE left_utc IS NULL AND id IN (SELECT max(id) FROM load"
            " WHERE attempt_id = (SELECT max(id) FROM attempt) GROUP BY name) ORDER BY id"
        )
        return [self._database.taken(dict(row), Stay) for row in rows]

    def latest(self, limit: int = 8, *, among: Sequence[int] | None = None) -> list[Said]:
        """Return the last turn of dialogues that are being spoken, the newest first; `among` names their ids."""
        ids = [] if among is None else list(among)[:_LATEST]
        rows = self._database.rows(
            "SELECT d.id AS dialogue_id, d.card_id, d.supporter, d.repeat, t.position, t.speaker, t.text"
            " FROM dialogue d"
            " JOIN turn t ON t.dialogue_id = d.id"
            " WHERE d.state = 'speaking' AND t.position = (SELECT max(position) FROM turn WHERE dialogue_id = d.id)"
            + ("" if among is None else f" AND d.id IN ({', '.join('?' * len(ids))})")
            + " ORDER BY t.said_utc DESC LIMIT ?",
            *ids,
            min(limit, _LATEST),
        )
        return [self._database.taken(dict(row), Said) for row in rows]

    def speaking(self, now: Now | None, limit: int = 8) -> list[Said]:
        """Return dialogues that are being spoken with their last stored turn, in their own order.

        Those in which a turn is written `now` come before others, if there are more than `limit`.
        """
        ids = [] if now is None else [speech.dialogue_id for speech in now.speaking]
        found = self.latest(limit, among=ids) if ids else []
        if len(found) < limit:
            known = {said.dialogue_id for said in found}
            found += [said for said in self.latest(limit) if said.dialogue_id not in known]
        return sorted(found[:limit], key=lambda said: said.dialogue_id)

    def now(self) -> Now | None:
        """Return what the run tells of this moment; None when nothing, or what an earlier command told."""
        now = beside.told(self._database.path)
        attempts = self._database.rows("SELECT max(id) AS id FROM attempt")
        return now if now is not None and attempts[0]["id"] == now.attempt else None

    def troubles(self, limit: int = 20) -> list[Trouble]:
        """Return what was given up last and not retried, the newest first."""
        rows = self._database.rows(
            "SELECT d.card_id, d.supporter, f.dimension, f.position, f.error, f.message FROM failure f"
            " JOIN dialogue d ON d.id = f.dialogue_id WHERE NOT f.retried ORDER BY f.id DESC LIMIT ?",
            min(limit, _LATEST),
        )
        return [self._database.taken(own_apart(dict(row)), Trouble) for row in rows]

    def _n_turns(self) -> dict[str, int]:
        """Return the turns said by the dialogue's state; complete dialogues only where their turns need counting."""
        if self._rounds is None:
            return {"complete": int(self._database.rows("SELECT count(*) AS n FROM turn WHERE position > 0")[0]["n"])}
        rows = self._database.rows(
            "SELECT state, sum((SELECT count(*) FROM turn WHERE dialogue_id = d.id AND position > 0)) AS n"
            " FROM dialogue d WHERE state IN ('speaking', 'failed') GROUP BY state"
        )
        return {row["state"]: int(row["n"]) for row in rows}

    def _n_turns_of(self, n_dialogues: int) -> int:
        """Return the turns that so many whole dialogues have, as far as the settings say."""
        return 0 if self._rounds is None else n_dialogues * 2 * self._rounds

    def _n_own_asked(self, judgings: Sequence[tuple[int, OwnDimension]]) -> int:
        if not judgings:
            return 0
        rows = self._database.rows(
            "SELECT language, count(*) AS n FROM dialogue WHERE state <> 'failed' GROUP BY language"
        )
        asked = {row["language"]: int(row["n"]) for row in rows}
        return sum(asked.get(language, 0) for _, own in judgings for language in own.languages)

    def _n_readings(self, judging_id: int) -> int:
        return int(self._database.rows("SELECT count(*) AS n FROM reading WHERE judging_id = ?", judging_id)[0]["n"])


def is_run(path: Path) -> bool:
    """Return whether a file's first bytes are those of a run; never raises, and opens no database."""
    return _has_id(path, RUN.application_id)


def is_arena(path: Path) -> bool:
    """Return whether a file's first bytes are those of an arena; never raises, and opens no database."""
    return _has_id(path, ARENA.application_id)


def is_held(path: Path) -> bool:
    """Return whether a process works on the run at `path`."""
    lock_path = path.with_name(path.name + ".lock")
    if not lock_path.exists():
        return False
    lock = filelock.FileLock(lock_path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _has_id(path: Path, application_id: int) -> bool:
    try:
        if not path.is_file() or path.is_symlink():
            return False
        with path.open("rb") as file:
            head = file.read(_ID_AT + 4)
    except OSError:
        return False
    return head.startswith(_MAGIC) and int.from_bytes(head[_ID_AT:], "big") == application_id
