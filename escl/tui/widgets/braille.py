"""A canvas of Braille characters, each two dots wide and four high, with words between them. Knows dots only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.cells import cell_len
from textual.content import Content

_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Of the dots of a character, row by row (Unicode Standard, chapter "Braille Patterns")."""

SOLID = (True,)


class Canvas:
    """Dots and words; what is drawn later lies above. A dot's x runs to the right and its y down, from 0."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._bits = [[0] * width for _ in range(height)]
        self._styles = [[""] * width for _ in range(height)]
        self._words: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int, style: str) -> None:
        """Set a dot; one beyond the canvas is left out."""
        column, row = x // 2, y // 4
        if 0 <= column < self.width and 0 <= row < self.height:
            self._bits[row][column] |= _BITS[y % 4][x % 2]
            self._styles[row][column] = style

    def line(
        self, start: tuple[float, float], end: tuple[float, float], style: str, *, pattern: Sequence[bool] = SOLID
    ) -> None:
        """Draw a line, of whose dots only those are set that the pattern says, over and over."""
        steps = max(1, round(max(abs(end[0] - start[0]), abs(end[1] - start[1]))))
        for step in range(steps + 1):
            if pattern[step % len(pattern)]:
                share = step / steps
                x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
                self.dot(round(x), round(y), style)

    def write(self, column: int, row: int, words: str, style: str) -> None:
        """Write words in place of what is drawn there, as far as the canvas reaches."""
        for character in words:
            size = cell_len(character)
            if not 0 <= row < self.height or column + size > self.width:
                return
            if column >= 0 and size:
                self._words[column, row] = character
                self._styles[row][column] = style
                for behind in range(column + 1, column + size):
                    self._words[behind, row] = ""
            column += size

    def content(self) -> Content:
        """Return what was drawn, line by line."""
        lines = []
        for row in range(self.height):
            cells = [(self._styles[row][column], self._character(column, row)) for column in range(self.width)]
            runs = groupby(cells, key=lambda cell: cell[0])
            lines.append(Content.assemble(*(("".join(text for _, text in run), style) for style, run in runs)))
        return Content("\n").join(lines)

    def _character(self, column: int, row: int) -> str:
        bits = self._bits[row][column]
        return self._words.get((column, row), chr(0x2800 + bits) if bits else " ")
