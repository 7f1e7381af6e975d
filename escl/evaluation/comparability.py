"""What two runs must have in common before their scores may stand in one table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from escl.core.message import Message
from escl.core.settings import SimulationSettings
from escl.store.run import RunStore


def comparability(store: RunStore, judging_id: int) -> dict[str, str]:
    """Return the run's comparability key, part by part, in words that say what differs.

    Who the supporters are is no part of it, nor are seed, repeats and the engine's build.
    """
    judging = store.judging_settings(judging_id)
    scorer = (judging.sha256, sorted(judging.adapters.items()))
    return {**spoken_alike(store), "scorer": f"{judging.scorer} {_short(scorer)}"}


def spoken_alike(store: RunStore) -> dict[str, str]:
    """Return the part of the comparability key that is about the dialogues, whoever rates them."""
    settings = store.settings
    key = {"protocol": f"{store.protocol.name} {store.protocol.sha256()[:8]}"}
    if not isinstance(settings, SimulationSettings):
        return {**key, "dialogues": "imported"}
    seeker = settings.seeker
    return {
        **key,
        "dialogues": "simulated",
        "cards": f"set {settings.cards_sha256[:8]}",
        "seeker": f"{seeker.name} {_short(msgspec.to_builtins(seeker))}",
        "rounds": str(settings.rounds),
    }


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the parts in which two keys differ, as "rounds: 5 against 3"."""
    parts = [*one, *(part for part in other if part not in one)]
    return [_differing(part, one.get(part), other.get(part)) for part in parts if one.get(part) != other.get(part)]


def _differing(part: str, one: str | None, other: str | None) -> str:
    fields = {"part": Message(f"part.{part}"), "one": one or "none", "other": other or "none"}
    return Message("differs.part", fields)


def lesser_differences(one: RunStore, other: RunStore, *, paths: tuple[Path, Path]) -> list[str]:
    """Return what differs between two runs without making them incomparable, as notes for the reader."""
    a, b = one.settings, other.settings
    if not isinstance(a, SimulationSettings) or not isinstance(b, SimulationSettings):
        return [Message("differs.imported")]
    if paths[0] == paths[1]:
        return []
    notes: list[str] = []
    if a.seed != b.seed:
        notes.append(Message("differs.seeds", {"one": a.seed, "other": b.seed}))
    if a.llama_cpp != b.llama_cpp:
        notes.append(Message("differs.engine", {"one": a.llama_cpp, "other": b.llama_cpp}))
    return notes


def _short(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:8]
