"""A rubrics file is read strictly: what is wrong is named with its place, and nothing passes for one of the seven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from escl.core.dimension import Language
from escl.core.own_dimension import MAX_DIMENSIONS, OwnDimension, load_own, own_for, own_of
from escl.core.protocol_check import own_remarks
from escl.core.settings import JudgingSettings, fingerprint
from escl.errors import ProtocolError
from tests.rubrics import PATIENCE, PLAIN_WORDS, write


def document(**changed: object) -> dict[str, Any]:
    """Return a rubrics document with one English dimension, some of its fields changed; None leaves one out."""
    rubric = {"name": "Patience", "definition": "Gives time?", "levels": list("abcde")} | changed
    return {"dimensions": {"patience": {"en": {key: value for key, value in rubric.items() if value is not None}}}}


def test_a_file_gives_its_dimensions_in_their_languages(tmp_path: Path) -> None:
    assert load_own([write(tmp_path / "r.json", PATIENCE, PLAIN_WORDS)]) == (PATIENCE, PLAIN_WORDS)
    assert (PATIENCE.shown(Language.CHINESE), PLAIN_WORDS.shown(Language.CHINESE)) == ("耐心", "Plain words")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (document(levels=list("abcd")), "dimensions.patience.en.levels must be five texts"),
        (document(levels=[*"abcd", ""]), "levels[4] is empty"),
        (document(levels=[*"abcd", 4]), "levels[4] must be text, not a number"),
        (document(definition="a\x1b[2J"), "definition holds the control or hidden character U+001B"),
        (document(definition="x" * 5000), "definition has 5000 characters"),
        (document(definition=None), "definition is missing"),
        (document(name="two\nlines"), "name holds a line break"),
        (document(name="EMPATHY"), "one of the seven"),
        (document(lévels=[]), "is unknown; did you mean levels?"),
        ({"dimensions": {"empathic": {}}}, "one of escl's own"),
        ({"dimensions": {"average": {}}}, "one of escl's own"),
        ({"dimensions": {"p\u202eq": {}}}, "a key is 1 to 32"),
        ({"dimensions": {"p" * 33: {}}}, "a key is 1 to 32"),
        ({"dimensions": {"patience": {}}}, "holds no language"),
        ({"dimensions": {"patience": {"fr": {}}}}, '"fr" is no language'),
        ({"dimensions": {f"d{n}": {} for n in range(MAX_DIMENSIONS + 1)}}, "17 dimensions"),
        ({"dimensions": {}}, "0 dimensions"),
        ({"dimension": {}}, "did you mean dimensions?"),
        ([], "must be a table, not a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(wrong: object, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        own_of(wrong)
    assert said in str(refused.value)


def test_two_files_may_not_mean_the_same_key_or_name(tmp_path: Path) -> None:
    one, same_name = write(tmp_path / "one.json", PATIENCE), tmp_path / "two.json"
    write(same_name, OwnDimension(key="other", languages=PATIENCE.languages))
    for other, what in ((one, "key"), (same_name, "name")):
        with pytest.raises(ProtocolError, match=f"the {what} "):
            load_own([one, other])


def test_a_key_that_json_gives_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    inner = json.dumps(document()["dimensions"]["patience"])
    path.write_text(f'{{"dimensions": {{"patience": {inner}, "patience": {inner}}}}}', encoding="utf-8")
    with pytest.raises(ProtocolError, match='"patience" is given twice'):
        load_own([path])


def test_a_dimension_without_words_for_any_dialogue_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", PLAIN_WORDS)
    assert own_for([path], {Language.ENGLISH, Language.CHINESE}) == (PLAIN_WORDS,)
    with pytest.raises(ProtocolError, match="plain-words has words for en only"):
        own_for([path], {Language.CHINESE})


def test_slips_that_no_rule_forbids_are_remarked() -> None:
    (rubric,) = PLAIN_WORDS.languages.values()
    twice = msgspec.structs.replace(rubric, levels=("a", "b", "b", "c", "d"))
    remarks = own_remarks([PATIENCE, OwnDimension(key="plain-words", languages={Language.ENGLISH: twice})])
    assert remarks == [
        "plain-words has no words for zh: dialogues in it are not asked about",
        "[en] plain-words has the same words for two labels",
    ]


def test_the_hash_of_a_judging_of_the_seven_knows_nothing_of_own_dimensions_and_every_word_of_one_counts() -> None:
    plain = JudgingSettings(
        generation_fingerprint="0", protocol_sha256="0", scorer="s", sha256="0", adapters={}, llama_cpp="0"
    )
    assert b"own" not in msgspec.json.encode(plain)
    (rubric,) = PLAIN_WORDS.languages.values()
    reworded = OwnDimension(
        key=PLAIN_WORDS.key, languages={Language.ENGLISH: msgspec.structs.replace(rubric, definition="Clear?")}
    )
    made = [plain, *(msgspec.structs.replace(plain, own=own) for own in (PATIENCE, PLAIN_WORDS, reworded))]
    assert len({fingerprint(one) for one in made}) == 4
