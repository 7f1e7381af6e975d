"""What makes a run the run it is: the settings behind its two fingerprints.

Two runs with the same generation fingerprint hold the same dialogues up to chance; two readings with the same judging
fingerprint come from the same scorer, asked the same way about the same dialogues.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from escl.core.own_dimension import OwnDimension
from escl.core.sampling import Sampling

SpeakerKind = Literal["gguf", "endpoint", "python", "human"]


class SpeakerSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One speaker: what it is and how it is sampled.

    Attributes:
        sha256: Of the GGUF file. Of an endpoint: of `target`, for its weights are out of sight. Of Python code: of the
            file that its module is in. Of a person: of the word "human".
        kind: A file in an engine here, an endpoint that is asked over HTTP, Python code, or a person.
        target: Of an endpoint, the server's dialect where it is not plain, its address without credentials and its
            model; of Python code, its module and name. None for a file and a person.
        system_prompt: Stands in place of the protocol's; None leaves that.
        told: Which of the sampling settings an endpoint is told; it has its own for the others. None means all. Python
            code and people are told none.
    """

    name: str
    sha256: str
    sampling: Sampling
    kind: SpeakerKind = "gguf"
    target: str | None = None
    system_prompt: str | None = None
    told: tuple[str, ...] | None = None


class SimulationSettings(msgspec.Struct, frozen=True, kw_only=True, tag="simulated"):
    """Everything that decides what is said in a simulated run.

    Attributes:
        strict: One dialogue at a time, KV cleared before each turn: the same machine and build give the same bytes.
        llama_cpp: Version of the engine; another version may sample other tokens from the same seed.
        form: Changes when escl itself asks or seeds differently.
    """

    cards_sha256: str
    protocol_sha256: str
    seeker: SpeakerSettings
    supporters: tuple[SpeakerSettings, ...]
    rounds: int
    repeats: int
    seed: int
    strict: bool
    llama_cpp: str
    form: int = 1


class ImportSettings(msgspec.Struct, frozen=True, kw_only=True, tag="imported"):
    """Where imported dialogues came from.

    Attributes:
        files: sha256 of each file, by the supporter's name.
        supporter_label: How the files label the supporter, where it is not the usual way.
    """

    files: dict[str, str]
    protocol_sha256: str
    form: int = 1
    supporter_label: str | msgspec.UnsetType = msgspec.UNSET


class JudgingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what the scorer says about a finished dialogue.

    Attributes:
        adapters: sha256 of each adapter, by "language/dimension".
        kv_type: How keys and values had to be stored. Unset where the plan chooses, and then in no fingerprint.
        own: The dimension that this judging is about, with every word of it; unset where it is about the seven.
    """

    generation_fingerprint: str
    protocol_sha256: str
    scorer: str
    sha256: str
    adapters: dict[str, str]
    llama_cpp: str
    form: int = 1
    kv_type: str | msgspec.UnsetType = msgspec.UNSET
    own: OwnDimension | msgspec.UnsetType = msgspec.UNSET


class ArenaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but the dialogues that decides what a judge says when it compares two of them."""

    judge: str
    sha256: str
    rubric: str
    rubric_sha256: str
    llama_cpp: str
    form: int = 1


GenerationSettings = SimulationSettings | ImportSettings


def fingerprint(settings: GenerationSettings | JudgingSettings | ArenaSettings) -> str:
    """Return the sha256 of the settings, 64 hex digits."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def differences(before: GenerationSettings, after: GenerationSettings) -> list[str]:
    """Return the settings that differ as "name: before -> after", by names that mean something on the command line."""
    old, new = _named(before), _named(after)
    # A supporter that comes or goes shows in the list of names; its own settings are compared only when it stays.
    return [
        f"{key}: {old.get(key)} -> {new.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not (key.startswith("supporter ") and (key not in old or key not in new))
    ]


def _named(settings: GenerationSettings) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(settings)
    if isinstance(settings, SimulationSettings):
        fields["cards (--cards, --lang, --limit, --sample and the like)"] = f"set {settings.cards_sha256[:8]}"
        del fields["cards_sha256"]
        fields["supporters"] = ", ".join(speaker.name for speaker in settings.supporters)
        fields |= {f"supporter {speaker.name}": msgspec.to_builtins(speaker) for speaker in settings.supporters}
    return _flat(fields)


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    match value:
        case dict():
            items = [(str(key), inner) for key, inner in value.items()]
        case list() | tuple():
            items = [(str(index), inner) for index, inner in enumerate(value)]
        case _:
            return {prefix: value}
    return {name: leaf for key, inner in items for name, leaf in _flat(inner, f"{prefix}.{key}".lstrip(".")).items()}
