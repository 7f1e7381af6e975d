"""What an evaluation tells whoever shows it. Front ends implement this; the evaluation never prints."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from escl.memory.pool import PoolObserver
from escl.store.records import DialogueRow, FailureRow, LabelReading, TurnRow


class Phase(StrEnum):
    """The two halves of an evaluation, what an arena does, and the question flow about crisis dialogues."""

    SIMULATION = "simulation"
    SCORING = "scoring"
    COMPARING = "comparing"
    ASKING = "asking"


class RunObserver(PoolObserver, Protocol):
    """Hears of everything that is committed, after it is."""

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        """A phase begins; units are turns or readings, `done` of them from earlier attempts."""

    def said(self, dialogue: DialogueRow, position: int, row: TurnRow) -> None:
        """A turn was committed."""

    def read(self, dialogue: DialogueRow, reading: LabelReading) -> None:
        """A reading was committed."""

    def failed(self, dialogue: DialogueRow, failure: FailureRow) -> None:
        """A failure was committed; the dialogue or reading is given up."""

    def asked_again(self, supporter: str, why: str) -> None:
        """A supporter that is no engine gave no reply, and will be asked again."""

    def paused(self, *, is_paused: bool) -> None:
        """Nothing new begins for now, or it goes on; what was begun is finished in any case."""

    def finished(self, phase: Phase) -> None:
        """A phase ended: everything is done, failed, or stopped by the user."""


class ArenaObserver(PoolObserver, Protocol):
    """Hears of every comparison, after it is committed."""

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        """The work begins; `done` readings are from earlier attempts."""

    def compared(self) -> None:
        """A reading was committed."""

    def given_up(self, what: str) -> None:
        """A failure was committed: `what` says of which dialogues and why."""

    def finished(self, phase: Phase) -> None:
        """Everything is read, failed, or stopped by the user."""


class InquiryObserver(PoolObserver, Protocol):
    """Hears how far a scorer is with the question flow, after every answer is committed."""

    def started(self, phase: Phase, *, done: int, total: int) -> None:
        """The work begins; units are questions that may be asked, `done` of them settled by earlier attempts."""

    def settled(self, n: int) -> None:
        """An answer was committed; with the questions that it makes superfluous, `n` are done."""

    def given_up(self, what: str) -> None:
        """The answer is an error: `what` says of which question and why."""

    def finished(self, phase: Phase) -> None:
        """Everything is asked, or the user stopped it."""
