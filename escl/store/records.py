"""What the store gives and takes: one value for each kind of row."""

from __future__ import annotations

from typing import Literal

import msgspec

from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language

DialogueState = Literal["pending", "speaking", "complete", "failed"]
Outcome = Literal["finished", "interrupted", "error"]


class DialogueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dialogue as stored. `id` is the row's; card, supporter and repeat name it for people."""

    id: int
    card_id: str
    language: Language
    supporter: str
    repeat: int
    state: DialogueState


class TurnRow(msgspec.Struct, frozen=True, kw_only=True):
    """A turn and how it came to be; the numbers are None where nothing was generated or nobody said.

    Attributes:
        reasoning: What the speaker thought aloud, which is no part of the turn.
    """

    turn: Turn
    reasoning: str | None = None
    finish: Literal["stop", "length"] | None = None
    seed: int | None = None
    n_prompt: int | None = None
    n_reused: int | None = None
    n_generated: int | None = None
    busy_s: float | None = None


# Of numbers and texts only, in hundreds of thousands: the cycle collector would look through them again and again.
class LabelReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the scorer said about one dialogue in one respect.

    Attributes:
        reply: The scorer's whole reply.
        label: The label in it, or None when it names none.
        probabilities: Of the labels 0..4 at the label's place; None without a label.
        off_label_mass: Probability of anything else there; None without a label.
    """

    dialogue_id: int
    reply: str
    label: int | None
    probabilities: tuple[float, float, float, float, float] | None
    off_label_mass: float | None
    drafted: bool
    busy_s: float

    @property
    def expected(self) -> float | None:
        """Return the mean label (0-4) under the probabilities, renormalized over the labels."""
        if self.probabilities is None:
            return None
        # Written out: a big run has a hundred thousand of these, and `sum` takes three times as long.
        p0, p1, p2, p3, p4 = self.probabilities
        total = p0 + p1 + p2 + p3 + p4
        return None if total <= 0 else (p1 + 2 * p2 + 3 * p3 + 4 * p4) / total


class Reading(LabelReading, frozen=True, kw_only=True, gc=False):
    """What the scorer said about one of the seven dimensions of one dialogue."""

    dimension: Dimension


class OwnReading(LabelReading, frozen=True, kw_only=True, gc=False):
    """What the scorer said about a dimension of the user's own; `own` is its key."""

    own: str


class FailureRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong with one dialogue and was given up.

    Attributes:
        dimension: Set when the scorer failed on the finished dialogue.
        own: The same where it was asked about a dimension of the user's own: its key.
        position: The turn that could not be made, when a speaker failed.
    """

    dialogue_id: int
    error: str
    message: str
    dimension: Dimension | None = None
    own: str | None = None
    position: int | None = None


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a supporter which is no engine was asked for a turn.

    Attributes:
        position: Of the turn.
        number: 1 for the first try for this turn.
        waited_s: Before this try.
        status: Of HTTP; None where no answer came or none could.
        model: As the endpoint names it; None when it does not.
        error: Why it gave no turn; None when it did.
    """

    dialogue_id: int
    position: int
    number: int
    waited_s: float
    elapsed_s: float
    status: int | None = None
    model: str | None = None
    error: str | None = None


class LoadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model's stay in memory.

    Attributes:
        attempt: Which command it was, 1 for the run's first.
        slots: How many dialogues or prompts it could work on side by side.
        load_s: Seconds until it was ready.
        peak_bytes: The most memory its process had resident.
        left_utc: When its memory was free again; None when its process died or still runs.
    """

    attempt: int
    name: str
    device: str
    slots: int
    load_s: float
    peak_bytes: int
    loaded_utc: str
    left_utc: str | None


class RoundRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in one round of one supporter's dialogues, means over dialogues.

    Attributes:
        round: 1 for the first after the greeting.
        n_dialogues: In which the supporter has spoken in this round.
        seeker_chars: Length of the seeker's turn.
        supporter_chars: Length of the supporter's turn.
        supporter_tokens: The same in tokens; None where nothing was generated here or nobody said.
        n_cut: Supporter's turns that the token limit cut.
    """

    supporter: str
    round: int
    n_dialogues: int
    seeker_chars: float
    supporter_chars: float
    supporter_tokens: float | None
    n_cut: int


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command that worked on a run.

    Attributes:
        number: 1 for the run's first.
        versions: Of escl and what it computes with, by package.
        host: The system, its machine and Python.
        plan: JSON of what was to be in memory when; None where none was made.
        outcome: None when it still runs, or was killed.
        connections: Network connections that it tried to open.
    """

    number: int
    command: str
    versions: dict[str, str]
    host: dict[str, str]
    plan: str | None
    started_utc: str
    ended_utc: str | None
    outcome: Outcome | None
    connections: int


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model that took part.

    Attributes:
        sha256: Of its file; of a supporter that is no file of this machine as `SpeakerSettings` says.
        size_bytes: None for such a supporter.
    """

    role: Literal["seeker", "supporter", "scorer"]
    name: str
    sha256: str
    size_bytes: int | None
    notice: str | None = None
