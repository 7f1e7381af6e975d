"""A plan as values: what was compared, what was chosen, and that in one line.

Owns what is stored with a run. Chooses nothing.
"""

from __future__ import annotations

import msgspec

from escl.errors import NothingFitsError
from escl.memory.devices import Budget, in_size
from escl.memory.estimate import Footprint
from escl.memory.predict import PlannedEngine, Seconds
from escl.memory.search import Strategy
from escl.memory.workload import Workload


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """The best way of one strategy, whether it fits or not.

    Attributes:
        peak_host: What main memory holds at its fullest, by part.
        peak_device: The same of the device; None when nothing is on one.
        short_host_bytes: What main memory lacks; 0 when it fits.
        short_device_bytes: What the device lacks.
        swaps: Whether engines leave after each half-round.
        loads: How often a model is loaded.
        disk_bytes: Of all files.
        read_bytes: What the loads read from the disk, with the page cache that is left.
        why: Its settings and what forced them, in words.
    """

    strategy: Strategy
    engines: tuple[PlannedEngine, ...]
    peak_host: Footprint
    peak_device: Footprint | None
    short_host_bytes: int
    short_device_bytes: int
    swaps: bool
    loads: int
    seconds: Seconds
    disk_bytes: int
    read_bytes: int
    why: str

    @property
    def fits(self) -> bool:
        """Whether the budget is enough."""
        return not (self.short_host_bytes or self.short_device_bytes)

    @property
    def peak_host_bytes(self) -> int:
        """The most that main memory holds."""
        return self.peak_host.total

    @property
    def peak_device_bytes(self) -> int:
        """The most that the device holds."""
        return 0 if self.peak_device is None else self.peak_device.total

    @property
    def slots(self) -> tuple[int, int]:
        """The fewest and the most dialogues that an engine takes side by side; of a run that only scores, prompts."""
        speaking = [engine.spec.slots for engine in self.engines if engine.role != "scorer"]
        counts = speaking or [engine.spec.slots for engine in self.engines]
        return min(counts), max(counts)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared and what was chosen.

    Attributes:
        candidates: One for each strategy that could be tried, in a fixed order.
        chosen: Which of them; None when none fits.
        reason: Why that one; or what would fit.
        assumed: The models of the chosen candidate whose rates nobody measured where their layers are.
        least: When nothing fits: the smallest budget that would do.
    """

    budget: Budget
    workload: Workload
    candidates: tuple[Candidate, ...]
    chosen: int | None
    reason: str
    assumed: tuple[str, ...]
    least: Budget | None = None

    def best(self) -> Candidate:
        """Return the chosen candidate.

        Raises:
            NothingFitsError: There is none.
        """
        if self.chosen is None:
            raise NothingFitsError(
                f"nothing fits: {self.reason}",
                hint="free memory, take a smaller quantization or model, or shorten the context with --ctx",
            )
        return self.candidates[self.chosen]


def chosen_line(plan: Plan, *, at_most: bool = False) -> str:
    """Return the chosen candidate in one line.

    Args:
        plan: Of which something is chosen.
        at_most: The work may end before all that was planned is done, and the line says so.

    Raises:
        NothingFitsError: There is none.
    """
    best, budget = plan.best(), plan.budget
    host = _of(best.peak_host_bytes, budget.host_bytes)
    if best.peak_device is not None and budget.device_bytes is not None:
        on_device = f"{_of(best.peak_device_bytes, budget.device_bytes)} on {budget.device}"
        divided = ", some layers on the CPU" if best.strategy == "partial offload" else ""
        host = f"{on_device} and {host} of main memory{divided}"
    loads = "1 load" if best.loads == 1 else f"{best.loads} loads"
    rates = "assumed rates" if plan.assumed else "measured rates"
    fewest, most = best.slots
    slots = f"{most}" if fewest == most else f"{fewest} to {most}"
    took = f"{'at most' if at_most else 'about'} {in_time(best.seconds.total)} ({rates})"
    elsewhere = len(plan.workload.outside)
    if elsewhere:
        took += f" and what {elsewhere} {'supporter' if elsewhere == 1 else 'supporters'} elsewhere will take"
    return f"plan: {_who(best)}: {host}, {slots} side by side, {loads}, {took}"


def _who(best: Candidate) -> str:
    """Return which models are in memory together."""
    roles = {engine.role for engine in best.engines}
    if len(roles) == 1:
        return f"the {min(roles)}"
    who = {
        "all resident": "all models together",
        "seeker and supporter": "seeker and supporter together",
        "one at a time": "one model at a time",
        "partial offload": "one model at a time" if best.swaps else "seeker and supporter together",
    }[best.strategy]
    if best.strategy == "all resident" or best.swaps:
        return who
    if "supporter" not in roles:
        who = "the seeker"
    return f"{who}, then the scorer" if "scorer" in roles else who


def _of(part_bytes: int, all_bytes: int) -> str:
    return f"{in_size(part_bytes)} of {in_size(all_bytes)}"


def in_time(seconds: float) -> str:
    """Return a predicted time as people read it: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
