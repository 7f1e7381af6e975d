"""What was said, card by card, with every reading's distribution. A fixed share of the cards when there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from escl.core.card import RoleCard
from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.report.html.section import Section
from escl.report.html.subject import Entrant, Subject
from escl.report.html.words import Words
from escl.store.records import DialogueRow, FailureRow, OwnReading, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One dialogue.

    Attributes:
        readings: In the dimensions' order; None where there is none.
        own: In the user's own dimensions that have words for its language, by their names.
        failures: The speakers' and the scorer's.
    """

    entrant: Entrant
    row: DialogueRow
    turns: Sequence[Turn]
    readings: Sequence[tuple[Dimension, Reading | None]]
    own: Sequence[tuple[str, OwnReading | None]]
    failures: Sequence[FailureRow]

    @property
    def is_read(self) -> bool:
        """Whether the scorer said anything about it."""
        return any(reading is not None for _, reading in (*self.readings, *self.own))


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTranscripts:
    """The dialogues on one card.

    Attributes:
        card: None for an imported dialogue, which has a name for its card but no card.
    """

    name: str
    card: RoleCard | None
    language: Language
    dialogues: Sequence[Transcript]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcripts:
    """The section.

    Attributes:
        n_cards: How many cards there are in all.
    """

    cards: Sequence[CardTranscripts]
    n_cards: int


def evenly(n: int, of: int) -> list[int]:
    """Return the places of `n` things chosen evenly from `of` in a row; all of them when there are no more."""
    return [at * of // n for at in range(n)] if n < of else list(range(of))


def _build(subject: Subject, words: Words) -> Transcripts | None:
    asked = {
        (run_at, entrant.name): entrant
        for run_at, run in enumerate(subject.runs)
        for entrant in subject.entrants
        if entrant.run is run
    }
    by_card: dict[str, list[tuple[Entrant, DialogueRow]]] = {}
    for run_at, run in enumerate(subject.runs):
        for row in run.store.dialogues():
            by_card.setdefault(row.card_id, []).append((asked[run_at, row.supporter], row))
    wanted = subject.choices.transcripts
    if wanted == 0 or not by_card:
        return None
    names = list(by_card)
    chosen = [names[at] for at in evenly(len(names) if wanted is None else wanted, len(names))]
    known = _Known(subject)
    cards = subject.cards
    return Transcripts(
        n_cards=len(names),
        cards=[
            CardTranscripts(
                name=name,
                card=cards.get(name),
                language=by_card[name][0][1].language,
                dialogues=[known.transcript(entrant, row) for entrant, row in by_card[name]],
            )
            for name in chosen
        ],
    )


class _Known:
    """Everything read and failed in the runs, looked up once."""

    def __init__(self, subject: Subject) -> None:
        self._readings: Mapping[tuple[int, int, Dimension], Reading] = {
            (id(run), reading.dialogue_id, reading.dimension): reading
            for run in subject.runs
            if run.judging_id is not None
            for reading in run.store.readings(run.judging_id)
        }
        self._own: Mapping[int, Sequence[tuple[OwnDimension, Mapping[int, OwnReading]]]] = {
            id(run): [
                (own, {reading.dialogue_id: reading for reading in run.store.own_readings(number)})
                for number, own in run.store.own_judgings()
            ]
            for run in subject.runs
        }
        self._failures: dict[tuple[int, int], list[FailureRow]] = {}
        for run in subject.runs:
            for failure in run.results.all_failures:
                self._failures.setdefault((id(run), failure.dialogue_id), []).append(failure)

    def transcript(self, entrant: Entrant, row: DialogueRow) -> Transcript:
        run = entrant.run
        return Transcript(
            entrant=entrant,
            row=row,
            turns=run.store.turns(row.id),
            readings=[(each, self._readings.get((id(run), row.id, each))) for each in Dimension],
            own=[
                (own.shown(row.language), read.get(row.id))
                for own, read in self._own[id(run)]
                if row.language in own.languages
            ],
            failures=self._failures.get((id(run), row.id), []),
        )


TRANSCRIPTS = Section(key="transcripts", build=_build)
