"""Dimensions of a user's own, which a scorer is asked about beside the seven.

They come from rubrics files, TOML or JSON (docs/rubrics.md). Owns that format and what such a dimension may be called;
knows no scorer and no run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from escl.core import strict
from escl.core.dimension import Dimension, Language
from escl.core.wording import Rubric
from escl.errors import ProtocolError

MAX_DIMENSIONS: Final = 16
"""Of one file and of one command; every one of them is asked about in every dialogue."""

KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MAX_NAME: Final = 24
_MAX_CHARS: Final = 4000
_TAKEN: Final = frozenset({"average", *Dimension, *(each.shown.lower() for each in Dimension)})
"""Keys and names, in lower case, that mean something else."""


class OwnDimension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dimension that is none of the seven.

    Attributes:
        key: What is stored, and what options and files of ratings call it.
        languages: The rubric by language, with its five levels; dialogues in other languages are not asked about.
    """

    key: Annotated[str, Meta(pattern=f"^{KEY.pattern}$")]
    languages: Annotated[dict[Language, Rubric], Meta(min_length=1)]

    def shown(self, language: Language) -> str:
        """Return its name for people; in a language that it has no words for, that of its first."""
        return (self.languages.get(language) or next(iter(self.languages.values()))).name


def load_own(paths: Iterable[Path]) -> tuple[OwnDimension, ...]:
    """Return the dimensions of all these rubrics files.

    Raises:
        ProtocolError: A file is malformed, or two dimensions share a key or a name; the message names the field.
    """
    found: list[OwnDimension] = []
    for path in paths:
        try:
            document = strict.read_document(path)
            if twice := strict.doubled_key(document):
                raise ValueError(f"the key {strict.quoted(twice)} is given twice in one table")
            found += own_of(document)
            _refuse_twins(found)
        except ValueError as error:
            raise ProtocolError(f"{path}: {error}", hint="docs/rubrics.md has an example") from error
    return tuple(found)


def own_for(paths: Iterable[Path], languages: Collection[Language]) -> tuple[OwnDimension, ...]:
    """Return the dimensions of all these rubrics files, to be asked about in dialogues in these languages.

    Raises:
        ProtocolError: As `load_own`, or a dimension has words for none of the languages.
    """
    found = load_own(paths)
    for own in found:
        if not own.languages.keys() & set(languages):
            raise ProtocolError(
                f"dimension {own.key} has words for {' and '.join(own.languages)} only, and no dialogue is in it",
                hint="give it the other language too, or leave its file out",
            )
    return found


def is_rubrics(path: Path) -> bool:
    """Return whether a file means to be a rubrics file, and not a protocol; what cannot be read means nothing."""
    try:
        document = strict.read_document(path)
    except ValueError:
        return False
    return isinstance(document, dict) and "dimensions" in document


def own_of(document: object) -> list[OwnDimension]:
    """Return the dimensions in a document that was read from TOML or JSON.

    Raises:
        ValueError: It is malformed; the message names the field.
    """
    for key in _table(document, "the file"):
        if key != "dimensions":
            raise ValueError(f"{strict.quoted(key)} is unknown{strict.nearest(key, ['dimensions'])}")
    dimensions = _table(_table(document, "the file").get("dimensions", {}), "dimensions")
    if not 1 <= len(dimensions) <= MAX_DIMENSIONS:
        raise ValueError(f"dimensions holds {len(dimensions)} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
    made = [_dimension(key, table) for key, table in dimensions.items()]
    _refuse_twins(made)
    return made


def _dimension(key: str, table: object) -> OwnDimension:
    if not KEY.fullmatch(key):
        raise ValueError(
            f"dimensions.{strict.shortened(key)}: a key is 1 to 32 of a-z, 0-9, - and _, and begins with a letter"
        )
    if key in _TAKEN:
        raise ValueError(f"dimensions.{key}: this is one of escl's own; choose another key")
    rubrics = {
        _language(name, f"dimensions.{key}"): _rubric(rubric, f"dimensions.{key}.{strict.shortened(name)}")
        for name, rubric in _table(table, f"dimensions.{key}").items()
    }
    if not rubrics:
        raise ValueError(f"dimensions.{key} holds no language")
    return OwnDimension(key=key, languages=rubrics)


def _language(name: str, where: str) -> Language:
    if name not in set(Language):
        known = " or ".join(Language)
        raise ValueError(
            f"{where}: {strict.quoted(name)} is no language; it is {known}{strict.nearest(name, Language)}"
        )
    return Language(name)


def _rubric(value: object, where: str) -> Rubric:
    fields = _table(value, where)
    for key in fields:
        if key not in Rubric.__struct_fields__:
            raise ValueError(f"{where}: {strict.quoted(key)} is unknown{strict.nearest(key, Rubric.__struct_fields__)}")
    levels = fields.get("levels")
    if not isinstance(levels, list) or len(levels) != 5:
        raise ValueError(f"{where}.levels must be five texts, for the labels 0 to 4")
    name = _text(fields.get("name"), f"{where}.name", strict.line(_MAX_NAME))
    if name.lower() in _TAKEN:
        raise ValueError(f"{where}.name is {strict.quoted(name)}, which is one of the seven; choose another name")
    said = strict.paragraph(_MAX_CHARS)
    anchors = [_text(level, f"{where}.levels[{label}]", said) for label, level in enumerate(levels)]
    return Rubric(
        name=name,
        definition=_text(fields.get("definition"), f"{where}.definition", said),
        levels=(anchors[0], anchors[1], anchors[2], anchors[3], anchors[4]),
    )


def _text(value: object, where: str, parse: strict.Parse) -> str:
    if value is None:
        raise ValueError(f"{where} is missing")
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from None


def _table(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table, not {strict.kind_of(value)}")
    return value


def _refuse_twins(found: Sequence[OwnDimension]) -> None:
    if len(found) > MAX_DIMENSIONS:
        raise ValueError(f"{len(found)} dimensions in all; {MAX_DIMENSIONS} are allowed")
    called: dict[tuple[str, str], OwnDimension] = {}
    for own in found:
        names = [(language.value, rubric.name.lower()) for language, rubric in own.languages.items()]
        for where, name in [("key", own.key), *names]:
            if (where, name) in called:
                raise ValueError(f"two dimensions have the {'key' if where == 'key' else 'name'} {strict.quoted(name)}")
            called[where, name] = own
