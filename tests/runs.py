"""Small runs to put into a store: values that tests share."""

from __future__ import annotations

from pathlib import Path

from escl.core.card import Category, RoleCard
from escl.core.dimension import Language
from escl.core.protocol import load_protocol
from escl.core.sampling import Sampling
from escl.core.settings import SimulationSettings, SpeakerSettings
from escl.store.database import Database
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
