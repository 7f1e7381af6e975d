"""A table that can be filled again at any time, and is then always seen whole."""

from __future__ import annotations

from typing import Self

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey, RowKey


class Table(DataTable[Text]):
    """Rows under a cursor.

    Textual measures new rows when the table has nothing else to do. A screen that is painted before that keeps lines
    in the old columns' widths, and one that is laid out before it can keep the height of a table without rows. So what
    has changed is drawn once more as soon as it is measured.
    """

    _is_changed = False

    def clear(self, columns: bool = False) -> Self:
        """Remove the rows, and with `columns` the columns, to be filled again."""
        self._is_changed = True
        return super().clear(columns)

    def update_cell(
        self, row_key: RowKey | str, column_key: ColumnKey | str, value: Text, *, update_width: bool = False
    ) -> None:
        """Write a cell anew, and with `update_width` make its column as wide as it now needs to be."""
        self._is_changed |= update_width
        super().update_cell(row_key, column_key, value, update_width=update_width)

    def on_idle(self) -> None:
        """Draw anew what has changed, after Textual has measured it in its own handler of this event."""
        if self._is_changed:
            self._is_changed = False
            self.call_next(self._draw_anew)

    def _draw_anew(self) -> None:
        self.notify_style_update()
        self.refresh(layout=True)
