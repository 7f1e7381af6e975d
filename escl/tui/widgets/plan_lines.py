"""A plan in a few lines: how long, how much memory, which way, what is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from escl.tui.plain import fitted, plain

if TYPE_CHECKING:
    from escl.memory.candidate import Candidate, Plan
    from escl.memory.estimate import Footprint
    from escl.tui.offers import Tally
    from escl.tui.strings import Strings

_WAYS: Final = {
    "all resident": "plan.all",
    "seeker and supporter": "plan.pair",
    "one at a time": "plan.one",
    "partial offload": "plan.partial",
}
_PHASES: Final = {
    "load": "plan.load",
    "prefill": "plan.prefill",
    "decode": "plan.decode",
    "scoring": "plan.scoring",
}
_PARTS: Final = {
    "weights": "plan.weights",
    "adapters": "plan.adapters",
    "kv": "plan.kv",
    "compute": "plan.compute",
    "process": "plan.process",
}
_NAME = 24


def plan_lines(words: Strings, plan: Plan, tally: Tally, *, supporters: int, in_full: bool) -> Content:
    """Return the plan for people.

    Args:
        words: The app's words.
        plan: In which something fits.
        tally: What is played.
        supporters: How many are tested.
        in_full: Whether phases, parts and the other ways have room too.
    """
    best = plan.best()
    parts = [
        _headline(words, plan, best),
        _way(words, plan, best, in_full=in_full),
        _played(words, plan, tally, supporters),
    ]
    if in_full:
        parts += [_phases(words, best), _memory(words, best.peak_host, "plan.host")]
        if best.peak_device is not None:
            parts.append(_memory(words, best.peak_device, "plan.device"))
        parts.append(_others(words, plan))
        return Content("\n\n").join(parts)
    return Content("\n").join(parts)


def _headline(words: Strings, plan: Plan, best: Candidate) -> Content:
    from escl.memory.candidate import in_time
    from escl.memory.devices import in_size

    budget = plan.budget
    sizes = [words("plan.of", part=in_size(best.peak_host_bytes), whole=in_size(budget.host_bytes))]
    if best.peak_device is not None and budget.device_bytes is not None:
        on_device = words("plan.of", part=in_size(best.peak_device_bytes), whole=in_size(budget.device_bytes))
        sizes.insert(0, f"{on_device} {budget.device}")
    said = [words("plan.about", time=in_time(best.seconds.total)), *sizes]
    said.append(words("plan.files", size=in_size(best.disk_bytes)))
    return plain("  ·  ".join(said), "bold $primary")


def _way(words: Strings, plan: Plan, best: Candidate, *, in_full: bool) -> Content:
    said = [words(_WAYS[best.strategy])]
    if in_full:
        said.append(words("plan.side_by_side", n=best.slots[1]))
    if plan.assumed:
        said.append(words("plan.assumed"))
    if plan.workload.outside:
        said.append(words("plan.outside"))
    return plain("  ·  ".join(said))


def _played(words: Strings, plan: Plan, tally: Tally, supporters: int) -> Content:
    cards = words("plan.cards", played=len(tally.played), matching=tally.n_matching)
    dialogues = plan.workload.dialogues * supporters
    rounds = plan.workload.rounds
    said = words("plan.dialogues", n=dialogues, turns=dialogues * rounds * 2, rounds=rounds)
    return plain(f"{cards}  ·  {said}", "$muted")


def _phases(words: Strings, best: Candidate) -> Content:
    from escl.memory.candidate import in_time

    rows = [(words(name), in_time(s)) for field, name in _PHASES.items() if (s := getattr(best.seconds, field))]
    return _table(words("plan.time"), rows)


def _memory(words: Strings, peak: Footprint, title: str) -> Content:
    from escl.memory.devices import in_size

    rows = [(words(name), in_size(size)) for part, name in _PARTS.items() if (size := getattr(peak, part))]
    return _table(words(title), rows)


def _others(words: Strings, plan: Plan) -> Content:
    from escl.memory.candidate import in_time

    rows = [
        (
            words(_WAYS[one.strategy]),
            in_time(one.seconds.total) if one.fits else words("plan.too_large"),
        )
        for at, one in enumerate(plan.candidates)
        if at != plan.chosen
    ]
    return _table(words("plan.others"), rows)


def _table(title: str, rows: list[tuple[str, str]]) -> Content:
    lines = [Content.styled(title, "bold")]
    lines += [Content.assemble(("  " + fitted(name, _NAME), "$muted"), f"{value:>12}") for name, value in rows]
    return Content("\n").join(lines)
