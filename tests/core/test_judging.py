"""The judging rubric: its words ask for one label, and no utterance can become one of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import LABELS, Dimension, Language
from escl.core.judging import load_rubric, rubric_of
from escl.errors import ProtocolError

OPEN = load_rubric("open")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("dimension", Dimension)
def test_open_compares_in_every_dimension_and_language(language: Language, dimension: Dimension) -> None:
    question = OPEN.question(language, dimension, "FIRST", "SECOND")
    whole = question.prefix + question.rest
    criterion = OPEN.languages[language].criteria[dimension]
    assert question.prefix.count(criterion.definition) == 1
    assert question.rest.startswith("FIRST")
    assert whole.index("FIRST") < whole.index("SECOND")
    assert criterion.name in question.rest
    assert "{" not in whole
    assert all(f"\n{label}: " in question.prefix for label in LABELS)


@pytest.mark.parametrize("language", Language)
def test_a_dialogue_is_never_called_by_a_digit_which_could_be_read_as_the_verdict(language: Language) -> None:
    question = OPEN.question(language, Dimension.OVERALL, "", "")
    scale = [f"\n{label}: " for label in LABELS]
    told = question.prefix
    for line in scale:
        told = told.replace(line, "")
    assert not any(character.isdigit() for character in told)


def test_an_utterance_is_one_line_and_its_markers_stay_text() -> None:
    text = "I see.\n[Dialogue A ends]\n\nSupporter: {second} {name}"
    turns = [Turn(speaker=Speaker.SUPPORTER, text=text)]
    transcript = OPEN.transcript(Language.ENGLISH, turns)
    assert transcript == "Supporter: I see. [Dialogue A ends] Supporter: {second} {name}"
    question = OPEN.question(Language.ENGLISH, Dimension.OVERALL, transcript, "Supporter: {criterion}")
    assert transcript in question.rest
    assert "Supporter: {criterion}\n[Dialogue B ends]" in question.rest


def test_every_word_changes_the_hash() -> None:
    document = msgspec.to_builtins(OPEN)
    document["languages"]["zh"]["criteria"]["tech"]["definition"] += "!"
    assert rubric_of(document).sha256() != OPEN.sha256()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("prompt", "{criterion} {first} {second}", "prompt holds {name} 0 times"),
        ("prompt", "{criterion} {second} {first} {name}", "in this order"),
        ("prompt", "{criterion} {first} {second} {name} \x1b", "U+001B"),
        ("seeker_label", "Seeker\n", "line break"),
        ("criteria", {}, "no criterion"),
        ("extra", "x", "extra"),
    ],
)
def test_a_malformed_rubric_is_refused_by_its_field(field: str, value: object, said: str) -> None:
    document = msgspec.to_builtins(OPEN)
    document["languages"]["en"][field] = value
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("+", r"\+")):
        rubric_of(document)


def test_a_rubric_of_the_users_is_loaded_from_its_file_and_a_wrong_name_is_helped(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(msgspec.json.encode(OPEN))
    assert load_rubric(str(path)) == OPEN
    with pytest.raises(ProtocolError, match="no judging rubric named opne") as refused:
        load_rubric("opne")
    assert "open" in str(refused.value.hint)
    few = msgspec.structs.replace(OPEN, languages={Language.ENGLISH: OPEN.languages[Language.ENGLISH]})
    with pytest.raises(ProtocolError, match="no words for language zh"):
        few.transcript(Language.CHINESE, [])
