"""A dialogue as values: messages for a model, turns as they happened."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]


class Speaker(StrEnum):
    """Who says a turn."""

    SEEKER = "seeker"
    SUPPORTER = "supporter"

    @property
    def other(self) -> Speaker:
        return Speaker.SUPPORTER if self is Speaker.SEEKER else Speaker.SEEKER


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One chat message as a model's template sees it."""

    role: Role
    content: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One utterance of a dialogue. The greeting is turn 0 and the supporter's."""

    speaker: Speaker
    text: str
