"""How long a run takes with given engines: tokens over rates, loads, and what must be read from the disk again.

Owns the arithmetic of time. Knows nothing of what fits.

Seeker and supporter share the processor or the device, so their times add up. On the processor they take turns: all
dialogues in flight are with the one that works. With all layers of one of them on a device they work at once: half of
the dialogues are taken to be with the seeker and half with the supporter at any moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec

from escl.engine.wire import EngineSpec
from escl.memory.choices import FileOption, ModelChoice, Pace, Role
from escl.memory.estimate import Need
from escl.memory.rates import DISK_BYTES_PER_S
from escl.memory.workload import SEEKER_REPLY, SUPPORTER_REPLY, Reply, Tokens, Workload, typical_reply

# Of dialogues that exist already; their own length counts, not these.
_TYPICAL_SEEKER: Final = typical_reply(SEEKER_REPLY, SEEKER_REPLY)
_TYPICAL_SUPPORTER: Final = typical_reply(SUPPORTER_REPLY, SUPPORTER_REPLY)


class PlannedEngine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine as it is to be started, and the memory it is predicted to take."""

    role: Role
    name: str
    path: str
    spec: EngineSpec
    need: Need


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """A predicted time by what it goes into; `prefill` and `decode` are the dialogues'."""

    load: float
    prefill: float
    decode: float
    scoring: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.load + self.prefill + self.decode + self.scoring


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a run costs besides memory.

    Attributes:
        loads: How often a model is loaded.
        read_bytes: What the loads read from the disk in all, after the page cache.
    """

    seconds: Seconds
    loads: int
    read_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One engine of a candidate with what its rates depend on; `layers` are those on the device."""

    choice: ModelChoice
    file: FileOption
    engine: PlannedEngine
    layers: int

    @property
    def slots(self) -> int:
        """Sequences side by side."""
        return self.engine.spec.slots

    @property
    def pace(self) -> Pace:
        """That of the place where it begins to load."""
        return self.file.on_device if self.layers and self.file.on_device else self.file.on_cpu

    @property
    def is_assumed(self) -> bool:
        """Whether the rates of a place where it has layers were not measured."""
        return any(share and pace is not None and pace.rates.source == "assumed" for share, pace in self._places())

    def _places(self) -> tuple[tuple[float, Pace | None], ...]:
        """Return which share of the layers is where."""
        on_device = self.layers / self.file.n_layers
        return (on_device, self.file.on_device), (1 - on_device, self.file.on_cpu)

    def seconds(self, tokens: Tokens, sequences: float) -> tuple[float, float]:
        """Return seconds of prefill and of decoding, with so many sequences side by side.

        Layers work one after another, so parts in two places add up.
        """
        prefill = decode = 0.0
        for share, pace in self._places():
            if not share or pace is None:
                continue
            left = pace.rates.adapter_share if self.file.adapters else 1.0
            prefill += share * tokens.prefill / (left * pace.rates.prefill_tps)
            decode += share * pace.rates.decode_s(tokens, sequences)
        return prefill, decode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cast:
    """All engines of a run. A run that only scores has neither seeker nor supporters."""

    seeker: Part | None
    supporters: tuple[Part, ...]
    scorer: Part | None

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them, in the order of their first load."""
        return tuple(part for part in (self.seeker, *self.supporters, self.scorer) if part is not None)


def reply_of(choice: ModelChoice) -> Reply:
    """Return how long a speaker's replies are."""
    return typical_reply(SEEKER_REPLY if choice.role == "seeker" else SUPPORTER_REPLY, choice.max_tokens)


def predict(cast: Cast, workload: Workload, *, swaps: bool, cache_bytes: int) -> Prediction:
    """Return time and loads of a run.

    Args:
        cast: The engines.
        workload: What is to be said and read.
        swaps: Engines leave after each half-round and lose what they had read; else seeker and supporter stay.
        cache_bytes: Memory that could keep files in the page cache between loads.
    """
    loads = _loads(cast, workload, swaps=swaps)
    read_bytes = _read_bytes(loads, cache_bytes)
    load_s = sum(part.pace.rates.load_s * times for part, times in loads) + read_bytes / DISK_BYTES_PER_S
    prefill = decode = 0.0
    for part, tokens, sequences in _speaking(cast, workload, swaps=swaps):
        part_prefill, part_decode = part.seconds(tokens, sequences)
        prefill, decode = prefill + part_prefill, decode + part_decode
    return Prediction(
        seconds=Seconds(load=load_s, prefill=prefill, decode=decode, scoring=_scoring_s(cast, workload)),
        loads=sum(times for _, times in loads),
        read_bytes=read_bytes,
    )


def _loads(cast: Cast, workload: Workload, *, swaps: bool) -> list[tuple[Part, int]]:
    speaking = workload.rounds if swaps else 1
    return [(part, 1 if part is cast.scorer else speaking) for part in cast.parts]


def _read_bytes(loads: Sequence[tuple[Part, int]], cache_bytes: int) -> int:
    """Return the bytes read from the disk: each file once if all of them stay in the page cache, else at each load."""
    once = sum({path: size for part, _ in loads for path, size in part.file.sizes().items()}.values())
    # What the engines keep for themselves pushes files out of the cache; weights on the host are the cache.
    kept = max((_beside_weights(part) for part, _ in loads), default=0)
    if once + kept <= cache_bytes:
        return once
    return sum(sum(part.file.sizes().values()) * times for part, times in loads)


def _beside_weights(part: Part) -> int:
    host = part.engine.need.host
    return host.total - min(host.weights, part.file.header.size_bytes)


def _speaking(cast: Cast, workload: Workload, *, swaps: bool) -> Iterable[tuple[Part, Tokens, float]]:
    """Yield each speaker's work and the sequences it decodes side by side, on average."""
    seeker = cast.seeker
    if seeker is None:
        return
    whole = swaps or seeker.engine.spec.strict
    seeks = reply_of(seeker.choice)
    n_seekers_at_once = workload.dialogues * (len(cast.supporters) if swaps else 1)
    for answers in workload.outside:
        # The seeker stays for these dialogues, whatever is swapped for the others.
        work = workload.seeker(seeks, answers, whole=seeker.engine.spec.strict)
        yield seeker, work, side_by_side(workload.dialogues, seeker.slots)
    for supporter in cast.supporters:
        answers = reply_of(supporter.choice)
        at_once = side_by_side(n_seekers_at_once, seeker.slots), side_by_side(workload.dialogues, supporter.slots)
        take_turns = seeker.engine.spec.needs_cores and supporter.engine.spec.needs_cores
        if not swaps and not take_turns:
            at_once = max(1.0, at_once[0] / 2), max(1.0, at_once[1] / 2)
        yield seeker, workload.seeker(seeks, answers, whole=whole), at_once[0]
        yield supporter, workload.supporter(seeks, answers, whole=whole), at_once[1]


def _scoring_s(cast: Cast, workload: Workload) -> float:
    if cast.scorer is None:
        return 0.0
    seeks = _TYPICAL_SEEKER if cast.seeker is None else reply_of(cast.seeker.choice)
    answers = [*(reply_of(part.choice) for part in cast.supporters), *workload.outside] or [_TYPICAL_SUPPORTER]
    tokens = workload.scoring(seeks, answers)
    return sum(cast.scorer.seconds(tokens, side_by_side(workload.dialogues * len(answers), cast.scorer.slots)))


def alone_s(part: Part, choices: Sequence[ModelChoice], workload: Workload) -> float:
    """Return the seconds of one engine's own work when it reads whole histories: what different setups differ by."""
    seeks = next((reply_of(choice) for choice in choices if choice.role == "seeker"), _TYPICAL_SEEKER)
    others = [reply_of(choice) for choice in choices if choice.role == "supporter"]
    others = [*others, *workload.outside] or [_TYPICAL_SUPPORTER]
    match part.choice.role:
        case "seeker":
            work = [workload.seeker(seeks, other, whole=True) for other in others]
        case "supporter":
            work, others = [workload.supporter(seeks, reply_of(part.choice), whole=True)], others[:1]
        case "scorer":
            work = [workload.scoring(seeks, others)]
        case _:
            assert_never(part.choice.role)
    sequences = side_by_side(workload.dialogues * len(others), part.slots)
    return sum(sum(part.seconds(tokens, sequences)) for tokens in work)


def side_by_side(dialogues: int, slots: int) -> float:
    """Return how many sequences are at work on average: the last ones leave slots empty."""
    return dialogues / math.ceil(dialogues / slots) if dialogues else 1.0
