"""The CSV files of people's judgements: labels of dialogues, or preferences between two.

Owns the columns, and reads strictly: the file may come from anyone. Knows no run: what a dialogue is called is only
text here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from escl.core import strict
from escl.core.dimension import LABELS, Dimension
from escl.core.own_dimension import KEY
from escl.errors import RatingsError

MAX_BYTES: Final = 8 << 20
MAX_ROWS: Final = 100_000

RATING_COLUMNS: Final = ("dialogue", "dimension", "rater", "label", "pass")
PREFERENCE_COLUMNS: Final = ("card", "a", "b", "rater", "preference", "pass")
_OPTIONAL: Final = ("pass", "note")

Choice = Literal["a", "b", "tie"]
_CHOICES: Final[dict[str, Choice]] = {"a": "a", "b": "b", "tie": "tie"}
_DIMENSIONS: Final = {name: each.value for each in Dimension for name in (each.value, each.shown.lower())}
_MAX_NAME: Final = 400

_name: Final = strict.line(_MAX_NAME)
_choice: Final = strict.choice({**_CHOICES})
_MAX_PASS: Final = 99


class GivenLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One label that a person gave.

    Attributes:
        line: Where it stands in the file.
        dialogue: What the file calls the dialogue.
        turn: 1 for the rater's first judgement of it, 2 for a second, and so on: the column `pass`.
    """

    line: int
    dialogue: str
    rater: str
    label: int
    turn: int = 1


class Rating(GivenLabel, frozen=True, kw_only=True):
    """A label in one of the seven dimensions."""

    dimension: Dimension


class OwnRating(GivenLabel, frozen=True, kw_only=True):
    """A label in a dimension of the user's own; `own` is its key."""

    own: str


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """Which of two dialogues on the same card a judge prefers.

    Attributes:
        a: What the file calls one: a dialogue, or the supporter in it.
        b: The other.
    """

    line: int
    card: str
    a: str
    b: str
    rater: str
    preference: Choice
    turn: int = 1


class RatingsFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds: rows of one of the two kinds.

    Attributes:
        own: Labels in dimensions of the user's own.
        n_blank: Rows whose label or preference is left empty, and which count as not judged.
    """

    ratings: tuple[Rating, ...] = ()
    preferences: tuple[Preference, ...] = ()
    n_blank: int = 0
    own: tuple[OwnRating, ...] = ()


_Row = TypeVar("_Row", GivenLabel, Preference)


def read_ratings(path: Path, *, own: Collection[str] | None = ()) -> RatingsFile:
    """Return the judgements in a CSV file; its header says which kind they are.

    Args:
        path: Of the file.
        own: Keys of the user's own dimensions that may be rated beside the seven; None takes any.

    Raises:
        RatingsError: The file cannot be read or is malformed; the message names the line and the column.
    """
    try:
        return _parsed(_text(path), own)
    except ValueError as error:
        hint = f"columns: {', '.join(RATING_COLUMNS[:-1])}; or {', '.join(PREFERENCE_COLUMNS[:-1])}; `pass` may follow"
        raise RatingsError(f"{path}: {error}", hint=hint) from error


def rated_labels(path: Path, *, own: Collection[str] = ()) -> tuple[Rating, ...]:
    """Return the labels in the seven dimensions in a CSV file of people's ratings; those in `own` are left out.

    Raises:
        RatingsError: The file cannot be read or is malformed, or holds none.
    """
    found = read_ratings(path, own=own).ratings
    if not found:
        raise RatingsError(f"{path} holds no labels", hint=f"its columns are {', '.join(RATING_COLUMNS[:-1])}")
    return found


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]], *, header: bool = True) -> str:
    """Return rows as CSV."""
    made = io.StringIO()
    writer = csv.DictWriter(made, list(columns), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return made.getvalue()


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ValueError("is not there" if not path.exists() else "is not a regular file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: byte {error.start} (counted from 0)") from None


def _parsed(text: str, own: Collection[str] | None) -> RatingsFile:
    rows = _rows(text)
    _, header = next(rows, (1, None))
    if header is None:
        raise ValueError("is empty")
    columns = [name.strip().lower() for name in header]
    if "label" in columns or "dimension" in columns:
        _check_header(header, columns, RATING_COLUMNS)
        given, n_blank = _each(rows, columns, partial(_rating, own))
        return RatingsFile(
            ratings=tuple(one for one in given if isinstance(one, Rating)),
            own=tuple(one for one in given if isinstance(one, OwnRating)),
            n_blank=n_blank,
        )
    _check_header(header, columns, PREFERENCE_COLUMNS)
    preferences, n_blank = _each(rows, columns, _preference)
    return RatingsFile(preferences=tuple(preferences), n_blank=n_blank)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV: {error}") from None


def _check_header(header: list[str], columns: list[str], known: tuple[str, ...]) -> None:
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise ValueError("line 1: the columns are not parted by commas; save the sheet as comma-separated CSV")
    allowed = (*known, *_OPTIONAL)
    for name in columns:
        if name not in allowed:
            raise ValueError(f"line 1: there is no column {strict.quoted(name)}{strict.nearest(name, allowed)}")
        if columns.count(name) > 1:
            raise ValueError(f"line 1: the column {name} is there twice")
    missing = [name for name in known if name not in columns and name not in _OPTIONAL]
    if missing:
        raise ValueError(f"line 1: the column {' and the column '.join(missing)} is missing")


class _Fields:
    """One row, field by field; a reason names line and column."""

    def __init__(self, line: int, fields: Mapping[str, str]) -> None:
        self.line = line
        self._fields = fields

    def name(self, column: str) -> str:
        return self._parse(column, _name)

    def pass_number(self) -> int:
        text = self._fields.get("pass", "") or "1"
        return int(self._parse("pass", _pass, text))

    def choice(self, column: str, parse: strict.Parse) -> str | None:
        """Return what the field stands for; None when it is left blank."""
        text = self._fields[column].lower()
        return None if not text else self._parse(column, parse, text)

    def _parse(self, column: str, parse: strict.Parse, text: str | None = None) -> str:
        try:
            return parse(self._fields[column] if text is None else text)
        except ValueError as error:
            raise ValueError(f"line {self.line}, {column} {error}") from None


def _each(
    rows: Iterable[tuple[int, list[str]]], columns: list[str], parse: Callable[[_Fields], tuple[object, _Row | None]]
) -> tuple[list[_Row], int]:
    """Return the rows, and how many are blank; no judge may say two things about the same."""
    found: dict[object, _Row] = {}
    n_blank = 0
    for count, (line, row) in enumerate(rows):
        if count == MAX_ROWS:
            raise ValueError(f"line {line}: more than {MAX_ROWS:,} rows")
        if len(row) != len(columns):
            raise ValueError(f"line {line} has {len(row)} fields, the header has {len(columns)}")
        key, parsed = parse(_Fields(line, dict(zip(columns, (field.strip() for field in row), strict=True))))
        if parsed is None:
            n_blank += 1
            continue
        if key in found:
            raise ValueError(
                f"line {line}: line {found[key].line} already has this judgement; number repeated ones in a column pass"
            )
        found[key] = parsed
    return list(found.values()), n_blank


def _rating(own: Collection[str] | None, fields: _Fields) -> tuple[object, GivenLabel | None]:
    dialogue, rater, turn = fields.name("dialogue"), fields.name("rater"), fields.pass_number()
    dimension = fields.choice("dimension", partial(_dimension, own))
    label = fields.choice("label", _label)
    if dimension is None:
        raise ValueError(f"line {fields.line}, dimension is empty")
    key = (dialogue, dimension, rater, turn)
    if label is None:
        return key, None
    given = GivenLabel(line=fields.line, dialogue=dialogue, rater=rater, label=int(label), turn=turn)
    if dimension not in set(Dimension):
        return key, OwnRating(own=dimension, **msgspec.structs.asdict(given))
    return key, Rating(dimension=Dimension(dimension), **msgspec.structs.asdict(given))


def _label(value: object) -> str:
    return _whole(value, min(LABELS), max(LABELS))


def _pass(value: object) -> str:
    return _whole(value, 1, _MAX_PASS)


def _whole(value: object, lowest: int, highest: int) -> str:
    """Return a whole number as it stands; no guess at another, for one out of range may stand for "missing"."""
    text = str(value)
    if text not in map(str, range(lowest, highest + 1)):
        raise ValueError(f"is {strict.quoted(text)}, not a whole number from {lowest} to {highest}")
    return text


def _dimension(own: Collection[str] | None, value: object) -> str:
    """Return the key of a dimension that goes by its key or, one of the seven, its shown name."""
    if own is None and isinstance(value, str) and KEY.fullmatch(value):
        return _DIMENSIONS.get(value, value)
    return strict.choice({**_DIMENSIONS, **{key: key for key in own or ()}})(value)


def _preference(fields: _Fields) -> tuple[object, Preference | None]:
    card, a, b = fields.name("card"), fields.name("a"), fields.name("b")
    rater, turn = fields.name("rater"), fields.pass_number()
    choice = fields.choice("preference", _choice)
    if a == b:
        raise ValueError(f"line {fields.line}: a and b are the same")
    key = (card, frozenset((a, b)), rater, turn)
    if choice is None:
        return key, None
    return key, Preference(line=fields.line, card=card, a=a, b=b, rater=rater, preference=_CHOICES[choice], turn=turn)
