"""A run as facts that are added and read: dialogues, turns, readings, failures. Each `add` commits before returning."""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import msgspec

from escl.core import connections
from escl.core.card import RoleCard
from escl.core.dialogue import Turn
from escl.core.dimension import Dimension
from escl.core.own_dimension import OwnDimension
from escl.core.protocol import Protocol
from escl.core.settings import GenerationSettings, JudgingSettings, differences, fingerprint
from escl.errors import StorageError
from escl.store import beside
from escl.store.database import Database
from escl.store.records import (
    AttemptRow,
    DialogueRow,
    DialogueState,
    FailureRow,
    LoadRow,
    ModelRow,
    Outcome,
    OwnReading,
    Reading,
    RequestRow,
    RoundRow,
    TurnRow,
)

OF_THE_SEVEN: Final = "json_extract(settings, '$.own') IS NULL"
"""Of a row of the table of judgings: whether it is about the seven dimensions."""


class RunStore:
    """The facts of one run. Made with `begin` (to work on it) or `read` (to look at it)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempt_id: int | None = None
        self._connections_before = 0

    @classmethod
    def begin(
        cls,
        database: Database,
        settings: GenerationSettings,
        protocol: Protocol,
        *,
        command: str,
        versions: dict[str, str],
    ) -> Self:
        """Start working on the run in `database`: a new one, or the same one again. A pause asked for before is over.

        Raises:
            StorageError: The file holds a run with other settings; the message names them.
        """
        store = cls(database)
        connections.watch()
        store._connections_before = connections.attempted()
        if database.rows("SELECT 1 FROM run"):
            store._refuse_other_settings(settings)
        else:
            store._create(settings, protocol)
        host = {"system": platform.platform(), "machine": platform.machine(), "python": platform.python_version()}
        with database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO attempt (command, versions, host, started_utc) VALUES (?, ?, ?, ?)",
                (command, json.dumps(versions), json.dumps(host), _now()),
            )
            store._attempt_id = cursor.lastrowid
        beside.clear(database.path)
        return store

    @classmethod
    def read(cls, database: Database) -> Self:
        """Look at the run in `database`.

        Raises:
            StorageError: The file holds no run yet.
        """
        if not database.rows("SELECT 1 FROM run"):
            raise StorageError(f"{database.path} holds no run yet")
        return cls(database)

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._database.close()

    @property
    def database(self) -> Database:
        """The run's file, for what others keep in it."""
        return self._database

    @property
    def settings(self) -> GenerationSettings:
        """What the run's dialogues are made of."""
        (row,) = self._database.rows("SELECT settings FROM run")
        union: Any = GenerationSettings
        settings: GenerationSettings = self._database.decoded(row["settings"], union, where="the run's settings")
        return settings

    @property
    def protocol(self) -> Protocol:
        """The words of the run, as they were when it began."""
        (row,) = self._database.rows("SELECT protocol FROM run")
        return self._database.decoded(row["protocol"], Protocol, where="the run's protocol")

    def add_cards(self, cards: Iterable[RoleCard]) -> None:
        """Store the cards that are not stored yet."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO card (id, language, text, category, subcategory, source, crisis, severity)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(c.id, c.language, c.text, c.category, c.subcategory, c.source, c.crisis, c.severity) for c in cards],
            )

    def add_models(self, models: Iterable[ModelRow]) -> None:
        """Store the models that are not stored yet."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO model (role, name, sha256, size_bytes, notice) VALUES (?, ?, ?, ?, ?)",
                [(m.role, m.name, m.sha256, m.size_bytes, m.notice) for m in models],
            )

    def add_plan(self, plan: object) -> None:
        """Record what this attempt means to have in memory when."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE attempt SET plan = ? WHERE id = ?", (msgspec.json.encode(plan).decode(), self.attempt)
            )

    def add_load(self, name: str, ready: object, *, peak_bytes: int) -> int:
        """Record that a model was loaded, and return the id of the load; `ready` is what its engine said."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO load (attempt_id, name, ready, peak_bytes, loaded_utc) VALUES (?, ?, ?, ?, ?)",
                (self.attempt, name, msgspec.json.encode(ready).decode(), peak_bytes, _now()),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end_load(self, load_id: int, *, peak_bytes: int) -> None:
        """Record that the memory of a load is free again."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE load SET left_utc = ?, peak_bytes = ? WHERE id = ?", (_now(), peak_bytes, load_id)
            )

    def plan_dialogues(self, planned: Iterable[tuple[str, str, str, int]]) -> None:
        """Add the (card id, language, supporter, repeat) that are not there yet, as pending dialogues."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO dialogue (card_id, language, supporter, repeat) VALUES (?, ?, ?, ?)",
                list(planned),
            )

    def import_dialogue(self, *, card_id: str, language: str, supporter: str, turns: Sequence[Turn]) -> None:
        """Add a finished dialogue that was spoken elsewhere, unless it is there already."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO dialogue (card_id, language, supporter, repeat, state)"
                " VALUES (?, ?, ?, 0, 'complete')",
                (card_id, language, supporter),
            )
            if cursor.rowcount == 0:
                return
            connection.executemany(
                "INSERT INTO turn (dialogue_id, position, speaker, text, said_utc) VALUES (?, ?, ?, ?, ?)",
                [(cursor.lastrowid, at, turn.speaker, turn.text, _now()) for at, turn in enumerate(turns)],
            )

    def set_state(self, dialogue_id: int, state: DialogueState) -> None:
        """Move a dialogue to `state`, if the schema's table of changes allows it."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE dialogue SET state = ? WHERE id = ?", (state, dialogue_id))

    def add_turn(self, dialogue_id: int, position: int, row: TurnRow, *, last: bool = False) -> None:
        """Store a turn; with `last`, its dialogue becomes complete in the same transaction."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    dialogue_id,
                    position,
                    row.turn.speaker,
                    row.turn.text,
                    row.reasoning,
                    row.finish,
                    row.seed,
                    row.n_prompt,
                    row.n_reused,
                    row.n_generated,
                    row.busy_s,
                    _now(),
                ),
            )
            if last:
                connection.execute("UPDATE dialogue SET state = 'complete' WHERE id = ?", (dialogue_id,))

    def add_request(self, row: RequestRow) -> None:
        """Store that a supporter was asked, and how many connections this attempt has tried to open by now."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO request (attempt_id, dialogue_id, position, number, waited_s, elapsed_s, status, model,"
                " error, asked_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self.attempt, *msgspec.structs.astuple(row), _now()),
            )
            self._count_connections(connection)

    def _count_connections(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE attempt SET connections = ? WHERE id = ?",
            (connections.attempted() - self._connections_before, self.attempt),
        )

    def add_failure(self, row: FailureRow, *, judging_id: int | None = None) -> None:
        """Store a failure; a speaker's makes its dialogue failed in the same transaction."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO failure"
                " (attempt_id, dialogue_id, judging_id, dimension, position, error, message, failed_utc)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self.attempt,
                    row.dialogue_id,
                    judging_id,
                    row.dimension or row.own,
                    row.position,
                    row.error,
                    row.message,
                    _now(),
                ),
            )
            if judging_id is None:
                connection.execute("UPDATE dialogue SET state = 'failed' WHERE id = ?", (row.dialogue_id,))

    def retry_failed(self, *, judging_id: int | None = None) -> None:
        """Let what the speakers, or one judging, gave up be tried again; the failures stay on record as retried."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE failure SET retried = 1 WHERE judging_id IS ?", (judging_id,))
            if judging_id is not None:
                return
            connection.execute("UPDATE dialogue SET state = 'speaking' WHERE state = 'failed'")

    def add_judging(self, settings: JudgingSettings, *, is_shown: bool = True) -> int:
        """Return the id of the judging with these settings, stored now if it is new.

        Args:
            settings: What its fingerprint is made of.
            is_shown: Whether it becomes the one that is shown; if not, it comes after all that were ever asked for.
        """
        key = fingerprint(settings)
        if not is_shown:
            return self._add_unshown_judging(key, settings)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO judging (fingerprint, scorer, settings, created_utc, asked_utc) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (fingerprint) DO UPDATE SET asked_utc = excluded.asked_utc",
                (key, settings.scorer, msgspec.json.encode(settings).decode(), _now(), _now()),
            )
        (row,) = self._database.rows("SELECT id FROM judging WHERE fingerprint = ?", key)
        return int(row["id"])

    def _add_unshown_judging(self, key: str, settings: JudgingSettings) -> int:
        """Return the id of a judging that counts as asked for when the run began: before every one of the user's."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO judging (fingerprint, scorer, settings, created_utc, asked_utc)"
                " SELECT ?, ?, ?, ?, created_utc FROM run WHERE true ON CONFLICT (fingerprint) DO NOTHING",
                (key, settings.scorer, msgspec.json.encode(settings).decode(), _now()),
            )
        (row,) = self._database.rows("SELECT id FROM judging WHERE fingerprint = ?", key)
        return int(row["id"])

    def add_reading(self, judging_id: int, reading: Reading | OwnReading) -> None:
        """Store what the scorer said about one dimension of one dialogue."""
        dimension = reading.dimension if isinstance(reading, Reading) else reading.own
        probabilities = reading.probabilities or (None,) * 5
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    judging_id,
                    reading.dialogue_id,
                    dimension,
                    reading.reply,
                    reading.label,
                    *probabilities,
                    reading.off_label_mass,
                    reading.drafted,
                    reading.busy_s,
                    _now(),
                ),
            )

    def finish(self, outcome: Outcome) -> None:
        """Record how this attempt ended."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE attempt SET ended_utc = ?, outcome = ? WHERE id = ?", (_now(), outcome, self.attempt)
            )
            self._count_connections(connection)
        beside.clear(self._database.path)

    def cards(self) -> dict[str, RoleCard]:
        """Return the run's cards by id."""
        rows = self._database.rows(
            "SELECT id, language, text, category, subcategory, source, crisis, severity FROM card"
        )
        return {row["id"]: self._database.taken(dict(row), RoleCard) for row in rows}

    def models(self) -> list[ModelRow]:
        """Return the models that took part."""
        rows = self._database.rows("SELECT role, name, sha256, size_bytes, notice FROM model ORDER BY rowid")
        return [self._database.taken(dict(row), ModelRow) for row in rows]

    def attempts(self) -> list[AttemptRow]:
        """Return every command that worked on this run, in order of time."""
        rows = self._database.rows(
            "SELECT id AS number, command, versions, host, plan, started_utc, ended_utc, outcome, connections"
            " FROM attempt ORDER BY id"
        )
        return [
            self._database.taken(
                {
                    **dict(row),
                    "versions": self._database.decoded(row["versions"], dict[str, str], where="an attempt's versions"),
                    "host": self._database.decoded(row["host"], dict[str, str], where="an attempt's host"),
                },
                AttemptRow,
            )
            for row in rows
        ]

    def dialogues(self) -> list[DialogueRow]:
        """Return all dialogues in the order they were planned."""
        rows = self._database.rows("SELECT id, card_id, language, supporter, repeat, state FROM dialogue ORDER BY id")
        return [self._database.taken(dict(row), DialogueRow) for row in rows]

    def turns(self, dialogue_id: int) -> list[Turn]:
        """Return the turns of a dialogue that exist, in order."""
        rows = self._database.rows(
            "SELECT speaker, text FROM turn WHERE dialogue_id = ? ORDER BY position", dialogue_id
        )
        return [self._database.taken(dict(row), Turn) for row in rows]

    def cut_turns(self) -> dict[int, int]:
        """Return how many turns of each dialogue were cut by the token limit, by dialogue id, zeros left out."""
        rows = self._database.rows(
            "SELECT dialogue_id, count(*) AS n FROM turn WHERE finish = 'length' GROUP BY dialogue_id"
        )
        return {row["dialogue_id"]: row["n"] for row in rows}

    def rounds(self) -> list[RoundRow]:
        """Return how much either side said in each round, by supporter in the order they were planned."""
        rows = self._database.rows(
            "SELECT supporter, reply.position / 2 AS round, count(*) AS n_dialogues,"
            " avg(length(asked.text)) AS seeker_chars, avg(length(reply.text)) AS supporter_chars,"
            " avg(reply.n_generated) AS supporter_tokens, sum(reply.finish IS 'length') AS n_cut"
            " FROM dialogue JOIN turn AS reply ON reply.dialogue_id = dialogue.id AND reply.speaker = 'supporter'"
            " JOIN turn AS asked ON asked.dialogue_id = dialogue.id AND asked.position = reply.position - 1"
            " GROUP BY supporter, round ORDER BY min(dialogue.id), round"
        )
        return [self._database.taken(dict(row), RoundRow) for row in rows]

    def finishes(self) -> dict[int, list[Literal["stop", "length"] | None]]:
        """Return how each turn of each dialogue ended, by dialogue id; None where nothing was generated."""
        found: dict[int, list[Literal["stop", "length"] | None]] = {}
        for row in self._database.rows("SELECT dialogue_id, finish FROM turn ORDER BY dialogue_id, position"):
            found.setdefault(row["dialogue_id"], []).append(row["finish"])
        return found

    def judgings(self) -> list[tuple[int, str]]:
        """Return the (id, scorer) of every judging of the seven dimensions, the one asked for last at the end."""
        rows = self._database.rows(f"SELECT id, scorer FROM judging WHERE {OF_THE_SEVEN} ORDER BY asked_utc, id")
        return [(row["id"], row["scorer"]) for row in rows]

    def own_judgings(self) -> list[tuple[int, OwnDimension]]:
        """Return the (id, dimension) of the latest judging of every dimension of the user's own, in order of time.

        The same key with other words, or by another scorer, is another judging: the one asked for last counts.
        """
        rows = self._database.rows(
            "SELECT id, json_extract(settings, '$.own.key') AS key FROM judging"
            f" WHERE NOT {OF_THE_SEVEN} ORDER BY asked_utc, id"
        )
        latest = {row["key"]: int(row["id"]) for row in rows}
        found = ((number, self.judging_settings(number).own) for number in sorted(latest.values()))
        return [(number, own) for number, own in found if own is not msgspec.UNSET]

    def judging_settings(self, judging_id: int) -> JudgingSettings:
        """Return what the fingerprint of a judging is made of."""
        (row,) = self._database.rows("SELECT settings FROM judging WHERE id = ?", judging_id)
        return self._database.decoded(row["settings"], JudgingSettings, where="a judging's settings")

    def kv_types(self, judging_id: int) -> tuple[str, ...]:
        """Return how keys and values were stored while a judging read, by the plans of the attempts that read.

        Empty when nothing was read; without a plan an attempt says nothing.
        """
        rows = self._database.rows(
            "SELECT DISTINCT json_extract(engine.value, '$.spec.kv_type') AS kv_type FROM"
            " (SELECT DISTINCT (SELECT max(id) FROM attempt WHERE started_utc <= read_utc) AS attempt_id"
            "  FROM reading WHERE judging_id = ?)"
            " JOIN attempt ON attempt.id = attempt_id,"
            " json_each(plan, '$.candidates[' || json_extract(plan, '$.chosen') || '].engines') AS engine"
            " WHERE json_extract(engine.value, '$.role') = 'scorer' ORDER BY kv_type",
            judging_id,
        )
        return tuple(row["kv_type"] for row in rows if row["kv_type"] is not None)

    def readings(self, judging_id: int, *, dialogue_id: int | None = None) -> list[Reading]:
        """Return everything one judging read, or what it read in one dialogue."""
        # Two queries, not one with an "or": only so the second finds its few rows by the key.
        among, ids = ("", [judging_id]) if dialogue_id is None else (" AND dialogue_id = ?", [judging_id, dialogue_id])
        rows = self._database.rows(
            "SELECT dialogue_id, dimension, reply, label, p0, p1, p2, p3, p4, off_label_mass, drafted, busy_s"
            f" FROM reading WHERE judging_id = ?{among} ORDER BY dialogue_id, dimension",
            *ids,
        )
        self._database.refuse_odd_labels("reading", f"judging_id = ?{among}", *ids)
        # By place and not by name, and the dimensions looked up once: a big run has a hundred thousand of these.
        known = {one.value: one for one in Dimension}
        if strange := {row["dimension"] for row in rows} - {*known}:
            raise self._database.damaged("a reading", f"there is no dimension {sorted(strange)[0]}")
        return [
            Reading(
                dialogue_id=dialogue_id,
                dimension=known[dimension],
                reply=reply,
                label=label,
                probabilities=None if p0 is None else (p0, p1, p2, p3, p4),
                off_label_mass=mass,
                drafted=bool(drafted),
                busy_s=busy_s,
            )
            for dialogue_id, dimension, reply, label, p0, p1, p2, p3, p4, mass, drafted, busy_s in rows
        ]

    def own_readings(self, judging_id: int, *, dialogue_id: int | None = None) -> list[OwnReading]:
        """Return what one judging read about the dimension of the user's own that it is about, as `readings` does."""
        among, ids = ("", [judging_id]) if dialogue_id is None else (" AND dialogue_id = ?", [judging_id, dialogue_id])
        rows = self._database.rows(
            "SELECT dialogue_id, dimension AS own, reply, label, p0, p1, p2, p3, p4, off_label_mass, drafted, busy_s"
            f" FROM reading WHERE judging_id = ?{among} ORDER BY dialogue_id",
            *ids,
        )
        self._database.refuse_odd_labels("reading", f"judging_id = ?{among}", *ids)
        return [
            OwnReading(
                dialogue_id=dialogue_id,
                own=own,
                reply=reply,
                label=label,
                probabilities=None if p0 is None else (p0, p1, p2, p3, p4),
                off_label_mass=mass,
                drafted=bool(drafted),
                busy_s=busy_s,
            )
            for dialogue_id, own, reply, label, p0, p1, p2, p3, p4, mass, drafted, busy_s in rows
        ]

    def loads(self) -> list[LoadRow]:
        """Return every load of a model, in order of time."""
        rows = self._database.rows(
            "SELECT attempt_id AS attempt, name, json_extract(ready, '$.device') AS device,"
            " json_extract(ready, '$.slots') AS slots, json_extract(ready, '$.load_s') AS load_s, peak_bytes,"
            " loaded_utc, left_utc FROM load ORDER BY id"
        )
        return [self._database.taken(dict(row), LoadRow) for row in rows]

    def requests(self, dialogue_id: int | None = None) -> list[RequestRow]:
        """Return every time that a supporter which is no engine was asked: for one dialogue, or for all."""
        rows = self._database.rows(
            "SELECT dialogue_id, position, number, waited_s, elapsed_s, status, model, error FROM request"
            " WHERE ? IS NULL OR dialogue_id = ? ORDER BY id",
            dialogue_id,
            dialogue_id,
        )
        return [self._database.taken(dict(row), RequestRow) for row in rows]

    def asked_again(self) -> dict[str, int]:
        """Return how often each supporter had to be asked again for a turn, by its name, zeros left out."""
        rows = self._database.rows(
            "SELECT supporter, count(*) AS n FROM request JOIN dialogue ON dialogue.id = dialogue_id"
            " WHERE number > 1 GROUP BY supporter"
        )
        return {row["supporter"]: row["n"] for row in rows}

    def answered_as(self) -> dict[str, list[str]]:
        """Return what the endpoint of each supporter called its model, by the supporter's name, in order of time."""
        rows = self._database.rows(
            "SELECT supporter, model FROM request JOIN dialogue ON dialogue.id = dialogue_id"
            " WHERE model IS NOT NULL GROUP BY supporter, model ORDER BY min(request.id)"
        )
        named: dict[str, list[str]] = {}
        for row in rows:
            named.setdefault(row["supporter"], []).append(row["model"])
        return named

    def connections(self) -> int:
        """Return how many network connections all commands that worked on this run tried to open."""
        (row,) = self._database.rows("SELECT coalesce(sum(connections), 0) AS n FROM attempt")
        return int(row["n"])

    def failures(self, judging_id: int | None = None) -> list[FailureRow]:
        """Return what was given up and not retried: by the speakers, or by one judging."""
        rows = self._database.rows(
            "SELECT dialogue_id, error, message, dimension, position FROM failure"
            " WHERE NOT retried AND judging_id IS ? ORDER BY id",
            judging_id,
        )
        return [self._database.taken(own_apart(dict(row)), FailureRow) for row in rows]

    @property
    def attempt(self) -> int:
        """The number of this command among those that worked on the run."""
        if self._attempt_id is None:
            raise StorageError(f"{self._database.path} was opened for reading")
        return self._attempt_id

    def _create(self, settings: GenerationSettings, protocol: Protocol) -> None:
        kind = type(settings).__struct_config__.tag
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO run VALUES (1, ?, ?, ?, ?, ?)",
                (
                    kind,
                    fingerprint(settings),
                    msgspec.json.encode(settings).decode(),
                    msgspec.json.encode(protocol).decode(),
                    _now(),
                ),
            )

    def _refuse_other_settings(self, settings: GenerationSettings) -> None:
        if fingerprint(self.settings) != fingerprint(settings):
            listed = "\n    ".join(differences(self.settings, settings))
            raise StorageError(
                f"{self._database.path} holds a run with other settings:\n    {listed}",
                hint="repeat the settings of that run to resume it, or name another --out",
            )


def own_apart(failure: dict[str, object]) -> dict[str, object]:
    """Return a row of the table of failures with the key of a dimension of the user's own under `own`."""
    if failure["dimension"] is None or failure["dimension"] in set(Dimension):
        return failure
    return {**failure, "own": failure["dimension"], "dimension": None}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
