"""Strict reading of files and tables from outside: every part is known, there and of its kind, or a reason says so.

Knows no particular file or table. Reasons are plain `ValueError`s; the caller adds where it was reading.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from escl.core.printable import printable

MAX_FILE_BYTES: Final = 8 * 2**20
"""Card and protocol files are text that people write; the largest known is under 1 MiB."""

_MAX_UNKNOWN: Final = 20
"""Unknown fields reported of one table; finding the nearest known name takes time."""

# The standard reader's time grows with the square of a dotted key's parts.
_LONG_TOML_KEY: Final = re.compile(r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")

Parse = Callable[[object], str]
"""Turns a raw value into the text it stands for, or raises ValueError with the reason."""

_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    type(None): "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one field of a table is read."""

    parse: Parse
    required: bool = True


class _JsonObject(dict[str, object]):
    """A JSON object that remembers which of its keys came twice; the standard reader keeps the last silently."""

    doubled: tuple[str, ...] = ()


def read_document(path: Path) -> object:
    """Return the content of a .toml or .json file.

    Raises:
        ValueError: The file is missing, too big, not UTF-8, nested too deep or no such document.
    """
    kind = path.suffix[1:].upper()
    if kind not in {"TOML", "JSON"}:
        raise ValueError("the name must end in .toml or .json")
    text = _read_text(path)
    if kind == "TOML":
        return parse_toml(text)
    try:
        return json.loads(text, object_pairs_hook=_json_object)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def parse_toml(text: str) -> dict[str, object]:
    """Return a TOML document, in time that grows with its length only.

    Raises:
        ValueError: It is nested too deep or is no TOML.
    """
    if _LONG_TOML_KEY.search(text):
        raise ValueError("is nested too deep")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"is not TOML: {error}") from None


def doubled_key(document: object) -> str | None:
    """Return a key that a JSON document gives twice in one object, or None; TOML has none that can be read."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _JsonObject) and value.doubled:
            return value.doubled[0]
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return None


def read_fields(table: object, fields: Mapping[str, Field]) -> tuple[dict[str, str], list[tuple[str | None, str]]]:
    """Return the fields of `table` that can be read, and (field, reason) for everything that is wrong with it."""
    if not isinstance(table, dict):
        return {}, [(None, f"must be a table of fields, not {kind_of(table)}")]
    doubled = table.doubled if isinstance(table, _JsonObject) else ()
    problems: list[tuple[str | None, str]] = [(key, "is given twice") for key in doubled]
    unknown = islice((key for key in table if key not in fields), _MAX_UNKNOWN)
    problems += [(key, f"is unknown{nearest(key, fields)}") for key in unknown]
    values: dict[str, str] = {}
    for key, field in fields.items():
        if key not in table:
            if field.required:
                problems.append((key, "is missing"))
            continue
        try:
            values[key] = field.parse(table[key])
        except ValueError as error:
            problems.append((key, str(error)))
    return values, problems


def line(max_chars: int) -> Parse:
    """Return a parser of one line of text: not blank, no control or hidden characters, no spaces around it."""

    def parse(value: object) -> str:
        text = paragraph(max_chars)(value)
        if "\n" in text or "\t" in text:
            raise ValueError("holds a line break or a tab; keep it on one line")
        if text != text.strip():
            raise ValueError("begins or ends with a space")
        return text

    return parse


def paragraph(max_chars: int) -> Parse:
    """Return a parser of text that may span lines: not blank, no control or hidden characters."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be text, not {kind_of(value)}")
        if not value.strip():
            raise ValueError("is empty")
        if len(value) > max_chars:
            raise ValueError(f"has {len(value)} characters; {max_chars} are allowed")
        for character, shown in zip(value, printable(value), strict=False):
            if character != shown:
                raise ValueError(f"holds the control or hidden character U+{ord(character):04X}")
        return value

    return parse


def choice(known: Mapping[str, str]) -> Parse:
    """Return a parser of one word out of `known`, giving what the word stands for."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be one of {', '.join(known)}, not {kind_of(value)}")
        if value not in known:
            raise ValueError(f"is {quoted(value)}, which is none of {', '.join(known)}{nearest(value, known)}")
        return known[value]

    return parse


def identifier(value: object) -> str:
    """Return an id: ASCII letters, digits, dot, dash and underscore, so that no two ids look the same."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {kind_of(value)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError(f"is {quoted(value)}; an id is 1 to 64 ASCII letters, digits, dots, dashes or underscores")
    return value


def whole_number(low: int, high: int) -> Parse:
    """Return a parser of a whole number from `low` to `high`, giving its decimal digits."""

    def parse(value: object) -> str:
        if type(value) is not int:
            raise ValueError(f"must be a whole number, not {kind_of(value)}")
        if not low <= value <= high:
            raise ValueError(f"is not between {low} and {high}")
        return str(value)

    return parse


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the known word closest to `word`, or nothing when none is close."""
    close = difflib.get_close_matches(word[:64], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def kind_of(value: object) -> str:
    """Return what `value` is in plain words, for a message."""
    return _KINDS.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def shortened(text: str) -> str:
    """Return the start of `text`, safe to show on one line."""
    return " ".join(printable(text if len(text) <= 40 else text[:40] + "...").split())


def quoted(text: str) -> str:
    """Return the start of `text` in quotes, safe to show on one line."""
    return f'"{shortened(text)}"'


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ValueError("is not there" if not path.exists() else "is not a regular file")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"is larger than {MAX_FILE_BYTES // 2**20} MiB")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: byte {error.start} (counted from 0)") from None


def _json_object(pairs: list[tuple[str, object]]) -> _JsonObject:
    table = _JsonObject(pairs)
    if len(table) < len(pairs):
        table.doubled = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return table
