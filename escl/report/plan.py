"""A plan as terminal tables: the candidates, what fills the memory, the engines that were chosen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.counted import counted
from escl.core.printable import printable
from escl.memory.candidate import Candidate, Plan, in_time
from escl.memory.devices import in_size
from escl.memory.estimate import Footprint
from escl.memory.explain import in_size_up

_CHOSEN = "▸"


def print_plan(console: Console, plan: Plan) -> None:
    """Print what was compared, which was chosen and why, and where the numbers come from."""
    console.print(_candidates(plan))
    console.print(_bytes_by_part(plan))
    if plan.chosen is not None:
        console.print(_engines(plan.best()))
    for line in _said(plan):
        console.print(Text(printable(line)), soft_wrap=True)


def fits_or_lacks(candidate: Candidate, plan: Plan) -> str:
    """Return whether a candidate fits, or what is lacking: "lacks 3.1 GiB", on a machine with a device also where."""
    lacking = [(candidate.short_host_bytes, "main memory"), (candidate.short_device_bytes, plan.budget.device or "")]
    places = [f"{in_size_up(size)}{f' of {where}' if plan.budget.device else ''}" for size, where in lacking if size]
    return f"lacks {' and '.join(places)}" if places else "fits"


def slots_by_role(candidate: Candidate) -> str:
    """Return how many sequences each role's engines take side by side: "4/4/8" for seeker, supporters and scorer."""
    return "/".join(str(slots) for slots in {engine.role: engine.spec.slots for engine in candidate.engines}.values())


def _candidates(plan: Plan) -> Table:
    table = _table("Strategy", "Fits", right=("Side by\nside", "Loads", "Time", "Files\nGiB", "Reads\nGiB"))
    for at, candidate in enumerate(plan.candidates):
        is_chosen = at == plan.chosen
        fits = Text(fits_or_lacks(candidate, plan), style="green" if candidate.fits else "red")
        table.add_row(
            Text(f"{_CHOSEN if is_chosen else ' '} {candidate.strategy}"),
            fits,
            slots_by_role(candidate),
            str(candidate.loads),
            in_time(candidate.seconds.total),
            _gib(candidate.disk_bytes),
            _gib(candidate.read_bytes),
            style="bold" if is_chosen else "",
        )
    return table


def _bytes_by_part(plan: Plan) -> Table:
    table = _table("Peak in GiB", "In", right=("Weights", "KV", "Work", "Process", "Sum"))
    for candidate in plan.candidates:
        table.add_row(f"  {candidate.strategy}", "main memory", *_parts(candidate.peak_host))
        if candidate.peak_device is not None and plan.budget.device is not None:
            table.add_row("", Text(printable(plan.budget.device)), *_parts(candidate.peak_device))
    return table


def _parts(taken: Footprint) -> Iterable[str]:
    weights, work = taken.weights + taken.adapters, taken.compute + taken.output
    return (_gib(size) for size in (weights, taken.kv, work, taken.process, taken.total))


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.2f}"


def _engines(candidate: Candidate) -> Table:
    table = _table("Engine", "File", right=("Device\nlayers", "Slots x\ncontext", "KV", "Threads"))
    for engine in candidate.engines:
        spec = engine.spec
        layers = {-1: "all", 0: "none"}.get(spec.gpu_layers, str(spec.gpu_layers))
        table.add_row(
            Text(f"  {printable(engine.name)}"),
            Text(printable(PurePath(engine.path).name)),
            layers,
            f"{spec.slots} x {spec.ctx_per_slot:,}",
            spec.kv_type,
            "-" if spec.threads is None else str(spec.threads),
        )
    return table


def _table(first: str, second: str, *, right: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column(f"\n  {first}", overflow="fold", min_width=22)
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
            f"{counted(plan.workload.dialogues, 'dialogue')} with each supporter."
        )
    yield f"Budget: {_budget(plan)}."
    if plan.assumed:
        yield f"Rates are assumed, not measured, for: {', '.join(plan.assumed)}. `escl tune` measures them."


def _budget(plan: Plan) -> str:
    budget = plan.budget
    said = f"{in_size(budget.host_bytes)} of main memory"
    if budget.device is not None and budget.device_bytes is not None:
        within = " of them on" if budget.shares_ram else " of"
        said += f", {in_size(budget.device_bytes)}{within} {budget.device}"
    return f"{said} ({budget.reason})" if budget.reason else said
