"""Why a plan is as it is, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from escl.memory.devices import SMALL_BYTES, Budget, in_size
from escl.memory.parts import Workshop
from escl.memory.predict import Part
from escl.memory.search import Try

TIE: Final = 1.05
"""Times and peaks within this factor count as equal: they are no better known."""


def describe(one: Try, workshop: Workshop) -> str:
    """Return the settings of a try that are not the default, and why, in words."""
    names: dict[str, list[str]] = {}
    for part in one.cast.parts:
        if notes := _notes(part, workshop):
            names.setdefault(", ".join(notes), []).append(part.choice.name)
    return "; ".join(f"{', '.join(who)}: {notes}" for notes, who in names.items())


def _notes(part: Part, workshop: Workshop) -> list[str]:
    spec, notes = part.engine.spec, []
    if part.file is not part.choice.files[0]:
        why = "it is done sooner" if workshop.fixed.any_quant else "the named file does not fit"
        notes.append(f"{part.file.path.name}, because {why}")
    if part.layers < part.file.n_layers and workshop.budget.device is not None:
        notes.append(f"{part.layers} of {part.file.n_layers} layers on {workshop.budget.device}")
    if spec.kv_type == workshop.fixed.kv_type:
        notes.append(f"KV in {spec.kv_type}, as asked")
    elif spec.kv_type != "f16":
        where = f" on {workshop.budget.device}" if part.layers else ""
        notes.append(
            f"KV in {spec.kv_type}, because {spec.slots} x {spec.ctx_per_slot:,} tokens in f16 do not fit{where}"
        )
    if spec.ctx_per_slot < workshop.context(part.choice, part.file):
        notes.append(f"only {spec.ctx_per_slot:,} tokens of context, because more does not fit")
    return notes


def reason_of(shown: Sequence[Try], chosen: int, workshop: Workshop) -> str:
    best, others = shown[chosen], [one for at, one in enumerate(shown) if at != chosen and one.fits]
    if not others:
        reason = "the only one that fits" if len(shown) > 1 else "it fits"
    elif all(best.seconds <= one.seconds for one in others) and not any(_ties(best, one) for one in others):
        reason = "the shortest time of those that fit"
    else:
        reason = "within 5 % of the shortest time, and of those the smallest peak"
    settings = describe(best, workshop)
    return f"{reason}; {settings}" if settings else reason


def _ties(best: Try, other: Try) -> bool:
    return other.seconds <= TIE * best.seconds and best.seconds <= TIE * other.seconds


def what_would_do(budget: Budget, least: Budget, settings: str) -> str:
    said = f"{in_size_up(least.host_bytes)} of main memory would do, and {in_size(budget.host_bytes)} may be used"
    if budget.device is not None and (least.device_bytes or 0) > (budget.device_bytes or 0):
        said += (
            f"; of {budget.device} {in_size_up(least.device_bytes or 0)} would do, and "
            f"{in_size(budget.device_bytes or 0)} may be used"
        )
    return f"{said} ({settings})"


def in_size_up(size_bytes: int) -> str:
    """Return a size as people read it, rounded up, so that so much is really enough: "7.6 GiB"."""
    if size_bytes < SMALL_BYTES:
        return f"{-(-size_bytes // (1 << 20))} MiB"
    return f"{-(-size_bytes * 10 // (1 << 30)) / 10:.1f} GiB"
