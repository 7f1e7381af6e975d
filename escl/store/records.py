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
    """A turn and how it came to be; the numbers are None where nothing was generated."""

    turn: Turn
    finish: Literal["stop", "length"] | None = None
    seed: int | None = None
    n_prompt: int | None = None
    n_reused: int | None = None
    n_generated: int | None = None
    busy_s: float | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the scorer said about one dimension of one dialogue.

    Attributes:
        reply: The scorer's whole reply.
        label: The label in it, or None when it names none.
        probabilities: Of the labels 0..4 at the label's place; None without a label.
        off_label_mass: Probability of anything else there; None without a label.
    """

    dialogue_id: int
    dimension: Dimension
    reply: str
    label: int | None
    probabilities: tuple[float, float, float, float, float] | None
    off_label_mass: float | None
    drafted: bool
    busy_s: float

    @property
    def expected(self) -> float | None:
        """Return the mean label (0-4) under the probabilities, renormalized over the labels."""
        if self.probabilities is None or (total := sum(self.probabilities)) <= 0:
            return None
        return sum(label * p for label, p in enumerate(self.probabilities)) / total


class FailureRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong with one dialogue and was given up.

    Attributes:
        dimension: Set when the scorer failed on the finished dialogue.
        position: The turn that could not be made, when a speaker failed.
    """

    dialogue_id: int
    error: str
    message: str
    dimension: Dimension | None = None
    position: int | None = None


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


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model that took part."""

    role: Literal["seeker", "supporter", "scorer"]
    name: str
    sha256: str
    size_bytes: int
    notice: str | None = None
