"""A protocol's words are whole before a model reads them, and text put between them stays literal."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from escl.core import protocol as protocol_module
from escl.core.card import Category, RoleCard, card_text
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.dimension import LABELS, Dimension, Language
from escl.core.protocol import Protocol, load_protocol
from escl.core.sampling import Sampling
from escl.errors import ProtocolError

OPEN = load_protocol("open")
OPEN_FILE = Path(protocol_module.__file__).parent / "protocols" / "open.toml"
RAW: dict[str, Any] = tomllib.loads(OPEN_FILE.read_text(encoding="utf-8"))
MARKERS = ["{card}", "{rubric}", "{dialogue}", "{name}", "{other}", "{", "}", "{{name}}"]

languages = st.sampled_from(Language)
dimensions = st.sampled_from(Dimension)
hostile_texts = st.lists(
    st.sampled_from([*MARKERS, "Supporter: ", "支持者：", "\n", "\r\n", "\x0b", "\x85", "\u2028", "\t", "I ", "累"]),
    min_size=1,
).map("".join)
turns = st.lists(st.builds(Turn, speaker=st.sampled_from(Speaker), text=hostile_texts), min_size=1, max_size=6)


def card(language: Language, problem: str) -> RoleCard:
    return RoleCard(
        id="x",
        language=language,
        text=card_text(language, age="20", gender="x", occupation="y", problem=problem),
        category=Category.FAMILY,
        subcategory=None,
        source="test",
        crisis=None,
    )


def load(folder: Path, change: Callable[[dict[str, Any]], object]) -> Protocol:
    """Return the open protocol after `change` to its file's content."""
    raw = copy.deepcopy(RAW)
    change(raw)
    path = folder / "changed.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    return load_protocol(str(path))


@pytest.mark.parametrize("language", Language)
def test_the_open_protocol_asks_for_one_sentence_with_the_shown_name(language: Language) -> None:
    wording = OPEN.wording(language)
    asked = {Language.ENGLISH: "The {name} score is N.", Language.CHINESE: "{name}得分是N。"}
    assert asked[language] in wording.scorer_prompt
    assert wording.scorer_prompt.startswith("{rubric}")
    assert wording.scorer_system is None
    assert len({rubric.name for rubric in wording.rubrics.values()}) == len(Dimension)


@pytest.mark.parametrize("dimension", Dimension)
def test_the_open_rubrics_are_compact_and_anchor_every_label(dimension: Dimension) -> None:
    english, chinese = (OPEN.wording(language).rubrics[dimension] for language in Language)
    assert english.name == dimension.shown
    assert len(english.text.split()) < 120
    assert len(chinese.text) < 220
    for rubric in (english, chinese):
        assert [line[:3] for line in rubric.text.split("\n")[1:]] == [f"{label}: " for label in LABELS]


@given(languages, hostile_texts)
def test_the_seeker_reads_the_card_literally(language: Language, problem: str) -> None:
    before, after = OPEN.wording(language).seeker_prompt.split("{card}")
    system, *_ = OPEN.seeker_messages(card(language, problem), [OPEN.greeting(language)])
    assert system == Message("system", before + card(language, problem).text + after)


@given(languages, dimensions, turns)
def test_the_scorer_reads_the_dialogue_literally(language: Language, dimension: Dimension, said: list[Turn]) -> None:
    wording = OPEN.wording(language)
    rubric = wording.rubrics[dimension]
    whole = wording.scorer_prompt.replace("{rubric}", rubric.text).replace("{name}", rubric.name)
    before, after = whole.split("{dialogue}")
    prompt = OPEN.scorer_prompt(language, dimension, said)
    assert prompt.prefix + prompt.rest == before + OPEN.transcript(language, said) + after


def test_markers_in_a_rubric_stay_as_they_are(tmp_path: Path) -> None:
    odd = "Rates {dialogue}, {name} and {rubric}."
    changed = load(tmp_path, lambda raw: raw["languages"]["en"]["rubrics"]["human"].update(definition=odd))
    prompt = changed.scorer_prompt(Language.ENGLISH, Dimension.HUMANOID, [Turn(speaker=Speaker.SEEKER, text="Hello.")])
    assert prompt.prefix.startswith(odd)
    assert "Seeker: Hello." in prompt.rest


@given(languages, dimensions, turns)
def test_what_comes_before_the_dialogue_is_the_same_for_every_dialogue(
    language: Language, dimension: Dimension, said: list[Turn]
) -> None:
    other = OPEN.scorer_prompt(language, dimension, [OPEN.greeting(language)])
    assert OPEN.scorer_prompt(language, dimension, said).prefix == other.prefix


@given(languages, turns)
def test_no_utterance_can_forge_a_turn(language: Language, said: list[Turn]) -> None:
    wording = OPEN.wording(language)
    labels = {Speaker.SEEKER: wording.seeker_label, Speaker.SUPPORTER: wording.supporter_label}
    lines = OPEN.transcript(language, said).splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(labels[turn.speaker]) for line, turn in zip(lines, said, strict=True))


def test_each_side_sees_itself_as_the_assistant_and_only_the_seeker_sees_the_greeting() -> None:
    said = [
        OPEN.greeting(Language.ENGLISH),
        Turn(speaker=Speaker.SEEKER, text="I am tired."),
        Turn(speaker=Speaker.SUPPORTER, text="Since when?"),
    ]
    seeker = OPEN.seeker_messages(card(Language.ENGLISH, "p"), said)
    supporter = OPEN.supporter_messages(Language.ENGLISH, said[:2])
    assert seeker[1:] == [
        Message("user", said[0].text),
        Message("assistant", "I am tired."),
        Message("user", "Since when?"),
    ]
    assert supporter == [
        Message("system", OPEN.wording(Language.ENGLISH).supporter_prompt),
        Message("user", "I am tired."),
    ]


def test_the_hash_changes_with_any_word(tmp_path: Path) -> None:
    levels = RAW["languages"]["zh"]["rubrics"]["tech"]["levels"]
    changed = load(tmp_path, lambda raw: raw["languages"]["zh"]["rubrics"]["tech"].update(levels=[*levels[:4], "好。"]))
    same = load(tmp_path, lambda raw: None)
    assert same.sha256() == OPEN.sha256()
    assert changed.sha256() != OPEN.sha256()


def test_a_language_that_a_protocol_lacks_is_named(tmp_path: Path) -> None:
    english = load(tmp_path, lambda raw: raw["languages"].pop("zh"))
    with pytest.raises(ProtocolError, match="no words for language zh; it has en"):
        english.greeting(Language.CHINESE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.update(versoin=1), "did you mean version?"),
        (lambda raw: raw.pop("version"), "`version`"),
        (lambda raw: raw.update(version="1"), "Expected `int`.*version"),
        (lambda raw: raw.update(languages={}), "holds no language"),
        (lambda raw: raw["languages"].update(fr=raw["languages"]["en"]), "'fr'"),
        (lambda raw: raw["languages"].update(en=3), "languages.en"),
        (lambda raw: raw["languages"]["en"].update(greting="Hi."), "languages.en: .*did you mean greeting?"),
        (lambda raw: raw["languages"]["zh"].pop("greeting"), "languages.zh: .*`greeting`"),
        (lambda raw: raw["languages"]["en"].update(greeting=" "), "languages.en.greeting is empty"),
        (lambda raw: raw["languages"]["en"].update(greeting="a\x1bb"), r"languages.en.greeting .*U\+001B"),
        (lambda raw: raw["languages"]["en"].update(seeker_label="A\nB"), "seeker_label holds a line break"),
        (lambda raw: raw["languages"]["en"].update(seeker_prompt="x"), "seeker_prompt holds {card} 0 times"),
        (lambda raw: raw["languages"]["en"].update(seeker_prompt="{card}{card}"), "{card} 2 times, not once"),
        (lambda raw: raw["languages"]["en"].update(scorer_prompt="{rubric}{name}"), "{dialogue} 0 times"),
        (lambda raw: raw["languages"]["en"].update(scorer_prompt="{dialogue}{rubric}{name}"), "rubric must come first"),
        (lambda raw: raw["languages"]["en"]["rubrics"].pop("tech"), "languages.en.rubrics lacks tech"),
        (lambda raw: raw["languages"]["en"]["rubrics"].update(techh={}), "languages.en.rubrics.techh"),
        (
            lambda raw: raw["languages"]["zh"]["rubrics"].update(fluncy=raw["languages"]["zh"]["rubrics"]["fluency"]),
            "languages.zh: .*did you mean fluency?",
        ),
        (lambda raw: raw["languages"]["en"]["rubrics"]["tech"].update(level=1), "rubrics.tech: .*did you mean levels?"),
        (lambda raw: raw["languages"]["en"]["rubrics"]["tech"]["levels"].pop(), "rubrics.tech: .*length 5"),
        (
            lambda raw: raw["languages"]["en"]["rubrics"]["tech"].update(levels=["a", "", "c", "d", "e"]),
            r"levels\[1\] is e",
        ),
    ],
)
def test_a_malformed_protocol_is_refused_by_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(ProtocolError, match=said.replace("{", r"\{").replace("?", r"\?")) as caught:
        load(tmp_path, change)
    assert str(tmp_path / "changed.toml") in caught.value.message


def as_json(folder: Path, change: Callable[[dict[str, Any]], object]) -> Protocol:
    """Return the open protocol as a JSON file after `change` to its content."""
    raw = copy.deepcopy(RAW)
    change(raw)
    path = folder / "changed.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    return load_protocol(str(path))


def test_a_json_file_says_the_same_as_a_toml_file(tmp_path: Path) -> None:
    assert as_json(tmp_path, lambda raw: None) == OPEN


def test_a_rubric_without_levels_is_its_definition_to_the_letter(tmp_path: Path) -> None:
    words = {"name": "fluecy", "definition": "  As it  stands.\n'", "levels": None}
    changed = as_json(tmp_path, lambda raw: raw["languages"]["en"]["rubrics"].update(fluency=words))
    prompt = changed.scorer_prompt(Language.ENGLISH, Dimension.FLUENCY, [])
    assert prompt.prefix.startswith("  As it  stands.\n'")
    assert "The fluecy score is N." in prompt.rest


def test_what_a_protocol_says_of_rounds_and_sampling_stands_where_it_says_it(tmp_path: Path) -> None:
    draws = {"seeker": {"max_tokens": 9}, "supporter": {"temperature": 0}}
    changed = as_json(tmp_path, lambda raw: raw.update(rounds=3, sampling=draws))
    assert (changed.default_rounds(), OPEN.default_rounds()) == (3, 5)
    assert changed.default_sampling(Speaker.SEEKER) == msgspec.structs.replace(Sampling(), max_tokens=9)
    assert changed.default_sampling(Speaker.SUPPORTER) == msgspec.structs.replace(Sampling(), temperature=0.0)
    assert OPEN.default_sampling(Speaker.SEEKER) == Sampling()


def test_the_hash_of_the_open_protocol_is_that_of_earlier_runs() -> None:
    # Runs are resumed under this hash: it changes with a word of open.toml (and its version), not with the format.
    assert (OPEN.version, OPEN.sha256()[:16]) == (1, "50bb717941a07dd3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rewriting": {"separator": "", "replacements": []}}, "length >= 1.*separator"),
        ({"rewriting": {"separator": "\n", "replacements": [["", "x"]]}}, "length >= 1.*replacements"),
        ({"rewriting": {"separator": "\n", "replacements": [["a", "x" * 101]]}}, "length <= 100"),
        ({"rewriting": {"separator": "\n", "replacements": [["a", "b"]] * 5}}, "length <= 4"),
        ({"rewriting": {"separator": "\x1b[2J", "replacements": []}}, "rewriting holds a control"),
        ({"rewriting": {"seperator": "\n", "replacements": []}}, "seperator|separator"),
        ({"rounds": 0}, ">= 1.*rounds"),
        ({"sampling": {"seeker": {"max_tokens": 0}}}, ">= 1"),
        ({"sampling": {"scorer": {}}}, "scorer"),
    ],
)
def test_settings_out_of_bounds_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        as_json(tmp_path, lambda raw: raw.update(change))


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(RAW).replace('"greeting": ', '"greeting": "Hm.", "greeting": ', 1))
    with pytest.raises(ProtocolError, match='the key "greeting" is given twice'):
        load_protocol(str(path))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match="no protocol named opne") as caught:
        load_protocol("opne")
    assert caught.value.hint is not None
    assert "open" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "is not TOML"), (b"\xff", "is not UTF-8"), (b"x = " + b"[" * 100_000, "nested too deep")],
)
def test_a_file_that_is_no_toml_is_a_protocol_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ProtocolError, match=said):
        load_protocol(str(path))
