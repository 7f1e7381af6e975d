"""What a run keeps about its crisis dialogues: a scorer's answers to a flow, and what people made of findings.

Lives in the run's own file. Answers and reviews are added and never changed: a person who thinks again adds another
review, and the latest counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from escl.core.flow import Flow
from escl.core.settings import JudgingSettings, fingerprint
from escl.store.database import Database

ReviewVerdict = Literal["confirmed", "dismissed"]


class FlowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a scorer said to one step about one dialogue.

    Attributes:
        step: Id of the step.
        position: Of the last turn that the scorer read.
        reply: Its whole reply; None when there is none, and `error` says why.
        label: The label in the reply, 0 to 4; None when it names none.
        probabilities: Of the labels 0 to 4 there.
        off_label_mass: Probability of anything else there.
    """

    dialogue_id: int
    step: str
    position: int
    reply: str | None
    label: int | None
    probabilities: tuple[float, float, float, float, float] | None
    off_label_mass: float | None
    error: str | None
    busy_s: float


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer with one flow."""

    id: int
    scorer: str
    flow: Flow


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a person made of a finding.

    Attributes:
        finding: The finding's id.
        reviewer: As the person gives it.
        note: What they want to say about it; None when nothing.
    """

    finding: str
    verdict: ReviewVerdict
    reviewer: str
    note: str | None
    reviewed_utc: str


class CrisisStore:
    """The crisis facts in a run's file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_asking(self, flow: Flow, settings: JudgingSettings) -> int:
        """Return the id of the asking of this flow by this scorer, stored now if it is new; it becomes the latest."""
        key = f"{flow.sha256()}:{fingerprint(settings)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO asking (fingerprint, scorer, settings, flow, created_utc, asked_utc)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET asked_utc = excluded.asked_utc",
                (
                    key,
                    settings.scorer,
                    msgspec.json.encode(settings).decode(),
                    msgspec.json.encode(flow).decode(),
                    _now(),
                    _now(),
                ),
            )
        (row,) = self._database.rows("SELECT id FROM asking WHERE fingerprint = ?", key)
        return int(row["id"])

    def latest_asking(self) -> Asking | None:
        """Return the asking that was worked on last; None when no scorer was asked."""
        rows = self._database.rows("SELECT id, scorer, flow FROM asking ORDER BY asked_utc DESC, id DESC LIMIT 1")
        if not rows:
            return None
        (row,) = rows
        flow = self._database.decoded(row["flow"], Flow, where="the flow of questions")
        return Asking(id=row["id"], scorer=row["scorer"], flow=flow)

    def add_answer(self, asking_id: int, answer: FlowAnswer) -> None:
        """Store what the scorer said, in place of an earlier error if there was one."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO flow_answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    asking_id,
                    answer.dialogue_id,
                    answer.step,
                    answer.position,
                    answer.reply,
                    answer.label,
                    *(answer.probabilities or (None,) * 5),
                    answer.off_label_mass,
                    answer.error,
                    answer.busy_s,
                    _now(),
                ),
            )

    def answers(self, asking_id: int, flow: Flow) -> list[FlowAnswer]:
        """Return everything that an asking about the steps of `flow` brought.

        Raises:
            StorageError: There are answers that no asking brings.
        """
        self._database.refuse_odd_labels("flow_answer", "asking_id = ?", asking_id)
        rows = self._database.rows(
            "SELECT * FROM flow_answer WHERE asking_id = ? ORDER BY dialogue_id, position, step", asking_id
        )
        if strange := {row["step"] for row in rows} - {step.id for step in flow.steps}:
            raise self._database.damaged("an answer about a crisis", f"there is no step {min(strange)}")
        return [
            FlowAnswer(
                dialogue_id=row["dialogue_id"],
                step=row["step"],
                position=row["position"],
                reply=row["reply"],
                label=row["label"],
                probabilities=None if row["p0"] is None else (row["p0"], row["p1"], row["p2"], row["p3"], row["p4"]),
                off_label_mass=row["off_label_mass"],
                error=row["error"],
                busy_s=row["busy_s"],
            )
            for row in rows
        ]

    def add_review(self, finding: str, verdict: ReviewVerdict, *, reviewer: str, note: str | None = None) -> None:
        """Store what a person made of a finding."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO review (finding, verdict, reviewer, note, reviewed_utc) VALUES (?, ?, ?, ?, ?)",
                (finding, verdict, reviewer, note, _now()),
            )

    def reviews(self) -> list[ReviewRow]:
        """Return all reviews in order of time."""
        rows = self._database.rows("SELECT finding, verdict, reviewer, note, reviewed_utc FROM review ORDER BY id")
        return [self._database.taken(dict(row), ReviewRow) for row in rows]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
