"""Makes engines for a plan: the spec that follows from a few choices, and the memory it needs.

Owns how settings, user's wishes and a file's limits become an EngineSpec. Every estimate is made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from escl.engine.wire import EngineSpec, KVType
from escl.memory.choices import UNTUNED, FileOption, ModelChoice
from escl.memory.devices import Budget
from escl.memory.estimate import Footprint, Need, estimate
from escl.memory.predict import Part, PlannedEngine, reply_of
from escl.memory.workload import SEEKER_REPLY, SUPPORTER_REPLY, Workload, typical_reply

DEFAULT_CONTEXT: Final = 4096
"""Tokens of context for a dialogue or a labelled prompt, where the workload does not need more."""
MAX_DIALOGUE_SLOTS: Final = 32
MAX_LABEL_SLOTS: Final = 8
_STEP: Final = 256
_PARTS: Final = Footprint.__struct_fields__


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """What the user decided; None leaves it to the plan.

    Attributes:
        parallel: Dialogues, or scorer's prompts, side by side.
        ctx: Tokens of context for each.
        gpu_layers: Layers on the device for every engine; -1 is all.
        threads: Of each engine.
        kv_type: Of every engine's keys and values.
        named_only: No other file stands in, even where the named one does not fit.
        any_quant: Files that differ from the named ones in quantization may be used where they are faster.
        strict: One dialogue at a time, nothing kept between turns; no setting that changes bits follows from what is
            free or was measured: KV in f16, all layers in one place, the named files.
    """

    parallel: int | None = None
    ctx: int | None = None
    gpu_layers: int | None = None
    threads: int | None = None
    kv_type: KVType | None = None
    named_only: bool = False
    any_quant: bool = False
    strict: bool = False


class Workshop:
    """Makes parts for one workload, budget and set of wishes."""

    def __init__(self, choices: Sequence[ModelChoice], workload: Workload, budget: Budget, fixed: Fixed) -> None:
        self.choices, self.workload, self.budget, self.fixed = tuple(choices), workload, budget, fixed
        self._needs: dict[tuple[str, msgspec.Struct | str], Need] = {}

    def part(
        self,
        choice: ModelChoice,
        file: FileOption,
        *,
        slots: int,
        kv_type: KVType,
        layers: int,
        ctx: int,
    ) -> Part:
        """Return an engine with `layers` layers on the device."""
        on_device = file.on_device if layers else None
        strict = self.fixed.strict and choice.role != "scorer"
        kv_type = self.fixed.kv_type or kv_type
        # What was measured may be measured again with another result: strict bytes must not hang on it.
        settings = UNTUNED if strict else (on_device or file.on_cpu).settings
        spec = EngineSpec(
            model=str(file.path),
            adapters={name: str(path) for name, (path, _) in file.adapters.items()},
            purpose="labels" if choice.role == "scorer" else "dialogue",
            slots=slots,
            ctx_per_slot=ctx,
            n_batch=max(512, settings.n_ubatch),
            n_ubatch=settings.n_ubatch,
            kv_type=kv_type,
            # Quantized values can be read by flash attention only.
            flash_attention=settings.flash_attention if kv_type == "f16" else True,
            repack=settings.repack,
            device=self.budget.device if layers else "cpu",
            gpu_layers=-1 if layers == file.n_layers else layers,
            threads=self.fixed.threads or settings.threads,
            strict=strict,
        )
        engine = PlannedEngine(
            role=choice.role, name=choice.name, path=str(file.path), spec=spec, need=self._need(file, spec)
        )
        return Part(choice=choice, file=file, engine=engine, layers=layers)

    def _need(self, file: FileOption, spec: EngineSpec) -> Need:
        key = (str(file.path), msgspec.json.encode(msgspec.structs.replace(spec, threads=None)).decode())
        if key not in self._needs:
            self._needs[key] = estimate(file.header, spec, adapters=[header for _, header in file.adapters.values()])
        return self._needs[key]

    def slots(self, choice: ModelChoice) -> list[int]:
        """Return the numbers of slots to try, from few to many."""
        if self.fixed.strict and choice.role != "scorer":
            return [1]
        if self.fixed.parallel is not None:
            return [self.fixed.parallel]
        most = MAX_LABEL_SLOTS if choice.role == "scorer" else MAX_DIALOGUE_SLOTS
        return [n for n in (1, 2, 4, 8, 16, 32) if n <= min(most, max(1, self.workload.dialogues))]

    def context(self, choice: ModelChoice, file: FileOption) -> int:
        """Return the tokens of context where nothing forces less: the default, or more where dialogues need more."""
        wanted = self.fixed.ctx or max(DEFAULT_CONTEXT, self.least_context(choice, file))
        return min(wanted, file.n_ctx_train or wanted)

    def least_context(self, choice: ModelChoice, file: FileOption) -> int:
        """Return the least context that a plan may choose for this model."""
        if self.fixed.ctx is not None:
            return min(self.fixed.ctx, file.n_ctx_train or self.fixed.ctx)
        seekers = [reply_of(other) for other in self.choices if other.role == "seeker"]
        supporters = [reply_of(other) for other in self.choices if other.role == "supporter"]
        seeker = seekers[0] if seekers else typical_reply(SEEKER_REPLY, SEEKER_REPLY)
        supporters = [*supporters, *self.workload.outside] or [typical_reply(SUPPORTER_REPLY, SUPPORTER_REPLY)]
        if choice.role == "scorer":
            needed = self.workload.context_of_labels(seeker, supporters)
        else:
            with_whom = supporters if choice.role == "seeker" else [reply_of(choice)]
            needed = max(self.workload.context_of_dialogue(seeker, other) for other in with_whom)
        padded = -(-needed // _STEP) * _STEP
        return min(padded, file.n_ctx_train or padded)

    def contexts_below(self, choice: ModelChoice, file: FileOption) -> range:
        """Return what the context may be reduced to, from little to much."""
        return range(self.least_context(choice, file), self.context(choice, file), _STEP)


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The most that engines take side by side, and by how much that is too much.

    Attributes:
        host: Of main memory, at its worst moment.
        device: Of the device's, at its worst moment; None when nothing is on a device.
        short_host_bytes: What the budget lacks; 0 when it fits.
        short_device_bytes: The same of the device.
    """

    host: Footprint
    device: Footprint | None
    short_host_bytes: int
    short_device_bytes: int

    @property
    def fits(self) -> bool:
        """Whether nothing is lacking."""
        return not (self.short_host_bytes or self.short_device_bytes)

    @property
    def total_bytes(self) -> int:
        """Host and device together."""
        return self.host.total + (self.device.total if self.device else 0)


def peak_of(phases: Iterable[Sequence[Part]], budget: Budget) -> Peak:
    """Return the peak over phases, each a set of engines that are in memory together."""
    hosts, devices, sums = [], [], []
    for phase in phases:
        host = _sum(part.engine.need.host for part in phase)
        device = _sum(part.engine.need.device for part in phase if part.engine.need.device is not None)
        hosts.append(host)
        devices.append(device)
        sums.append(host.total + (device.total if budget.shares_ram else 0))
    device = max(devices, key=lambda footprint: footprint.total)
    return Peak(
        host=max(hosts, key=lambda footprint: footprint.total),
        device=device if device.total else None,
        short_host_bytes=max(0, max(sums) - budget.host_bytes),
        short_device_bytes=max(0, device.total - (budget.device_bytes or 0)),
    )


def _sum(footprints: Iterable[Footprint]) -> Footprint:
    listed = list(footprints)
    return Footprint(**{name: sum(getattr(footprint, name) for footprint in listed) for name in _PARTS})
