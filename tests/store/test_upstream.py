"""Upstream's result files are read as they are; anything else is refused with the place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.errors import DialogueFileError
from escl.store.upstream import SEEKER_LABEL, SUPPORTER_LABELS, language_of, read_upstream, result_json

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "esc-eval" / "result"
GOOD = ["AI assistant：Hi.", "ESC-Role：I am sad: very.", "AI assistant：Why?\n\nTell me."]


def write(folder: Path, content: object) -> Path:
    path = folder / "x.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_a_result_file_becomes_turns(tmp_path: Path) -> None:
    (turns,) = read_upstream(write(tmp_path, {"0": GOOD})).dialogues.values()
    assert [turn.speaker for turn in turns] == [Speaker.SUPPORTER, Speaker.SEEKER, Speaker.SUPPORTER]
    assert turns[2].text == "Why?\n\nTell me."


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"0": GOOD})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_upstream(path).dialogues) == 1


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(DialogueFileError, match=r"no\.json cannot be read: No such file"):
        read_upstream(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({}, "no dialogues"),
        ([GOOD], "Expected `object`"),
        ({"0": [1]}, "Expected `str`"),
        ({"0": GOOD[:2]}, "dialogue 0 has 2 messages"),
        ({"0": GOOD, "1": [*GOOD, "AI assistant：twice"]}, "dialogue 1, message 3"),
        ({"0": [GOOD[0], "ESC-Role: half-width", GOOD[2]]}, "dialogue 0, message 1"),
    ],
)
def test_other_shapes_are_refused_with_the_place(tmp_path: Path, content: object, place: str) -> None:
    with pytest.raises(DialogueFileError, match=place):
        read_upstream(write(tmp_path, content))


def test_a_dialogue_that_would_be_lost_to_its_namesake_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text(f'{{"0": {json.dumps(GOOD)}, "0": {json.dumps(GOOD)}}}')
    with pytest.raises(DialogueFileError, match="twice"):
        read_upstream(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"0":' + "[" * 100_000)
    with pytest.raises(DialogueFileError):
        read_upstream(path)


def test_the_seeker_decides_the_language(tmp_path: Path) -> None:
    answered_in_english = ["AI assistant：你好", "ESC-Role：我很难过", "AI assistant：I see."]
    answered_in_chinese = ["AI assistant：Hi", "ESC-Role：I am sad", "AI assistant：我明白"]
    found = read_upstream(write(tmp_path, {"0": answered_in_english, "1": answered_in_chinese})).dialogues
    assert [language_of(turns) for turns in found.values()] == [Language.CHINESE, Language.ENGLISH]


@given(st.lists(st.lists(st.text(), min_size=3, max_size=5), min_size=1, max_size=3), st.sampled_from(SUPPORTER_LABELS))
def test_whatever_was_said_is_read_from_what_was_written(talks: list[list[str]], label: str) -> None:
    talks = [talk if len(talk) % 2 else talk[:-1] for talk in talks]
    speakers = [Speaker.SUPPORTER, Speaker.SEEKER] * 3
    said = {
        str(at): [Turn(speaker=who, text=text) for who, text in zip(speakers, talk, strict=False)]
        for at, talk in enumerate(talks)
    }
    content = result_json(said, seeker_label=SEEKER_LABEL, supporter_label=label)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x_en.json"
        path.write_bytes(content)
        read = read_upstream(path)
    assert (read.dialogues, read.supporter_label) == (said, label)


def test_half_a_surrogate_pair_is_refused_before_anything_stores_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"0": [GOOD[0], GOOD[1] + "\ud800", GOOD[2]]}))
    with pytest.raises(DialogueFileError, match="surrogates"):
        read_upstream(path)


def test_the_two_labels_do_not_mix_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(DialogueFileError, match="dialogue 1, message 0"):
        read_upstream(write(tmp_path, {"0": GOOD, "1": ["AI assitant：Hi.", *GOOD[1:]]}))


@pytest.mark.skipif(not SHARED.is_dir(), reason="upstream's sample files are not here")
def test_upstreams_sample_files_are_read() -> None:
    for path in SHARED.glob("*.json"):
        found = read_upstream(path).dialogues
        assert [len(turns) for turns in found.values()] == [11, 11, 11]
        assert {language_of(turns).value for turns in found.values()} == {path.stem[-2:]}
