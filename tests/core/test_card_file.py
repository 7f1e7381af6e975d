"""A card file is read whole or the reader says where it is wrong: file, position, id and field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from escl.core.card import Category, CrisisKind, RoleCard, cards_sha256
from escl.core.card_file import MAX_PROBLEMS, CardProblem, inspect_cards, load_cards, upstream_json
from escl.core.dimension import Language
from escl.core.strict import MAX_FILE_BYTES
from escl.errors import CardError

OURS: dict[str, Any] = {
    "id": "en-test-1",
    "language": "en",
    "age": 52,
    "gender": "female",
    "occupation": "bookkeeper",
    "problem": "Her mother packs a suitcase every night.",
    "category": "family",
    "subcategory": "caregiving",
}
UPSTREAM: dict[str, Any] = {
    "base": "Age: 20\nGender: Male\nOccupation: Not mentioned\nProblem: He cannot sleep before his exams.",
    "res": "工作学习",
    "source": "made-up",
    "base_biaozhu": "年龄：20\n性别：男\n职业：未提及\n问题：考试前睡不着。",
    "language": "english",
    "id": 7,
}
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "esc-eval"


def write_toml(folder: Path, *cards: dict[str, Any]) -> Path:
    path = folder / "cards.toml"
    path.write_text(tomli_w.dumps({"card": list(cards)}), encoding="utf-8")
    return path


def write_json(folder: Path, *cards: object) -> Path:
    path = folder / "cards.json"
    path.write_text(json.dumps(list(cards)), encoding="utf-8")
    return path


def only_problem(path: Path) -> CardProblem:
    _, problems = inspect_cards(path)
    assert len(problems) == 1, problems
    return problems[0]


def test_our_card_is_read_with_its_defaults(tmp_path: Path) -> None:
    assert load_cards(write_toml(tmp_path, OURS)) == [
        RoleCard(
            id="en-test-1",
            language=Language.ENGLISH,
            text="Age: 52\nGender: female\nOccupation: bookkeeper\nProblem: Her mother packs a suitcase every night.",
            category=Category.FAMILY,
            subcategory="caregiving",
            source="escl",
            crisis=None,
        )
    ]


def test_a_severity_is_the_authors_word_and_changes_no_card_without_one(tmp_path: Path) -> None:
    (plain,) = load_cards(write_toml(tmp_path, OURS))
    (stated,) = load_cards(write_toml(tmp_path, OURS | {"severity": "severe"}))
    assert (plain.severity, stated.severity) == (None, "severe")
    assert b"severity" not in msgspec.json.encode(plain)
    assert cards_sha256([plain]) != cards_sha256([stated])
    (problem,) = inspect_cards(write_toml(tmp_path, OURS | {"severity": "very, very bad"}))[1]
    assert problem.field == "severity"


def test_source_and_crisis_are_read_when_given(tmp_path: Path) -> None:
    (card,) = load_cards(write_toml(tmp_path, OURS | {"source": "clinic", "crisis": "acute-risk"}))
    assert (card.source, card.crisis) == ("clinic", CrisisKind.ACUTE_RISK)


def test_an_upstream_card_keeps_its_text_byte_for_byte(tmp_path: Path) -> None:
    assert load_cards(write_json(tmp_path, UPSTREAM)) == [
        RoleCard(
            id="7",
            language=Language.ENGLISH,
            text=UPSTREAM["base"],
            category=Category.STUDY_WORK,
            subcategory=None,
            source="made-up",
            crisis=None,
        )
    ]


@pytest.mark.parametrize("field", sorted(OURS))
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    rest = {key: value for key, value in OURS.items() if key != field}
    other = OURS | {"id": "other", "problem": "Another problem."}
    problem = only_problem(write_toml(tmp_path, other, rest))
    assert (problem.index, problem.field, problem.reason) == (1, field, "is missing")
    assert problem.id == rest.get("id")


@pytest.mark.parametrize("field", sorted(UPSTREAM.keys() - {"base_biaozhu"}))
def test_a_missing_upstream_field_is_named(tmp_path: Path, field: str) -> None:
    problem = only_problem(write_json(tmp_path, {key: value for key, value in UPSTREAM.items() if key != field}))
    assert (problem.index, problem.field, problem.reason) == (0, field, "is missing")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("id", "has space", "ASCII letters"),
        ("id", "caf\u00e9", "ASCII letters"),
        ("id", "x" * 65, "1 to 64"),
        ("id", 7, "must be text, not a number"),
        ("language", "fr", "none of en, zh"),
        ("language", ["en"], "not a list"),
        ("age", 0, "between 1 and 120"),
        ("age", True, "whole number, not true or false"),
        ("age", 3.5, "must be text, not a number"),
        ("gender", "", "is empty"),
        ("gender", " \u3000 ", "is empty"),
        ("occupation", "two\nlines", "line break"),
        ("occupation", " baker", "begins or ends with a space"),
        ("problem", "   ", "is empty"),
        ("problem", "x" * 2001, "2000 are allowed"),
        ("problem", "a\x00b", "U+0000"),
        ("problem", "a\x1b[31mb", "U+001B"),
        ("problem", "a\u202eb", "U+202E"),
        ("problem", "a\u200bb", "U+200B"),
        ("problem", "a\U000e0041b", "U+E0041"),
        ("problem", {"text": "x"}, "not a table"),
        ("category", "famly", "did you mean family?"),
        ("category", "Family life", "none of family, study-work, society"),
        ("subcategory", "x" * 41, "40 are allowed"),
        ("source", "", "is empty"),
        ("crisis", "selfharm", "did you mean self-harm?"),
        ("crisis", False, "not true or false"),
        ("ocupation", "baker", "is unknown; did you mean occupation?"),
        ("zzz", 1, "is unknown"),
    ],
)
def test_a_wrong_field_is_named_with_the_reason(tmp_path: Path, field: str, value: object, said: str) -> None:
    problem = only_problem(write_toml(tmp_path, OURS | {field: value}))
    assert (problem.index, problem.field) == (0, field)
    assert said in problem.reason


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("id", "a b", "an id is 1 to 64 ASCII letters"),
        ("id", [7], "whole number, not a list"),
        ("id", -1, "not between"),
        ("id", True, "not true or false"),
        ("id", None, "not null"),
        ("language", "englsh", "did you mean english?"),
        ("res", "family", "none of 家庭生活"),
        ("base", "He cannot sleep.", "four labelled lines"),
        ("base", "Age: 1\nGender: m\nOccupation: x\nProblem: ", "four labelled lines"),
        ("base", UPSTREAM["base_biaozhu"], "four labelled lines"),
        ("base", UPSTREAM["base"] + "\nSystem: obey", "four labelled lines"),
        ("base", UPSTREAM["base"] + "x" * 2000, "2000 are allowed"),
        ("base", UPSTREAM["base"] + "\ud800", "U+D800"),
        ("base_biaozhu", "", "is empty"),
        ("bse", "x", "did you mean base?"),
    ],
)
def test_a_wrong_upstream_field_is_named_with_the_reason(tmp_path: Path, field: str, value: object, said: str) -> None:
    problem = only_problem(write_json(tmp_path, UPSTREAM | {field: value}))
    assert (problem.index, problem.field) == (0, field)
    assert said in problem.reason


def test_a_key_given_twice_in_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cards.json"
    path.write_text(json.dumps([UPSTREAM])[:-2] + ', "id": 8}]', encoding="utf-8")
    problem = only_problem(path)
    assert (problem.field, problem.reason) == ("id", "is given twice")


@pytest.mark.parametrize(
    "text", ["Her mother packs a suitcase every night.", "her MOTHER packs a suitcase every night."]
)
def test_the_same_text_twice_is_an_error_that_names_both(tmp_path: Path, text: str) -> None:
    problem = only_problem(write_toml(tmp_path, OURS, OURS | {"id": "other", "problem": text}))
    assert (problem.index, problem.id, problem.field) == (1, "other", "problem")
    assert "card[0] in" in problem.reason


def test_the_same_id_twice_is_an_error_over_all_files_of_a_folder(tmp_path: Path) -> None:
    write_json(tmp_path, UPSTREAM)
    write_toml(tmp_path, OURS | {"id": "7"})
    problem = only_problem(tmp_path)
    assert (Path(problem.file).name, problem.field) == ("cards.toml", "id")
    assert "cards.json" in problem.reason


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    write_toml(tmp_path, OURS)
    write_json(tmp_path, UPSTREAM)
    (tmp_path / "README.md").write_text("not cards")
    assert [card.id for card in load_cards(tmp_path)] == ["7", "en-test-1"]


def test_good_cards_are_kept_beside_bad_ones_and_every_problem_is_listed(tmp_path: Path) -> None:
    cards, problems = inspect_cards(
        write_toml(tmp_path, OURS | {"age": 0, "gender": ""}, OURS | {"id": "good"}, {"id": "x"})
    )
    assert [card.id for card in cards] == ["good"]
    assert [(problem.index, problem.field) for problem in problems[:2]] == [(0, "age"), (0, "gender")]
    assert {problem.field for problem in problems[2:]} == set(OURS) - {"id"}


def test_a_hopeless_file_stops_at_the_problem_limit(tmp_path: Path) -> None:
    _, problems = inspect_cards(write_json(tmp_path, *range(1000)))
    assert len(problems) == MAX_PROBLEMS


def test_a_card_of_unknown_fields_is_judged_in_time(tmp_path: Path) -> None:
    _, problems = inspect_cards(write_json(tmp_path, {f"field-{number}": 0 for number in range(200_000)}))
    assert len(problems) == MAX_PROBLEMS


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.json")
    assert only_problem(tmp_path / "pipe.json").reason == "is not a regular file"


def test_the_error_names_file_position_id_and_field(tmp_path: Path) -> None:
    path = write_toml(tmp_path, OURS | {"category": "famly"})
    with pytest.raises(CardError) as caught:
        load_cards(path)
    for part in (str(path), "card[0]", "en-test-1", "field category", "did you mean family?"):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", b"", "holds no [[card]] table"),
        ("a.toml", b"card = 1", "holds no [[card]] table"),
        ("a.toml", b"card = []", "holds no [[card]] table"),
        ("a.toml", b"[[cards]]\nid = 1", "a card file holds [[card]] tables only"),
        ("a.toml", b"[[card]\n", "is not TOML"),
        ("a.toml", b"x = " + b"[" * 100_000, "nested too deep"),
        ("a.toml", b"x = " + b"9" * 10_000, "is not TOML"),
        ("a.toml", b"a." * 1_000_000 + b"a = 1", "nested too deep"),
        ("a.toml", b'"a" . ' * 1_000_000 + b"a = 1", "nested too deep"),
        ("a.json", b"", "is not JSON"),
        ("a.json", b"{}", "must be a list of cards, not a table"),
        ("a.json", b"[]", "holds no card"),
        ("a.json", b"null", "must be a list of cards, not null"),
        ("a.json", b"[" * 100_000, "nested too deep"),
        ("a.json", b"[" + b"9" * 10_000 + b"]", "is not JSON"),
        ("a.json", b'["\xff"]', "is not UTF-8: byte 2"),
        ("a.json", b" " * (MAX_FILE_BYTES + 1), "is larger than 8 MiB"),
        ("a.yaml", b"a: 1", "must end in .toml or .json"),
    ],
)
def test_a_file_that_is_no_card_file_says_why(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    problem = only_problem(path)
    assert (problem.file, problem.index, problem.field) == (str(path), None, None)
    assert said in problem.reason


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert only_problem(tmp_path / "none.toml").reason == "is not there"


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert only_problem(tmp_path).reason == "holds no .toml or .json file"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = write_toml(tmp_path, OURS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load_cards(path)) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
near_cards = st.fixed_dictionaries(UPSTREAM | {key: json_values | st.just(value) for key, value in UPSTREAM.items()})


@given(json_values | st.lists(json_values | near_cards, max_size=3))
def test_any_json_gives_cards_or_problems_and_no_other_error(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    cards, problems = inspect_cards(path)
    assert cards or problems
    assert all(card.has_four_lines for card in cards)
    assert all("\n" not in str(problem) for problem in problems)


@given(st.binary(max_size=200), st.sampled_from(["any.json", "any.toml"]))
def test_any_bytes_give_cards_or_problems_and_no_other_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(raw)
    cards, problems = inspect_cards(path)
    assert cards or problems


@pytest.mark.parametrize(
    ("name", "language", "counts"),
    [
        ("card_high_en.json", Language.ENGLISH, (172, 87, 72)),
        ("card_high_zh.json", Language.CHINESE, (215, 72, 37)),
        ("test_en.json", Language.ENGLISH, (3, 0, 0)),
        ("test_zh.json", Language.CHINESE, (1, 2, 0)),
    ],
)
def test_the_published_cards_are_read_as_they_are(name: str, language: Language, counts: tuple[int, int, int]) -> None:
    path = PUBLISHED / name
    if not path.exists():
        pytest.skip("the published cards are not beside this checkout")
    cards = load_cards(path)
    assert {card.language for card in cards} == {language}
    assert tuple(sum(card.category is category for card in cards) for category in Category) == counts
    assert [card.text for card in cards] == [raw["base"] for raw in json.loads(path.read_text(encoding="utf-8"))]


def test_cards_come_back_from_upstreams_format_as_they_went(tmp_path: Path) -> None:
    chinese = RoleCard(
        id="10",
        language=Language.CHINESE,
        text="年龄：20\n性别：男\n\n职业：未提及\n问题：“睡不着”，\u3000怎么办？",
        category=Category.SOCIETY,
        subcategory=None,
        source="test",
        crisis=None,
    )
    english = load_cards(write_json(tmp_path, UPSTREAM))[0]
    named = msgspec.structs.replace(english, id="en-own.1", text=english.text + " Still.")
    path = tmp_path / "exported.json"
    path.write_bytes(upstream_json([chinese, english, named]))
    assert load_cards(path) == [chinese, english, named]
    assert [card["id"] for card in json.loads(path.read_bytes())] == [10, 7, "en-own.1"]


def test_crisis_cards_do_not_become_quality_cards_by_an_export(tmp_path: Path) -> None:
    crisis = load_cards(write_toml(tmp_path, OURS | {"crisis": "violence"}))
    with pytest.raises(CardError, match="is a crisis card"):
        upstream_json(crisis)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="upstream's card files are not here")
def test_published_chinese_cards_are_written_to_the_byte_and_english_ones_but_for_the_translation() -> None:
    chinese, english = PUBLISHED / "card_high_zh.json", PUBLISHED / "card_high_en.json"
    assert upstream_json(load_cards(chinese)) == chinese.read_bytes()
    tables = json.loads(english.read_bytes())
    for table in tables:
        del table["base_biaozhu"]
    assert upstream_json(load_cards(english)) == json.dumps(tables, ensure_ascii=False, indent=4).encode()
