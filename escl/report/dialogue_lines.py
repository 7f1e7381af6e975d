"""A run as JSON lines: one dialogue each, with its turns and everything that was read of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.settings import fingerprint
from escl.evaluation.results import chosen_judging
from escl.store.records import DialogueState, FailureRow, LabelReading
from escl.store.run import RunStore


class ReadLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension as the scorer read it.

    Attributes:
        expected: Mean label (0-4) under the probabilities; None without a label.
        probabilities: Of the labels 0 to 4 as the scorer gave them, among all tokens; None without a label.
    """

    label: int | None
    expected: float | None
    probabilities: tuple[float, float, float, float, float] | None
    off_label_mass: float | None
    reply: str


class OwnLabel(ReadLabel, frozen=True, kw_only=True):
    """The same for a dimension of the user's own.

    Attributes:
        name: What the dimension is called in the dialogue's language.
        scorer: Who was asked.
    """

    name: str
    scorer: str


class DialogueLine(msgspec.Struct, frozen=True, kw_only=True):
    """One dialogue.

    Attributes:
        run: The run's file.
        generation: The fingerprint of everything that decided what is said.
        card: None for an imported dialogue, which has a name for its card but no card.
        scorer: Whose readings these are; None when nothing was scored.
        readings: By dimension; those that failed are among the failures.
        own: The same for the user's own dimensions, by their keys.
    """

    run: str
    generation: str
    supporter: str
    card_id: str
    card: RoleCard | None
    language: Language
    repeat: int
    state: DialogueState
    turns: list[Turn]
    scorer: str | None
    readings: dict[Dimension, ReadLabel]
    failures: list[FailureRow]
    own: dict[str, OwnLabel] = {}


def dialogue_lines(store: RunStore, path: Path, *, judging_id: int | None = None) -> Iterator[DialogueLine]:
    """Yield every dialogue of a run in the order they were planned.

    Raises:
        StorageError: The run has no judging of that id.
    """
    judging_id, scorer = chosen_judging(store, judging_id)
    cards, generation = store.cards(), fingerprint(store.settings)
    readings: dict[int, dict[Dimension, ReadLabel]] = {}
    failures: dict[int, list[FailureRow]] = {}
    if judging_id is not None:
        for reading in store.readings(judging_id):
            readings.setdefault(reading.dialogue_id, {})[reading.dimension] = _read(reading)
    own = store.own_judgings()
    read_in = [*([] if judging_id is None else [judging_id]), *(number for number, _ in own)]
    for failure in [*store.failures(), *(failure for number in read_in for failure in store.failures(number))]:
        failures.setdefault(failure.dialogue_id, []).append(failure)
    own_labels = _own_labels(store, own)
    for row in store.dialogues():
        yield DialogueLine(
            run=path.name,
            generation=generation,
            supporter=row.supporter,
            card_id=row.card_id,
            card=cards.get(row.card_id),
            language=row.language,
            repeat=row.repeat,
            state=row.state,
            turns=store.turns(row.id),
            scorer=scorer,
            readings=readings.get(row.id, {}),
            failures=failures.get(row.id, []),
            own=own_labels.get(row.id, {}),
        )


def _own_labels(store: RunStore, judgings: Sequence[tuple[int, OwnDimension]]) -> dict[int, dict[str, OwnLabel]]:
    languages = {row.id: row.language for row in store.dialogues()}
    found: dict[int, dict[str, OwnLabel]] = {}
    for number, own in judgings:
        scorer = store.judging_settings(number).scorer
        for reading in store.own_readings(number):
            name = own.shown(languages[reading.dialogue_id])
            label = OwnLabel(name=name, scorer=scorer, **msgspec.structs.asdict(_read(reading)))
            found.setdefault(reading.dialogue_id, {})[own.key] = label
    return found


def _read(reading: LabelReading) -> ReadLabel:
    return ReadLabel(
        label=reading.label,
        expected=reading.expected,
        probabilities=reading.probabilities,
        off_label_mass=reading.off_label_mass,
        reply=reading.reply,
    )
