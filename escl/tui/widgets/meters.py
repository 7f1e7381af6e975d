"""Amounts drawn with characters: how far a phase is, how fast it was, how a label is spread."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

_LEVELS = "▁▂▃▄▅▆▇█"
_HIGHEST = 0.87


def meter(done: int, total: int, width: int, *, style: str = "$primary") -> Content:
    """Return a bar of `width` cells that is filled as far as `done` of `total`."""
    share = min(1.0, done / total) if total > 0 else 0.0
    halves = round(share * width * 2)
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    return Content.assemble((filled, style), ("─" * (width - len(filled)), "$muted"))


def sparkline(values: Sequence[float], width: int, *, style: str = "$primary") -> Content:
    """Return the last `width` values as columns of one line; the highest leaves room to the line above."""
    shown = list(values)[-width:]
    highest = max(shown, default=0.0)
    columns = [level(_HIGHEST * value / highest) if highest > 0 else _LEVELS[0] for value in shown]
    return Content.assemble(("".join(columns).rjust(width, "·"), style))


def level(share: float) -> str:
    """Return the column that is `share` (0-1) high."""
    return _LEVELS[min(len(_LEVELS) - 1, max(0, int(share * len(_LEVELS))))]


def spread(probabilities: Sequence[float], label: int | None, *, wide: bool = False) -> Content:
    """Return five columns, one for each label; the scorer's own is set apart by a sign beside it, too."""
    parts: list[tuple[str, str]] = []
    for at, share in enumerate(probabilities):
        column = level(share) if share >= 0.01 else "·"
        parts.append((column * (1 + wide), "bold $primary" if at == label else "$muted"))
        parts.append(("◂" if at == label else " ", "bold $primary"))
    return Content.assemble(*parts)


def clock(seconds: float) -> str:
    """Return a time as 1:05 or 2:00:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(n_bytes: int) -> str:
    """Return bytes as MiB or GiB."""
    mebibytes = n_bytes / 2**20
    return f"{mebibytes / 1024:,.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:,.0f} MiB"
