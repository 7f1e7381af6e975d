"""A CSV file that one rater fills in, row by row; each row is on the disk before the next question.

Owns appending and taking back. The file may hold the rows of other raters too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from escl.core.ratings_file import PREFERENCE_COLUMNS, RATING_COLUMNS, RatingsFile, csv_text, read_ratings
from escl.errors import RatingsError, StorageError


class RatingSheet:
    """The file, begun or gone on with.

    Attributes:
        path: Of the file.
        before: What it held when it was opened.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        """Open the file, with its header if it is new.

        Raises:
            RatingsError: It holds something else.
            StorageError: It cannot be written.
        """
        self.path, self._columns = path, columns
        self._sizes: list[int] = []
        if not path.exists() or path.stat().st_size == 0:
            self._append(csv_text(columns, []))
        self.before = self._checked()

    def add(self, row: Mapping[str, object]) -> None:
        """Write a row.

        Raises:
            StorageError: It cannot be written.
        """
        self._sizes.append(self.path.stat().st_size)
        self._append(csv_text(self._columns, [row], header=False))

    def take_back(self) -> None:
        """Remove the row that was added last.

        Raises:
            StorageError: The file has changed since, or cannot be written.
        """
        size = self._sizes.pop()
        try:
            if self.path.stat().st_size < size:
                raise StorageError(f"{self.path} was changed by someone else")
            os.truncate(self.path, size)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _checked(self) -> RatingsFile:
        with self.path.open(encoding="utf-8", newline="") as file:
            header = file.readline(200).rstrip("\r\n")
        held = read_ratings(self.path, own=None)
        if header != ",".join(self._columns):
            raise RatingsError(
                f"{self.path} has other columns than {', '.join(self._columns)}", hint="name another file with --out"
            )
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            ends_well = file.read(1) == b"\n"
        if not ends_well:
            self._append("\n")
        return held

    def _append(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error.strerror or error}") from error


def label_sheet(path: Path) -> RatingSheet:
    """Return the sheet for labels at `path`."""
    return RatingSheet(path, RATING_COLUMNS)


def preference_sheet(path: Path) -> RatingSheet:
    """Return the sheet for preferences at `path`."""
    return RatingSheet(path, PREFERENCE_COLUMNS)


def sheet_name(rater: str, *, pairs: bool) -> str:
    """Return what a rater's file is called unless they say otherwise."""
    return f"{'pairs' if pairs else 'ratings'}-{rater}.csv"


def held(path: Path) -> RatingsFile:
    """Return what a sheet holds, without beginning it; nothing where it is not there.

    Raises:
        RatingsError: It holds something else.
    """
    return read_ratings(path, own=None) if path.exists() and path.stat().st_size else RatingsFile()
