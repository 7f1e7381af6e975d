"""Sentences that know what they were made of, so that each front end can say them in its language.

A `Message` is its English text wherever text is wanted; `in_language` says it in another one. The words are in
`escl/core/messages`, one file for each language with the same keys and the same {fields}. Knows no run and no page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from escl.core.dimension import Language

_FOLDER: Final = Path(__file__).parent / "messages"
_JOINED: Final = {Language.ENGLISH: ", ", Language.CHINESE: "、"}

Field = str | int | float | Sequence[str]
"""A value in a sentence; text from outside stays as it is, and messages among them are said in the same language."""


class Message(str):
    """A sentence in English that keeps its key and its fields.

    A kind of text, so that whoever only prints or compares it need not know; `as_text` lets it be encoded.
    """

    __slots__ = ("fields", "key")
    key: str
    fields: Mapping[str, Field]

    def __new__(cls, key: str, fields: Mapping[str, Field] | None = None) -> Message:
        """Return the sentence of that key ("table.name") with its fields filled in."""
        given = fields or {}
        made = super().__new__(cls, _said(key, given, Language.ENGLISH))
        made.key, made.fields = key, given
        return made


def in_language(text: str, language: Language) -> str:
    """Return a sentence in a language; text that is no message stays, unless it is one of a few known words of ours."""
    if isinstance(text, Message):
        return _said(text.key, text.fields, language)
    if language is Language.ENGLISH:
        return text
    return words(language)["known"].get(text, text)


def as_text(value: object) -> str:
    """Return a message as the plain text that encoders know.

    Raises:
        NotImplementedError: It is none; encoders take that for "unknown".
    """
    if isinstance(value, Message):
        return str(value)
    raise NotImplementedError


@cache
def words(language: Language) -> Mapping[str, Mapping[str, str]]:
    """Return the sentences of a language by table and name; "known" has words that stand for themselves in English."""
    return tomllib.loads((_FOLDER / f"{language.value}.toml").read_text(encoding="utf-8"))


def _said(key: str, fields: Mapping[str, Field], language: Language) -> str:
    table, _, name = key.partition(".")
    return words(language)[table][name].format(**{at: _filled(value, language) for at, value in fields.items()})


def _filled(value: Field, language: Language) -> str | int | float:
    if isinstance(value, str):
        return in_language(value, language) if isinstance(value, Message) else value
    if isinstance(value, int | float):
        return value
    return _JOINED[language].join(in_language(each, language) for each in value)
