"""A plan as terminal tables: the candidates, what fills the memory, the engines that were chosen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.printable import printable
from escl.memory.candidate import Candidate, Plan, in_time
from escl.memory.devices import in_gib
from escl.memory.estimate import Footprint

_CHOSEN = "▸"


def print_plan(console: Console, plan: Plan) -> None:
    """Print what was compared, which was chosen and why, and where the numbers come from."""
    console.print(_candidates(plan))
    console.print(_bytes_by_part(plan))
    if plan.chosen is not None:
        console.print(_engines(plan.best()))
    for line in _said(plan):
        console.print(Text(printable(line)), soft_wrap=True)


def in_short(candidate: Candidate, plan: Plan) -> str:
    """Return whether a candidate fits, or by how much it does not: "short by 3.1 GiB of CUDA0"."""
    lacking = [(candidate.short_host_bytes, "main memory"), (candidate.short_device_bytes, plan.budget.device or "")]
    said = " and ".join(f"{in_gib(size)} of {where}" for size, where in lacking if size)
    return f"short by {said}" if said else "fits"


def _candidates(plan: Plan) -> Table:
    table = _table("Strategy", "Fits", right=("Side by\nside", "Loads", "Time", "Read from\ndisk"))
    for at, candidate in enumerate(plan.candidates):
        is_chosen = at == plan.chosen
        fits = Text(in_short(candidate, plan), style="green" if candidate.fits else "red")
        table.add_row(
            Text(f"{_CHOSEN if is_chosen else ' '} {candidate.strategy}"),
            fits,
            str(candidate.slots),
            str(candidate.loads),
            in_time(candidate.seconds.total),
            in_gib(candidate.read_bytes),
            style="bold" if is_chosen else "",
        )
    return table


def _bytes_by_part(plan: Plan) -> Table:
    table = _table(
        "Peak of",
        "In",
        right=("Weights", "Adapters", "KV", "Work", "Process", "Sum", "Budget"),
    )
    for candidate in plan.candidates:
        name = f"  {candidate.strategy}"
        table.add_row(name, "main memory", *_parts(candidate.peak_host), in_gib(plan.budget.host_bytes))
        if candidate.peak_device is not None and plan.budget.device is not None:
            limit = "-" if plan.budget.device_bytes is None else in_gib(plan.budget.device_bytes)
            table.add_row("", Text(printable(plan.budget.device)), *_parts(candidate.peak_device), limit)
    return table


def _parts(taken: Footprint) -> Iterable[str]:
    sizes = (taken.weights, taken.adapters, taken.kv, taken.compute + taken.output, taken.process, taken.total)
    return (f"{size / (1 << 30):.2f}" for size in sizes)


def _engines(candidate: Candidate) -> Table:
    table = _table("Engine", "File", right=("Layers on\na device", "Slots x\ncontext", "KV", "Threads"))
    for engine in candidate.engines:
        spec = engine.spec
        layers = {-1: "all", 0: "none"}.get(spec.gpu_layers, str(spec.gpu_layers))
        table.add_row(
            Text(f"  {printable(engine.name)}"),
            Text(printable(PurePath(engine.path).name)),
            layers,
            f"{spec.slots} x {spec.ctx_per_slot:,}",
            spec.kv_type,
            "all" if spec.threads is None else str(spec.threads),
        )
    return table


def _table(first: str, second: str, *, right: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column(f"\n  {first}", overflow="fold", min_width=12)
    table.add_column(f"\n{second}", overflow="fold")
    for name in right:
        table.add_column(name if "\n" in name else f"\n{name}", justify="right", no_wrap=True)
    return table


def _said(plan: Plan) -> Iterable[str]:
    if plan.chosen is not None:
        best = plan.best()
        yield f"\nChosen: {best.strategy}: {plan.reason}."
        seconds = best.seconds
        yield (
            f"Time: {in_time(seconds.total)} = loads {in_time(seconds.load)} + reading {in_time(seconds.prefill)} "
            f"+ speaking {in_time(seconds.decode)} + scoring {in_time(seconds.scoring)}, for "
            f"{plan.workload.dialogues} dialogues with each supporter."
        )
    yield f"Budget: {plan.budget.reason}." if plan.budget.reason else ""
    if plan.assumed:
        yield f"Rates are assumed, not measured, for: {', '.join(plan.assumed)}. `escl tune` measures them."
