"""Text on its way to a widget: every character harmless, none of it markup, its length bounded."""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.content import Content

from escl.core.printable import printable

LONGEST = 20_000
"""Characters of one text that are shown; wrapping more would hold up the keys."""


def plain(text: str, style: str = "") -> Content:
    """Return `text` as content that is shown as it is."""
    shown = Content(_bounded(text))
    return shown.stylize(style) if style else shown


def line(text: str, width: int | None = None) -> str:
    """Return `text` as one harmless line, cut to `width` cells with an ellipsis where it is longer."""
    shown = " ".join(printable(text[: LONGEST + 1]).split())
    return shown if width is None else fitted(shown, width).rstrip()


def cell(text: str, style: str = "", *, justify: Literal["left", "right"] = "left") -> Text:
    """Return `text` for a cell of a table."""
    return Text(_bounded(text), style=style, justify=justify, no_wrap=True, overflow="ellipsis")


def fitted(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, which a wide character takes two of."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1) + "…", width)


def fitted_in_the_middle(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, cut in its middle where it is longer: names often differ at their end."""
    if width <= 0 or cell_len(text) <= width:
        return fitted(text, width)
    most = (width - 1) // 2
    end = text[len(text) - most :]
    while cell_len(end) > most:
        end = end[1:]
    return set_cell_size(f"{set_cell_size(text, width - 1 - cell_len(end))}…{end}", width)


def _bounded(text: str) -> str:
    shown = printable(text[:LONGEST]).replace("\t", "    ")
    more = len(text) - LONGEST
    return f"{shown}… (+{more:,})" if more > 0 else shown
