"""Tries ways to share the memory: all resident, seeker and supporter together, one at a time, partial offload.

Owns which combinations of slots, KV types and layers are tried, and what fits. Chooses between strategies in
`escl.memory.plan`.

KV is f16 wherever that fits with at least 4 slots (or as many as are wanted at most); otherwise q8_0 is tried where f16
does not fit, up to that many slots. With layers divided between device and processor, q8_0 is also tried where f16
leaves layers off the device, and taken when that is more than 5 % faster.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from escl.memory.choices import FileOption, ModelChoice
from escl.memory.devices import Budget
from escl.memory.parts import Peak, Workshop, peak_of
from escl.memory.predict import Cast, Part, Prediction, alone_s, predict

Strategy = Literal["all resident", "seeker and supporter", "one at a time", "partial offload"]
Offload = Literal["cpu", "all", "fixed", "most"]
"""How many layers go to the device: none, all, the user's number, or as many as fit."""

ENOUGH_SLOTS: Final = 4
WORTH_QUANTIZING: Final = 1.05
_LINES: Final = 3

Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Models that are laid out together, and which of them (by place) are in memory at once, one set after another."""

    members: tuple[ModelChoice, ...]
    phases: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, members: Sequence[ModelChoice]) -> _Group:
        """Return a group that is in memory all at once."""
        return cls(tuple(members), (tuple(range(len(members))),))

    def phases_of(self, parts: Parts) -> list[list[Part]]:
        """Return the sets of engines in memory together."""
        return [[parts[at] for at in phase] for phase in self.phases]

    def quantizable(self) -> list[frozenset[str]]:
        """Return whose KV to quantize: the first alone (a seeker's is often the largest), the others, all."""
        names = [choice.key for choice in self.members]
        sets = [frozenset(names[:1]), frozenset(names[1:]), frozenset(names)]
        return [one for one in dict.fromkeys(sets) if one]


@dataclass(frozen=True, slots=True)
class _Setup:
    """A group with what is decided before its layers: slots, whose KV is q8_0, and the context if not the default."""

    group: _Group
    offload: Offload
    slots: int
    quantized: frozenset[str] = frozenset()
    ctx: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Try:
    """One way to run, whether it fits or not."""

    strategy: Strategy
    cast: Cast
    swaps: bool
    peak: Peak
    prediction: Prediction

    @property
    def fits(self) -> bool:
        """Whether the budget is enough."""
        return self.peak.fits

    @property
    def seconds(self) -> float:
        """Predicted time."""
        return self.prediction.seconds.total


class Search:
    """All tries with one file for each model.

    Args:
        workshop: Makes the engines.
        files: The file of each choice, by its key.
        lean: Whether an engine that does not fit even alone may have less context.
    """

    def __init__(self, workshop: Workshop, files: Mapping[str, FileOption], *, lean: bool) -> None:
        self._workshop, self._files, self._lean = workshop, files, lean
        self._budget = workshop.budget
        self._seeker = next((choice for choice in workshop.choices if choice.role == "seeker"), None)
        self._supporters = [choice for choice in workshop.choices if choice.role == "supporter"]
        self._scorer = next((choice for choice in workshop.choices if choice.role == "scorer"), None)

    def tries(self) -> list[Try]:
        """Return every way that was tried."""
        whole, *others = self._offloads()
        found = [*self._all_resident(whole), *self._pairs(whole), *self._alone(whole)]
        for offload in others:
            divided = [*self._pairs(offload), *self._alone(offload)]
            found += [one for one in divided if any(part.layers < part.file.n_layers for part in one.cast.parts)]
        return found

    def fits_alone(self, choice: ModelChoice, file: FileOption) -> bool:
        """Return whether a model fits with this file when nothing else is in memory."""
        return self._best_alone(choice, file) is not None

    def fastest_alone(self, choice: ModelChoice) -> FileOption | None:
        """Return the file with which a model's own work is done first; None when none fits."""
        fitting = [part for file in choice.files if (part := self._best_alone(choice, file)) is not None]
        return min(fitting, key=lambda part: self._work_s((part,))).file if fitting else None

    def least_alone(self, choice: ModelChoice) -> Part:
        """Return the engine that needs the least main memory of all that this model could be."""
        group = _Group.of([choice])
        parts = []
        for file in choice.files:
            search = Search(self._workshop, {**self._files, choice.key: file}, lean=True)
            for offload in self._offloads():
                setup = _Setup(
                    group,
                    offload,
                    self._workshop.slots(choice)[0],
                    self._quantizable([choice]),
                    self._workshop.least_context(choice, file),
                )
                parts += [part for (part,) in search._layouts(setup)]
        keep_device = [part for part in parts if not peak_of([[part]], self._budget).short_device_bytes]
        return min(keep_device or parts, key=lambda part: main_memory_of(part, self._budget))

    def _best_alone(self, choice: ModelChoice, file: FileOption) -> Part | None:
        search = Search(self._workshop, {**self._files, choice.key: file}, lean=True)
        group = _Group.of([choice])
        parts = [part for offload in self._offloads() for (part,) in search._settle(group, offload)]
        fitting = [part for part in parts if not self._lacking(group, (part,))]
        return min(fitting, key=lambda part: self._work_s((part,)), default=None)

    def _offloads(self) -> tuple[Offload, ...]:
        """Return the ways to place layers, the simple one first."""
        if self._budget.device is None:
            return ("cpu",)
        if self._workshop.fixed.strict and self._workshop.fixed.gpu_layers is None:
            return ("all",)
        return ("all", "most") if self._workshop.fixed.gpu_layers is None else ("fixed",)

    def _try(self, cast: Cast, phases: Iterable[Sequence[Part]], strategy: Strategy, *, swaps: bool) -> Try:
        prediction = predict(cast, self._workshop.workload, swaps=swaps, cache_bytes=self._budget.host_bytes)
        peak = peak_of(phases, self._budget)
        return Try(strategy=strategy, cast=cast, swaps=swaps, peak=peak, prediction=prediction)

    def _all_resident(self, offload: Offload) -> Iterator[Try]:
        if self._seeker is None:
            return
        for parts in self._settle(_Group.of(self._workshop.choices), offload):
            yield self._try(self._cast(parts), [parts], "all resident", swaps=False)

    def _pairs(self, offload: Offload) -> Iterator[Try]:
        if self._seeker is None or not self._supporters:
            return
        members = (self._seeker, *self._supporters)
        group = _Group(members, tuple((0, at) for at in range(1, len(members))))
        scorers: list[Parts] = self._settle(_Group.of([self._scorer]), offload) if self._scorer else [()]
        strategy: Strategy = "partial offload" if offload == "most" else "seeker and supporter"
        for parts in self._settle(group, offload):
            for scorer in scorers:
                phases = [*group.phases_of(parts), *([scorer] if scorer else [])]
                yield self._try(self._cast([*parts, *scorer]), phases, strategy, swaps=False)

    def _alone(self, offload: Offload) -> Iterator[Try]:
        strategy: Strategy = "partial offload" if offload == "most" else "one at a time"
        settled = [self._settle(_Group.of([choice]), offload) for choice in self._workshop.choices]
        for cap in sorted({part.slots for ways in settled for (part,) in ways}):
            parts = [self._fastest([part for (part,) in ways], cap) for ways in settled]
            # With nobody here to answer it, the seeker need not leave before its work is done.
            yield self._try(self._cast(parts), [[part] for part in parts], strategy, swaps=bool(self._supporters))

    def _fastest(self, parts: Sequence[Part], cap: int) -> Part:
        """Return the part that is done first among those with at most `cap` slots, or the one with the fewest."""
        allowed = [part for part in parts if part.slots <= cap] or parts[:1]
        return min(allowed, key=lambda part: self._work_s((part,)))

    def _cast(self, parts: Sequence[Part]) -> Cast:
        by_role = {part.choice.role: part for part in parts}
        supporters = tuple(part for part in parts if part.choice.role == "supporter")
        return Cast(seeker=by_role.get("seeker"), supporters=supporters, scorer=by_role.get("scorer"))

    def _settle(self, group: _Group, offload: Offload) -> list[Parts]:
        """Return what fits, for each number of slots; where nothing does, the one way that needs least."""
        slots = self._workshop.slots(group.members[0])
        found = {n: parts for n in slots if (parts := self._fitting(_Setup(group, offload, n)))}
        enough = next((n for n in slots if n >= ENOUGH_SLOTS), slots[-1])
        ways = [found[n] for n in sorted(found)]
        if offload == "most" or max(found, default=0) < enough:
            ways += [
                parts
                for n in slots
                if n <= enough and (parts := self._quantized(_Setup(group, offload, n), found.get(n)))
            ]
        if ways:
            return sorted(ways, key=lambda parts: parts[0].slots)
        least = _Setup(group, offload, slots[0], self._quantizable(group.members))
        reduced = self._reduced(least) if self._lean and len(group.members) == 1 else None
        return [reduced or min(self._layouts(least), key=lambda parts: self._lacking(group, parts))]

    def _quantized(self, setup: _Setup, in_f16: Parts | None) -> Parts | None:
        """Return the setup with KV in q8_0 where that is needed: f16 does not fit, or leaves layers off the device."""
        if in_f16 is not None and (
            setup.offload != "most" or all(part.layers == part.file.n_layers for part in in_f16)
        ):
            return None
        allowed = self._quantizable(setup.group.members)
        sets = (quantized for quantized in setup.group.quantizable() if quantized <= allowed)
        ways = (self._fitting(replace(setup, quantized=quantized)) for quantized in sets)
        if in_f16 is None:
            return next((way for way in ways if way), None)
        # For a layer more or less the keys and values are not worth changing.
        limit = self._work_s(in_f16) / WORTH_QUANTIZING
        return min((way for way in ways if way and self._work_s(way) <= limit), key=self._work_s, default=None)

    def _quantizable(self, members: Sequence[ModelChoice]) -> frozenset[str]:
        """Return whose KV may be quantized: of a strict run's speakers, nobody's."""
        strict = self._workshop.fixed.strict
        return frozenset(choice.key for choice in members if not (strict and choice.role != "scorer"))

    def _reduced(self, setup: _Setup) -> Parts | None:
        """Return the setup with the most context that fits, below the default; None when even the least does not."""
        (choice,) = setup.group.members
        contexts = self._workshop.contexts_below(choice, self._files[choice.key])
        at = bisect_left(contexts, True, key=lambda ctx: self._fitting(replace(setup, ctx=ctx)) is None) - 1
        return self._fitting(replace(setup, ctx=contexts[at])) if at >= 0 else None

    def _fitting(self, setup: _Setup) -> Parts | None:
        """Return the fastest layout of the setup that fits."""
        fitting = [parts for parts in self._layouts(setup) if not self._lacking(setup.group, parts)]
        return min(fitting, key=self._work_s, default=None)

    def _work_s(self, parts: Parts) -> float:
        return sum(alone_s(part, self._workshop.choices, self._workshop.workload) for part in parts)

    def _lacking(self, group: _Group, parts: Parts) -> int:
        peak = peak_of(group.phases_of(parts), self._budget)
        return peak.short_host_bytes + peak.short_device_bytes

    def _layouts(self, setup: _Setup) -> Iterator[Parts]:
        """Yield the setup with layers on the device in one way, or where only some fit, in those worth comparing."""
        every = [self._files[choice.key].n_layers for choice in setup.group.members]
        match setup.offload:
            case "cpu":
                yield self._parts(setup, [0 for _ in every])
            case "all":
                yield self._parts(setup, every)
            case "fixed":
                wanted = self._workshop.fixed.gpu_layers
                yield self._parts(setup, [n if wanted in (None, -1) else min(n, wanted) for n in every])
            case "most":
                # Bytes and time are all but linear in layers, so the best division fills one engine before the other.
                order = range(len(every))
                yield self._filled(setup, order)
                if len(every) > 1:
                    yield self._filled(setup, order[::-1])
                yield self._parts(setup, [0 for _ in every])
            case _:
                assert_never(setup.offload)

    def _filled(self, setup: _Setup, order: Iterable[int]) -> Parts:
        """Return the setup with as many layers on the device as fit, one member after the other."""
        layers = [0 for _ in setup.group.members]
        for at in order:
            every = self._files[setup.group.members[at].key].n_layers

            def excess(n: int, at: int = at) -> int:
                parts = self._parts(setup, [*layers[:at], n, *layers[at + 1 :]])
                return max(device_bytes(phase) for phase in setup.group.phases_of(parts)) - (
                    self._budget.device_bytes or 0
                )

            layers[at] = largest_without(excess, every)
        return self._parts(setup, layers)

    def _parts(self, setup: _Setup, layers: Sequence[int]) -> Parts:
        return tuple(
            self._workshop.part(
                choice,
                self._files[choice.key],
                slots=min(setup.slots, self._workshop.slots(choice)[-1]),
                kv_type="q8_0" if choice.key in setup.quantized else "f16",
                layers=n,
                ctx=setup.ctx or self._workshop.context(choice, self._files[choice.key]),
            )
            for choice, n in zip(setup.group.members, layers, strict=True)
        )


def main_memory_of(part: Part, budget: Budget) -> int:
    """Return the bytes of main memory that an engine takes, those of a device that shares it included."""
    device = part.engine.need.device
    return part.engine.need.host.total + (device.total if budget.shares_ram and device is not None else 0)


def device_bytes(parts: Iterable[Part]) -> int:
    """Return what engines take of the device together."""
    needs = (part.engine.need.device for part in parts)
    return sum(need.total for need in needs if need is not None)


def largest_without(excess: Callable[[int], int], most: int) -> int:
    """Return the largest number up to `most` whose excess is not above 0; it grows with the number, all but evenly.

    Looks first where a straight line crosses 0, and halves when that does not close in: each look is an estimate.
    """
    high, above = most, excess(most)
    if above <= 0:
        return most
    low, below, looks = 0, excess(0), 0
    while high - low > 1:
        line = low + int((high - low) * -below / (above - below)) if looks < _LINES else (low + high) // 2
        at = min(max(line, low + 1), high - 1)
        looks += 1
        if (found := excess(at)) > 0:
            high, above = at, found
        else:
            low, below = at, found
    return low
