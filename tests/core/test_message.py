"""A message is its English text to whoever prints it, and can be said in another language with the same values."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import msgspec
import pytest

import escl
from escl.core.dimension import Dimension, Language
from escl.core.message import Message, as_text, in_language, words
from escl.text.role_break import RoleBreak
from escl.text.seeker_checks import Check

SOURCES = sorted(Path(escl.__file__).parent.rglob("*.py"))
COMPUTED = {"dimension", "language", "check", "role-break", "part"}
"""Tables whose names are values of the program's own."""


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_it_is_the_english_text_everywhere_and_the_other_language_where_asked() -> None:
    kinds = [Message("seeker.kind", {"check": Message(f"check.{check}"), "n": 2}) for check in ("echo", "cut")]
    said = Message("seeker.flagged", {"n": 3, "all": 8, "share": 3 / 8, "kinds": kinds})
    assert said.startswith("The seeker is flagged in 3 of 8 dialogues (38%): echo 2, cut 2.")
    assert said == str(said)
    assert in_language(said, Language.ENGLISH) == said
    assert in_language(said, Language.CHINESE).startswith("8 段对话中有 3 段的求助者被标记（38%）：回声 2、截断 2。")


def test_it_is_encoded_as_the_text_that_it_is() -> None:
    said = Message("crisis.none")
    assert msgspec.json.decode(msgspec.json.encode([said], enc_hook=as_text)) == [str(said)]
    with pytest.raises(NotImplementedError):
        msgspec.json.encode([object()], enc_hook=as_text)


def test_text_from_outside_is_no_template_and_stays() -> None:
    odd = "{0.__class__} {n}"
    assert odd in Message("crisis.quoted", {"words": odd})
    assert odd in in_language(Message("crisis.quoted", {"words": odd}), Language.CHINESE)
    assert in_language(odd, Language.CHINESE) == odd
    assert in_language("rules", Language.CHINESE) == "规则"


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    english, chinese = (dict(words(language)) for language in Language)
    assert english.keys() == chinese.keys()
    for table in english.keys() - {"known"}:
        assert english[table].keys() == chinese[table].keys(), table
        for name, said in english[table].items():
            assert fields_of(said) == fields_of(chinese[table][name]), (table, name)
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in said) for said in chinese["known"].values())


def test_every_sentence_of_the_program_is_there_and_none_is_left_over() -> None:
    used = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                used.add(str(node.values[0].value))
    english = words(Language.ENGLISH)
    for table in english.keys() - {"known"} - COMPUTED:
        for name in english[table]:
            key = f"{table}.{name}"
            assert key in used or any(key.startswith(begun) for begun in used if begun.startswith(f"{table}.")), key


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("dimension", [one.value for one in Dimension]),
        ("language", [one.value for one in Language]),
        ("check", [one.value for one in Check]),
        ("role-break", [one.name for one in RoleBreak]),
    ],
)
def test_what_the_program_enumerates_is_named_in_both_languages(table: str, names: list[str]) -> None:
    for language in Language:
        assert sorted(words(language)[table]) == sorted(names)
