"""Small runs to put into a store: values that tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from escl.core.card import Category, RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.core.sampling import Sampling
from escl.core.settings import GenerationSettings, JudgingSettings, SimulationSettings, SpeakerSettings, fingerprint
from escl.store.database import Database
from escl.store.records import Reading, TurnRow
from escl.store.run import RunStore

PROTOCOL = load_protocol("open")
CARD = RoleCard(
    id="c1",
    language=Language.ENGLISH,
    text="Age: 30\nGender: female\nOccupation: nurse\nProblem: She cannot sleep before night shifts.",
    category=Category.STUDY_WORK,
    subcategory=None,
    source="test",
    crisis=None,
)


def settings(*, seed: int = 0) -> SimulationSettings:
    """Return the settings of a run with one supporter."""

    def speaker(name: str) -> SpeakerSettings:
        return SpeakerSettings(name=name, sha256="0" * 64, sampling=Sampling())

    return SimulationSettings(
        cards_sha256="0" * 64,
        protocol_sha256=PROTOCOL.sha256(),
        seeker=speaker("seeker"),
        supporters=(speaker("supporter"),),
        rounds=2,
        repeats=1,
        seed=seed,
        strict=True,
        llama_cpp="0",
    )


def begin(path: Path, *, seed: int = 0) -> RunStore:
    """Return a run with one card and one pending dialogue, open for writing."""
    store = RunStore.begin(Database.writer(path), settings(seed=seed), PROTOCOL, command="test", versions={})
    store.add_cards([CARD])
    store.plan_dialogues([(CARD.id, CARD.language, "supporter", 0)])
    return store


def card(name: str, *, text: str = CARD.text, **fields: object) -> RoleCard:
    """Return a card named `name`; by default it says what `CARD` says."""
    return msgspec.structs.replace(CARD, id=name, text=text, **fields)


def rated(
    path: Path,
    labels: Mapping[str, Mapping[str, Sequence[float | None]]],
    *,
    cards: Sequence[RoleCard] = (),
    run: SimulationSettings | None = None,
    scorer: str = "scorer",
) -> Path:
    """Write a finished run to `path` in which the scorer gave these labels, and return the path.

    Args:
        path: Of the run.
        labels: Expected label (0-4) of each repeat, by supporter and card; None where the scorer named none.
        cards: Those of the run that are more than a name.
        run: Its settings.
        scorer: Who rated; the same label in every dimension.
    """
    known = {one.id: one for one in cards}
    made = settings() if run is None else run
    database = Database.writer(path)
    # A test's file need not survive a power cut, and thousands of commits to a slow disk take long.
    database.rows("PRAGMA synchronous = OFF")
    database.rows("PRAGMA journal_mode = MEMORY")
    store = RunStore.begin(database, made, PROTOCOL, command="test", versions={})
    played = {name: known.get(name, card(name)) for by_card in labels.values() for name in by_card}
    store.add_cards([*played.values(), *(one for one in cards if one.id not in played)])
    judging = judging_by(scorer, made)
    judging_id = store.add_judging(judging)
    given = {
        (supporter, name, repeat): label
        for supporter, by_card in labels.items()
        for name, repeats in by_card.items()
        for repeat, label in enumerate(repeats)
    }
    store.plan_dialogues((name, played[name].language, supporter, repeat) for supporter, name, repeat in given)
    for dialogue in store.dialogues():
        store.set_state(dialogue.id, "speaking")
        store.set_state(dialogue.id, "complete")
        for dimension in Dimension:
            label = given[dialogue.supporter, dialogue.card_id, dialogue.repeat]
            store.add_reading(judging_id, reading(dialogue.id, dimension, label))
    store.finish("finished")
    store.close()
    return path


def judging_by(scorer: str, run: GenerationSettings) -> JudgingSettings:
    """Return the settings of a judging of `run` by a scorer of this name."""
    return JudgingSettings(
        generation_fingerprint=fingerprint(run),
        protocol_sha256=PROTOCOL.sha256(),
        scorer=scorer,
        sha256="0" * 64,
        adapters={},
        llama_cpp="0",
    )


def spoken(
    path: Path,
    said: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    cards: Sequence[RoleCard] = (),
    run: SimulationSettings | None = None,
) -> Path:
    """Write a run of finished dialogues to `path`, and return the path.

    Args:
        path: Of the run.
        said: What the supporter says in each repeat, by supporter and card.
        cards: Those of the run that are more than a name.
        run: Its settings.
    """
    known = {one.id: one for one in cards}
    store = RunStore.begin(Database.writer(path), run or settings(), PROTOCOL, command="test", versions={})
    played = {name: known.get(name, card(name)) for by_card in said.values() for name in by_card}
    store.add_cards(played.values())
    store.plan_dialogues(
        (name, played[name].language, supporter, repeat)
        for supporter, by_card in said.items()
        for name, repeats in by_card.items()
        for repeat in range(len(repeats))
    )
    for row in store.dialogues():
        store.set_state(row.id, "speaking")
        turns = [
            PROTOCOL.greeting(row.language),
            Turn(speaker=Speaker.SEEKER, text=f"It is about {row.card_id}."),
            Turn(speaker=Speaker.SUPPORTER, text=said[row.supporter][row.card_id][row.repeat]),
        ]
        for at, turn in enumerate(turns):
            store.add_turn(row.id, at, TurnRow(turn=turn), last=at == len(turns) - 1)
    store.finish("finished")
    store.close()
    return path


def reading(dialogue_id: int, dimension: Dimension, expected: float | None) -> Reading:
    """Return a reading whose expected label is `expected`, divided between the two labels beside it."""
    if expected is None:
        return Reading(
            dialogue_id=dialogue_id,
            dimension=dimension,
            reply="no idea",
            label=None,
            probabilities=None,
            off_label_mass=None,
            drafted=False,
            busy_s=0.1,
        )
    low = min(int(expected), 3)
    p = [0.0] * 5
    p[low], p[low + 1] = 1 - (expected - low), expected - low
    label = max(range(5), key=lambda at: p[at])
    return Reading(
        dialogue_id=dialogue_id,
        dimension=dimension,
        reply=f"The score is {label}.",
        label=label,
        probabilities=(p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=0.0,
        drafted=False,
        busy_s=0.1,
    )
