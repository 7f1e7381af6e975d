"""An arena as facts that are added and read: what one judge said about pairs of dialogues. Each `add` commits first.

A comparison is named by what the judge read, so that it is found again from whichever run its dialogues come. Knows no
supporter and no card.
"""

from __future__ import annotations

import json
import platform
import sqlite3
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric
from escl.core.settings import ArenaSettings, fingerprint
from escl.errors import StorageError
from escl.store.database import Database, Layout
from escl.store.records import Outcome

ARENA: Final = Layout(
    name="arena",
    what="an arena",
    made_by="escl arena",
    schema="arena.sql",
    application_id=0x65736361,  # "esca"
    version=1,
)


class Question(NamedTuple):
    """Which of two transcripts is better in one respect, in this order; each named by its sha256."""

    language: Language
    dimension: Dimension
    first_sha256: str
    second_sha256: str


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the judge said; label and numbers are None when its reply names no label."""

    reply: str
    label: int | None
    probabilities: tuple[float, float, float, float, float] | None
    off_label_mass: float | None
    busy_s: float


class ComparisonFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a question was given up."""

    error: str
    message: str


class ArenaStore:
    """The facts of one arena: one judge with one rubric."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempt: int | None = None

    @classmethod
    def begin(
        cls,
        database: Database,
        settings: ArenaSettings,
        rubric: JudgingRubric,
        *,
        command: str,
        versions: dict[str, str],
        notice: str | None = None,
    ) -> Self:
        """Start working on the arena in `database`: a new one, or the same one again.

        Args:
            database: Open for writing.
            settings: Who judges.
            rubric: By which words.
            command: As the user gave it.
            versions: Of what takes part.
            notice: What must be said wherever this judge's verdicts are shown.

        Raises:
            StorageError: The file holds another judge's comparisons, or of another rubric; the message says which.
        """
        store = cls(database)
        if database.rows("SELECT 1 FROM arena"):
            store.refuse_other_settings(settings)
        else:
            store._create(settings, rubric, notice)
        host = {"system": platform.platform(), "machine": platform.machine(), "python": platform.python_version()}
        with database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO attempt (command, versions, host, started_utc) VALUES (?, ?, ?, ?)",
                (command, json.dumps(versions), json.dumps(host), _now()),
            )
            store._attempt = cursor.lastrowid
        return store

    @classmethod
    def read(cls, database: Database) -> Self:
        """Look at the arena in `database`.

        Raises:
            StorageError: The file holds no arena yet.
        """
        if not database.rows("SELECT 1 FROM arena"):
            raise StorageError(f"{database.path} holds no arena yet")
        return cls(database)

    @property
    def settings(self) -> ArenaSettings:
        """Who judges, by which rubric."""
        (row,) = self._database.rows("SELECT settings FROM arena")
        return self._database.decoded(row["settings"], ArenaSettings, where="the arena's settings")

    @property
    def rubric(self) -> JudgingRubric:
        """The judge's instructions, as they were when the arena began."""
        (row,) = self._database.rows("SELECT rubric FROM arena")
        return self._database.decoded(row["rubric"], JudgingRubric, where="the arena's rubric")

    @property
    def notice(self) -> str | None:
        """What must be said wherever this judge's verdicts are shown."""
        (row,) = self._database.rows("SELECT notice FROM arena")
        notice: str | None = row["notice"]
        return notice

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._database.close()

    def add_plan(self, plan: object) -> None:
        """Record how this attempt means to load the judge."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE attempt SET plan = ? WHERE id = ?", (msgspec.json.encode(plan).decode(), self._attempt)
            )

    def add(self, question: Question, row: ComparisonRow) -> None:
        """Store what the judge said."""
        probabilities = row.probabilities or (None,) * 5
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO comparison VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *question,
                    row.reply,
                    row.label,
                    *probabilities,
                    row.off_label_mass,
                    row.busy_s,
                    self._attempt,
                    _now(),
                ),
            )

    def add_failure(self, question: Question, failure: ComparisonFailure) -> None:
        """Store that a question was given up."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO failure (language, dimension, first_sha256, second_sha256, error, message, attempt_id,"
                " failed_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*question, failure.error, failure.message, self._attempt, _now()),
            )

    def retry_failed(self) -> None:
        """Let what was given up be tried again; the failures stay on record as retried."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE failure SET retried = 1")

    def finish(self, outcome: Outcome) -> None:
        """Record how this attempt ended."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE attempt SET ended_utc = ?, outcome = ? WHERE id = ?", (_now(), outcome, self._attempt)
            )

    def comparisons(self) -> dict[Question, ComparisonRow]:
        """Return everything the judge said."""
        self._database.refuse_odd_labels("comparison")
        return {
            self._question(row): ComparisonRow(
                reply=row["reply"],
                label=row["label"],
                probabilities=None if row["p0"] is None else (row["p0"], row["p1"], row["p2"], row["p3"], row["p4"]),
                off_label_mass=row["off_label_mass"],
                busy_s=row["busy_s"],
            )
            for row in self._database.rows("SELECT * FROM comparison")
        }

    def failures(self) -> dict[Question, ComparisonFailure]:
        """Return what was given up and not retried."""
        rows = self._database.rows("SELECT * FROM failure WHERE NOT retried ORDER BY id")
        return {self._question(row): ComparisonFailure(error=row["error"], message=row["message"]) for row in rows}

    def _question(self, row: sqlite3.Row) -> Question:
        try:
            language, dimension = Language(row["language"]), Dimension(row["dimension"])
        except ValueError as error:
            raise self._database.damaged("a comparison", str(error)) from error
        return Question(language, dimension, row["first_sha256"], row["second_sha256"])

    def _create(self, settings: ArenaSettings, rubric: JudgingRubric, notice: str | None) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO arena VALUES (1, ?, ?, ?, ?, ?)",
                (
                    fingerprint(settings),
                    msgspec.json.encode(settings).decode(),
                    msgspec.json.encode(rubric).decode(),
                    notice,
                    _now(),
                ),
            )

    def refuse_other_settings(self, settings: ArenaSettings) -> None:
        """Refuse to go on in the file of another judge, or of another rubric.

        Raises:
            StorageError: The message says what differs.
        """
        before, after = msgspec.to_builtins(self.settings), msgspec.to_builtins(settings)
        differing = [f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]
        if differing:
            listed = "\n    ".join(differing)
            raise StorageError(
                f"{self._database.path} holds comparisons that were made otherwise:\n    {listed}",
                hint="name another --out",
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
