"""What fits, and how long it will take: chooses files, layers, slots, context, KV type and who stays together.

Owns the choice between strategies and the rules below; `escl.memory.search` finds what fits of each strategy. The
budget has its margin already.

The rules:

- The shortest predicted time wins; among those within 5 % of it, the smallest peak; among those within 5 % of that, the
  fewest loads.
- Context is the default (4,096 tokens, more where the workload needs more, never above what the model was made for).
  It is reduced only when nothing fits otherwise, one engine at a time, as little as possible, and never below 1.5
  times the typical dialogue and one longest reply.
- Another quantization than the named file changes results. It is used only for a model that fits in no other way, then
  the largest that fits; or, when the user allows any, where it is faster. A strict run keeps to the named files, which
  must not hang on what is free, unless the user allows any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from escl.errors import UsageError
from escl.memory.candidate import Candidate, Plan, chosen_line
from escl.memory.choices import FileOption, ModelChoice, Role, choose_from
from escl.memory.devices import Budget, Hardware
from escl.memory.explain import TIE, describe, reason_of, what_would_do
from escl.memory.parts import Fixed, Workshop
from escl.memory.predict import Cast
from escl.memory.search import Search, Strategy, Try, main_memory_of
from escl.memory.workload import Workload
from escl.shelf.manifest import LocatedModel, Model

__all__ = ["Candidate", "Fixed", "Plan", "chosen_line", "make_plan", "plan_for", "smallest_budget"]


def make_plan(
    choices: Sequence[ModelChoice], workload: Workload, budget: Budget, *, fixed: Fixed | None = None
) -> Plan:
    """Return the plan for these models, this work and this memory.

    Args:
        choices: One seeker and its supporters (none when all of them are outside), a scorer, or both.
        workload: What is to be said and read.
        budget: What the engines may take at any moment.
        fixed: What the user decided.
    """
    fixed = fixed or Fixed()
    if fixed.named_only or (fixed.strict and not fixed.any_quant):
        choices = [msgspec.structs.replace(choice, files=choice.files[:1]) for choice in choices]
    workshop = Workshop(choices, workload, budget, fixed)
    tries = _tries(workshop)
    fastest = min((one.seconds for one in tries if one.fits), default=None)
    shown = [one for strategy in get_args(Strategy) if (one := _representative(tries, strategy, fastest))]
    candidates = tuple(_candidate(one, workshop) for one in shown)
    chosen = _chosen(shown, fastest)
    assumed = _assumed(shown[chosen or 0].cast)
    if chosen is None:
        least, settings = smallest_budget(workshop)
        return Plan(
            budget=budget,
            workload=workload,
            candidates=candidates,
            chosen=None,
            reason=what_would_do(budget, least, settings),
            assumed=assumed,
            least=least,
        )
    return Plan(
        budget=budget,
        workload=workload,
        candidates=candidates,
        chosen=chosen,
        reason=reason_of(shown, chosen, workshop),
        assumed=assumed,
    )


def _tries(workshop: Workshop) -> list[Try]:
    """Return all that was tried with the files to use."""
    named = {choice.key: choice.files[0] for choice in workshop.choices}
    tries = _with(workshop, named)
    if workshop.fixed.any_quant:
        return _with_any_quantization(workshop, named, tries)
    if any(one.fits for one in tries):
        return tries
    search = Search(workshop, named, lean=True)
    files = dict(named)
    for choice in workshop.choices:
        if not search.fits_alone(choice, choice.files[0]):
            others = sorted(choice.files[1:], key=lambda file: -file.header.size_bytes)
            files[choice.key] = next((file for file in others if search.fits_alone(choice, file)), choice.files[0])
    return tries if files == named else _with(workshop, files)


def _with(workshop: Workshop, files: Mapping[str, FileOption]) -> list[Try]:
    tries = Search(workshop, files, lean=False).tries()
    if any(one.fits for one in tries) or workshop.fixed.ctx is not None:
        return tries
    lean = Search(workshop, files, lean=True).tries()
    return lean if any(one.fits for one in lean) else tries


def _with_any_quantization(workshop: Workshop, named: dict[str, FileOption], tries: list[Try]) -> list[Try]:
    """Return what was tried with the named files, each model's fastest, or each one's smallest: what is done first."""
    search = Search(workshop, named, lean=True)
    fastest = {choice.key: search.fastest_alone(choice) or choice.files[0] for choice in workshop.choices}
    smallest = {choice.key: min(choice.files, key=lambda file: file.header.size_bytes) for choice in workshop.choices}
    ways = [tries, _with(workshop, fastest), _with(workshop, smallest)]
    times = [min((one.seconds for one in found if one.fits), default=float("inf")) for found in ways]
    return next(way for way, seconds in zip(ways, times, strict=True) if seconds <= TIE * min(times))


def _representative(tries: Sequence[Try], strategy: Strategy, fastest: float | None) -> Try | None:
    """Return what stands for a strategy: of its ways that are as good as the best, the one with the smallest peak."""
    own = [one for one in tries if one.strategy == strategy]
    fitting = [one for one in own if one.fits]
    if fitting and fastest is not None:
        limit = TIE * fastest
        own_fastest = min(one.seconds for one in fitting)
        limit = limit if own_fastest <= limit else TIE * own_fastest
        good = [one for one in fitting if one.seconds <= limit]
        return min(good, key=lambda one: (one.peak.total_bytes, one.seconds))
    return min(own, key=_shortage, default=None)


def _shortage(one: Try) -> int:
    return one.peak.short_host_bytes + one.peak.short_device_bytes


def _chosen(shown: Sequence[Try], fastest: float | None) -> int | None:
    good = [at for at, one in enumerate(shown) if fastest is not None and one.fits and one.seconds <= TIE * fastest]
    if not good:
        return None
    least = min(shown[at].peak.total_bytes for at in good)
    small = [at for at in good if shown[at].peak.total_bytes <= TIE * least]
    return min(small, key=lambda at: (shown[at].prediction.loads, shown[at].seconds))


def _candidate(one: Try, workshop: Workshop) -> Candidate:
    parts = one.cast.parts
    files = {path: size for part in parts for path, size in part.file.sizes().items()}
    return Candidate(
        strategy=one.strategy,
        engines=tuple(part.engine for part in parts),
        peak_host=one.peak.host,
        peak_device=one.peak.device,
        short_host_bytes=one.peak.short_host_bytes,
        short_device_bytes=one.peak.short_device_bytes,
        swaps=one.swaps,
        loads=one.prediction.loads,
        seconds=one.prediction.seconds,
        disk_bytes=sum(files.values()),
        read_bytes=one.prediction.read_bytes,
        why=describe(one, workshop),
    )


def _assumed(cast: Cast) -> tuple[str, ...]:
    return tuple(sorted({part.choice.name for part in cast.parts if part.is_assumed}))


def smallest_budget(workshop: Workshop) -> tuple[Budget, str]:
    """Return the smallest budget that would do, and with which settings: one model at a time, everything at its least.

    The device keeps its memory, unless the user fixed the layers on it; main memory is what grows.
    """
    search = Search(workshop, {choice.key: choice.files[0] for choice in workshop.choices}, lean=True)
    least = [(choice, search.least_alone(choice)) for choice in workshop.choices]
    hosts = {choice.key: main_memory_of(part, workshop.budget) for choice, part in least}
    devices = [part.engine.need.device.total for _, part in least if part.engine.need.device is not None]
    choice, part = max(least, key=lambda pair: hosts[pair[0].key])
    spec = part.engine.spec
    settings = (
        f"{choice.name} ({part.file.path.name}) needs that alone, with {spec.slots} x {spec.ctx_per_slot:,} tokens of "
        f"context and KV in {spec.kv_type}"
    )
    budget = msgspec.structs.replace(
        workshop.budget,
        host_bytes=max(hosts.values()),
        device_bytes=max([workshop.budget.device_bytes or 0, *devices]) if workshop.budget.device else None,
        reason="the least that would do",
    )
    return budget, settings


def plan_for(
    seeker: Model | LocatedModel | None,
    supporters: Sequence[Model | LocatedModel],
    scorer: Model | LocatedModel | None,
    *,
    workload: Workload,
    budget: Budget,
    hardware: Hardware,
    fixed: Fixed | None = None,
    max_tokens: int | None = None,
) -> Plan:
    """Return the plan of a run, or with neither seeker nor supporters of a scoring.

    Args:
        seeker: None when finished dialogues are only scored.
        supporters: In the order of the run.
        scorer: None when nothing is scored.
        workload: What is to be said and read.
        budget: What the engines may take.
        hardware: Whose measured rates are used, where there are any.
        fixed: What the user decided.
        max_tokens: Of a supporter's turn; None takes each manifest's.

    Raises:
        GGUFError: A file's header is malformed.
        UsageError: Two supporters share a name.
    """
    twice = [name for name, n in Counter(model.name for model in supporters).items() if n > 1]
    if twice:
        raise UsageError(f"two supporters are named {twice[0]}", hint="rename one of the files")
    languages = [work.language for work in workload.languages]

    def choice(model: Model | LocatedModel, role: Role) -> ModelChoice:
        longest = max_tokens if role == "supporter" else None
        return choose_from(model, role, languages=languages, budget=budget, hardware=hardware, max_tokens=longest)

    choices = [
        *([choice(seeker, "seeker")] if seeker else []),
        *(choice(model, "supporter") for model in supporters),
        *([choice(scorer, "scorer")] if scorer else []),
    ]
    return make_plan(choices, workload, budget, fixed=fixed)
