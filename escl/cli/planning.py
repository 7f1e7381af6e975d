"""From options to a plan: what this machine offers, what the user fixed, what is to be done."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from escl.cli.output import progress_console
from escl.core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from escl.core.own_dimension import OwnDimension
    from escl.engine.wire import EngineSpec, KVType
    from escl.evaluation.run import Simulation
    from escl.memory.choices import Role
    from escl.memory.devices import Budget, Hardware
    from escl.memory.parts import Fixed
    from escl.memory.plan import Plan
    from escl.memory.workload import Workload
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore

TUNING_PAYS_AFTER_S = 300.0
"""Work predicted to take less than this is not tuned for: measuring would take about as long as it saves."""

LESS = 0.75
"""What is planned for when memory ran out: this share of what was planned before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user decided about the machine; None leaves it to the plan.

    Attributes:
        memory: Size in words, "8GiB".
        device: An accelerator's name, or "cpu".
        any_quant: Whether other quantizations on the shelf may stand in where they are faster.
        kv_type: How keys and values are stored.
        named_only: No other quantization stands in, even where the named file does not fit.
        tune: Whether models that were never measured on this machine are measured first.
    """

    memory: str | None = None
    device: str | None = None
    parallel: int | None = None
    ctx: int | None = None
    gpu_layers: int | None = None
    threads: int | None = None
    any_quant: bool = False
    tune: bool = True
    kv_type: KVType | None = None
    named_only: bool = False


def machine_and_budget(wishes: Wishes) -> tuple[Hardware, Budget]:
    """Return what this machine has, and what of it a run may use.

    Raises:
        UsageError: No such device, no size, or layers for an accelerator that is not to be used.
    """
    from escl.engine.devices import CPU_ONLY
    from escl.errors import UsageError
    from escl.memory.devices import budget_of, parse_bytes, probe_hardware

    layers, device = wishes.gpu_layers, wishes.device
    if layers and device is not None and device.lower() == CPU_ONLY:
        raise UsageError(
            f"--gpu-layers {layers} and --device cpu contradict each other: the processor has no such layers",
            hint="leave one of them out",
        )
    hardware = probe_hardware()
    memory = None if wishes.memory is None else parse_bytes(wishes.memory)
    budget = budget_of(hardware, memory=memory, device=CPU_ONLY if layers == 0 else device)
    if layers and budget.device is None:
        progress_console().print(f"note: --gpu-layers {layers} has no effect: there is no accelerator", markup=False)
    return hardware, budget


def plan_run(simulation: Simulation, scorer: Model | None, wishes: Wishes) -> Plan:
    """Return the plan of a simulation with its scoring, measuring the models first where that pays.

    Raises:
        NothingFitsError: Nothing fits; the error says what would.
    """
    from escl.memory.plan import plan_for
    from escl.memory.workload import workload_of

    hardware, budget = machine_and_budget(wishes)
    workload = workload_of(
        simulation.cards,
        simulation.protocol,
        rounds=simulation.rounds,
        repeats=simulation.repeats,
        outside=[simulation.sampling(supporter).max_tokens for supporter in simulation.outside],
        own=simulation.own,
    )

    def plan() -> Plan:
        return plan_for(
            msgspec.structs.replace(simulation.seeker, sampling=simulation.seeker_sampling),
            [msgspec.structs.replace(one, sampling=simulation.sampling(one)) for one in simulation.loaded_here],
            scorer,
            workload=workload,
            budget=budget,
            hardware=hardware,
            fixed=fixed_by(wishes, strict=simulation.strict),
        )

    first = plan()
    # What tuning finds may be found anew another day, and differ: a strict run keeps to fixed settings.
    if not wishes.tune or simulation.strict:
        return first
    models = [simulation.seeker, *simulation.loaded_here, *([] if scorer is None else [scorer])]
    return plan() if measure_unknown(models, first, hardware, budget) else first


def plan_scoring(
    scorer: Model, store: RunStore, wishes: Wishes, *, own: Sequence[OwnDimension] = (), seven: bool = True
) -> Plan:
    """Return the plan of scoring the complete dialogues in `store`: in the user's own dimensions, and in the seven.

    Raises:
        NothingFitsError: The scorer fits in no way; the error says what would.
    """
    from escl.core.dimension import Language
    from escl.memory.workload import scoring_workload

    complete = [dialogue for dialogue in store.dialogues() if dialogue.state == "complete"]
    texts = {
        language: [
            store.protocol.transcript(language, store.turns(dialogue.id))
            for dialogue in complete
            if dialogue.language is language
        ]
        for language in Language
    }
    return plan_reading(scorer, scoring_workload(texts, store.protocol, own=own, seven=seven), wishes)


def plan_reading(scorer: Model, workload: Workload, wishes: Wishes) -> Plan:
    """Return the plan of a scorer alone with something to read, measuring it first where that pays.

    Raises:
        NothingFitsError: The scorer fits in no way; the error says what would.
    """
    from escl.memory.plan import plan_for

    hardware, budget = machine_and_budget(wishes)

    def plan() -> Plan:
        return plan_for(
            None, [], scorer, workload=workload, budget=budget, hardware=hardware, fixed=fixed_by(wishes, strict=False)
        )

    first = plan()
    return plan() if wishes.tune and measure_unknown([scorer], first, hardware, budget) else first


def as_planned(model: Model, role: Role, plan: Plan) -> Model:
    """Return the model with the file that the plan chose for it, hashed if that is another quantization."""
    from pathlib import Path

    from escl.shelf.manifest import sha256_of

    seats = (engine for engine in plan.best().engines if (engine.role, engine.name) == (role, model.name))
    path = Path(next(seats).path)
    if path == model.path:
        return model
    return msgspec.structs.replace(model, path=path, sha256=sha256_of(path), size_bytes=path.stat().st_size)


def cast_as_planned(simulation: Simulation, plan: Plan) -> Simulation:
    """Return the simulation with the files that the plan chose."""
    from escl.shelf.manifest import Model

    return replace(
        simulation,
        seeker=as_planned(simulation.seeker, "seeker", plan),
        supporters=[
            as_planned(one, "supporter", plan) if isinstance(one, Model) else one for one in simulation.supporters
        ],
    )


@contextlib.contextmanager
def explaining_out_of_memory(plan: Plan, wishes: Wishes, replan: Callable[[Wishes], Plan]) -> Iterator[None]:
    """Add to an OutOfMemoryError which plan would fit into less than `plan` takes.

    Raises:
        OutOfMemoryError: With that plan as its hint.
    """
    from escl.errors import NothingFitsError, OutOfMemoryError
    from escl.memory.devices import in_size
    from escl.memory.plan import chosen_line

    try:
        yield
    except OutOfMemoryError as error:
        best = plan.best()
        less = int((best.peak_device_bytes or best.peak_host_bytes) * LESS)
        try:
            line = chosen_line(replan(replace(wishes, memory=f"{less}B", tune=False)))
            hint = f"the same command with --memory {in_size(less).replace(' ', '')} goes on with less: {line}"
        except NothingFitsError as nothing:
            hint = nothing.message
        raise OutOfMemoryError(error.message, hint=hint) from error


def fixed_by(wishes: Wishes, *, strict: bool) -> Fixed:
    """Return what a plan may not change."""
    from escl.memory.parts import Fixed

    return Fixed(
        parallel=wishes.parallel,
        ctx=wishes.ctx,
        gpu_layers=wishes.gpu_layers,
        threads=wishes.threads,
        kv_type=wishes.kv_type,
        named_only=wishes.named_only,
        any_quant=wishes.any_quant,
        strict=strict,
    )


def measure_unknown(models: Sequence[Model], plan: Plan, hardware: Hardware, budget: Budget) -> bool:
    """Tune the models whose rates are only assumed, if the work is long enough for that; return whether any was."""
    from escl.memory.tuning_store import was_too_slow

    if plan.best().seconds.total < TUNING_PAYS_AFTER_S:
        return False
    console = progress_console()
    measured = False
    by_name = {model.name: model for model in models}
    for name in plan.assumed:
        model = by_name[name]
        spec = next(engine.spec for engine in plan.best().engines if engine.name == name)
        # A model that is divided between processor and device has no rate of its own.
        if spec.gpu_layers > 0 or spec.model != str(model.path):
            continue
        if was_too_slow(model.sha256, hardware=hardware, device=spec.device):
            line = f"note: {name} was too slow to be measured in 20 s; `escl tune --seconds 120` takes longer"
            console.print(printable(line), markup=False, soft_wrap=True)
            continue
        console.print(
            f"measuring {printable(name)} on this machine, once, for up to 20 s (--no-tune skips this)", markup=False
        )
        measured |= _measure_one(model, spec, hardware, budget)
    return measured


def _measure_one(model: Model, spec: EngineSpec, hardware: Hardware, budget: Budget) -> bool:
    """Tune a model where `spec` has it; return whether that gave rates. What fails costs a note, not the run."""
    from escl.errors import EngineHungError, EsclError
    from escl.memory.tune import tune
    from escl.memory.tuning_store import remember_too_slow

    try:
        tune(
            model.path,
            model.sha256,
            hardware=hardware,
            device=spec.device,
            gpu_layers=spec.gpu_layers,
            budget=budget,
            adapter=next((path for path, _ in model.adapters.values()), None),
        )
    except EsclError as error:
        if isinstance(error, EngineHungError):
            remember_too_slow(model.sha256, hardware=hardware, device=spec.device)
        progress_console().print(f"  not measured: {printable(error.message)}", markup=False, style="yellow")
        return False
    return True
