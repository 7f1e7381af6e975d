"""What is in memory and what came and went, as lines: a bar for each memory, told apart by more than colour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual.content import Content

from escl.tui.plain import line
from escl.tui.widgets.meters import clock, size

if TYPE_CHECKING:
    from escl.store.residents import Memory, Share, Swap
    from escl.store.watch import Stay
    from escl.tui.strings import Strings

_PARTS: Final = (("weights", "█", "$primary"), ("kv", "▓", "$secondary"), ("buffers", "▒", "$accent"))
_SIGNS: Final = {"loaded": ("+", "bold $success"), "left": ("−", "$muted"), "lost": ("×", "bold $error")}


def memory_lines(words: Strings, memories: Sequence[Memory], stays: Sequence[Stay], width: int) -> Content:
    """Return a bar for each memory, what its parts mean, and the models in memory with their measured peaks."""
    lines: list[Content] = []
    for memory in memories:
        amount = words("live.of", taken=size(memory.taken.total), limit=size(memory.limit_bytes))
        name = words("live.main_memory") if memory.device is None else line(memory.device)
        lines.append(_apart(Content(name), amount, width))
        lines.append(memory_bar(memory.taken, memory.limit_bytes, width))
    if lines:
        lines += [*_legend(words, memories, width), Content("")]
    for stay in stays:
        device = (f"  {line(stay.device, 24)}", "$muted") if width > 50 else ""
        lines.append(_apart(Content.assemble((line(stay.name), "bold"), device), _peak(words, stay), width))
    return Content("\n").join(lines)


def memory_bar(taken: Share, limit_bytes: int, width: int) -> Content:
    """Return a bar of `width` cells: each part that takes anything has a cell at least, the rest is free."""
    bar, ends, reached = Content(""), 0, 0
    for name, sign, style in _PARTS:
        n_bytes = getattr(taken, name)
        ends += n_bytes
        until = round(width * min(1.0, ends / limit_bytes)) if limit_bytes > 0 else width
        cells = max(until - reached, 1 if n_bytes else 0)
        cells = min(cells, width - reached)
        reached += cells
        bar = Content.assemble(bar, (sign * cells, style))
    return Content.assemble(bar, ("─" * (width - reached), "$muted"))


def _legend(words: Strings, memories: Sequence[Memory], width: int) -> list[Content]:
    lines = [Content("")]
    for name, sign, style in _PARTS:
        n_bytes = sum(getattr(memory.taken, name) for memory in memories)
        part = Content.assemble((sign, style), (f" {words('live.part.' + name)} {size(n_bytes)}", "$muted"))
        if lines[-1].cell_length + part.cell_length + 3 > width:
            lines.append(Content(""))
        lines[-1] = Content.assemble(lines[-1], "   " if lines[-1] else "", part)
    return lines


def _peak(words: Strings, stay: Stay) -> str:
    return words("live.peak", size=size(stay.peak_bytes))


def _apart(left: Content, right: str, width: int) -> Content:
    """Return a line with one thing at its left end and another at its right."""
    room = max(1, width - cell_len(right) - 1)
    if left.cell_length > room:
        left = left.truncate(room, ellipsis=True)
    return Content.assemble(left, " " * (width - left.cell_length - cell_len(right)), (right, "$muted"))


def swap_lines(words: Strings, swaps: Sequence[Swap], width: int) -> Content:
    """Return a line for each model that came or went: when, which, and how long it took or stayed."""
    shown = []
    for swap in swaps:
        sign, style = _SIGNS[swap.what]
        took = _precise(swap.seconds) if swap.what == "loaded" else clock(swap.seconds)
        who = Content.assemble((_time(swap.at_utc), "$muted"), " ", (sign, style), " ", (line(swap.name), "bold"))
        shown.append(_apart(who, words(f"live.swap.{swap.what}", time=took), width))
    return Content("\n").join(shown)


def _precise(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"


def _time(utc: str) -> str:
    try:
        return datetime.fromisoformat(utc).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "??:??:??"
