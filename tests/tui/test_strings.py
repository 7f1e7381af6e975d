"""The table of words is whole: every name that is used is in it, and both languages say the same amount."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest

import escl.tui
from escl.core.card import Category
from escl.core.dimension import Dimension
from escl.stats.paired import Verdict
from escl.tui.screens.run_screen import Rated
from escl.tui.strings import Strings, UiLanguage, language_of, names

SOURCES = [path.read_text(encoding="utf-8") for path in Path(escl.tui.__path__[0]).rglob("*.py")]


_VERDICTS = [one.replace(" ", "_") for one in get_args(Verdict)]


def fields(text: str) -> set[str | None]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def test_both_languages_fill_in_the_same() -> None:
    english, chinese = Strings("en"), Strings("zh")
    for name in names():
        assert fields(english(name)) == fields(chinese(name)), name


def test_every_name_in_the_code_is_in_the_table() -> None:
    kinds = {name.split(".")[0] for name in names()}
    used = {
        name
        for source in SOURCES
        for name in re.findall(r"\"([a-z_]+\.[a-z_.]+[a-z_])\"", source)
        if name.split(".")[0] in kinds and name != "escl.tcss"
    }
    assert len(used) > 60
    assert used - names() == set()


def test_every_name_that_is_made_up_is_in_the_table() -> None:
    made = [f"dimension.{one.value}" for one in Dimension] + [f"dimension.short.{one.value}" for one in Dimension]
    made += [f"category.{one.value}" for one in Category]
    made += [f"state.{one}" for one in ("running", "finished", "interrupted", "error", "killed")]
    made += [f"resume.{one}" for one in ("running", "finished")]
    made += [f"pick.{one}" for one in ("supporter", "seeker", "scorer", "judge", "file", "outside")]
    made += [f"dialogue.{one}" for one in ("pending", "speaking", "complete", "failed")]
    made += [f"dialogues.order.{one}" for one in ("planned", "lowest", "highest")]
    made += [f"dialogues.{one}" for one in ("disagreed", "unsure")]
    made += [f"rate.{start}{one}" for one in get_args(Rated) for start in ("", "no_")]
    made += [f"rate.{one}_about" for one in get_args(Rated)]
    made += [f"home.{one}" for one in ("file", "state", "dialogues", "cards", "supporters", "scorer", "date")]
    made += [f"key.{one}" for one in ("live", "scores", "dialogues", "compare", "arena")]
    made += [f"compare.{kind}.{one}" for kind in ("verdict", "in") for one in _VERDICTS]
    made += [f"scores.{one}" for one in ("scale", "marks", "limits")]
    assert set(made) - names() == set()


def test_every_word_is_used() -> None:
    rest = "\n".join(source for source in SOURCES if not source.startswith('"""Every word of the app')).replace(
        "'", '"'
    )
    unseen = [name for name in names() if f'"{name}"' not in rest]
    # Made of a kind and a value: said by the test above.
    kinds = r"(dimension|category|state|dialogue|language|speaker|home|scores|live|resume|pick)\."
    kinds += r"|dialogues\.(order\.|disagreed|unsure)"
    kinds += r"|compare\.(verdict|in)\."
    kinds += r"|rate\.(no_)?(labels|own|pairs)"
    assert [name for name in unseen if not re.match(kinds, name)] == []


@pytest.mark.parametrize(
    ("environment", "language"),
    [({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LC_ALL": "C", "LANG": "zh_CN"}, "en"), ({}, "en"), ({"LANG": ""}, "en")],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: UiLanguage) -> None:
    assert language_of(environment) == language


def test_one_is_counted_as_one() -> None:
    words = Strings("en")
    assert words("plan.dialogues", n=1, rounds=2, turns=1) == "1 dialogue, 2 rounds, 1 turn"
    assert words("cards.title", n=1, where="role_cards") == "1 card is played, from role_cards"
    assert words("scores.detail", n=1, asked=1000, cards="3/5") == "1 of 1,000 dialogues, 3/5 cards"
    assert Strings("zh")("new.count", n=1) == "1 张"
