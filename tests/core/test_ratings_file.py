"""Files of judgements are read strictly, and every refusal names the line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dimension import Dimension
from escl.core.ratings_file import (
    MAX_BYTES,
    MAX_ROWS,
    PREFERENCE_COLUMNS,
    RATING_COLUMNS,
    RatingsFile,
    csv_text,
    read_ratings,
)
from escl.errors import RatingsError

HEADER = "dialogue,dimension,rater,label\n"


def read(folder: Path, text: str | bytes) -> RatingsFile:
    path = folder / "human.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_ratings(path)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(RatingsError) as raised:
        read(folder, text)
    return raised.value.message.partition("human.csv: ")[2]


def test_dimensions_go_by_either_name_and_spreadsheets_may_add_a_mark_and_capitals(tmp_path: Path) -> None:
    file = read(tmp_path, "\ufeffDialogue,Dimension,Rater,Label\r\nc1/s,Expression,ann,3\r\nc1/s, overall ,ann,4\r\n")
    assert [(each.dimension, each.label, each.line) for each in file.ratings] == [
        (Dimension.EXPRESSION, 3, 2),
        (Dimension.OVERALL, 4, 3),
    ]


def test_blank_labels_are_counted_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "c1/s,tech,ann,\n\n,,,\nc1/s,human,ann,0\n".replace(",,,\n", ""))
    assert (len(file.ratings), file.n_blank) == (1, 1)


def test_preferences_are_told_by_their_columns(tmp_path: Path) -> None:
    file = read(tmp_path, "card,a,b,rater,preference\nc1,warm,curt,ann,A\nc1,warm,curt,bo,tie\n")
    assert [each.preference for each in file.preferences] == ["a", "tie"]
    assert not file.ratings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEADER + "c,tech,ann,5\n", 'line 2, label is "5", not a whole number from 0 to 4'),
        (HEADER + "c,tech,ann,3.5\n", 'line 2, label is "3.5"'),
        (HEADER + "c,empathie,ann,3\n", 'line 2, dimension is "empathie"'),
        (HEADER + "c,,ann,3\n", "line 2, dimension is empty"),
        (HEADER + "c,tech,,3\n", "line 2, rater is empty"),
        (HEADER + "c,tech,ann,3,4\n", "line 2 has 5 fields, the header has 4"),
        (HEADER + "c,tech,an\x1bn,3\n", "line 2, rater holds the control or hidden character U+001B"),
        (HEADER + 'c,tech,"ann,3\n', "line 2 is not CSV"),
        (HEADER + "c,tech,ann,3\nc,Skillful,ann,2\n", "line 3: line 2 already has this judgement"),
        ("dialogue,dimension,rater,lable\n", 'line 1: there is no column "lable"; did you mean label?'),
        ("dialogue,dimension,rater\n", "line 1: the column label is missing"),
        ("dialogue,dialogue,dimension,rater,label\n", "line 1: the column dialogue is there twice"),
        ("dialogue;dimension;rater;label\nc;tech;ann;3\n", "line 1: the columns are not parted by commas"),
        (HEADER.encode() + b"c,tech,\xff,3\n", "is not UTF-8: byte 38"),
        (HEADER + "c" * 401 + ",tech,ann,3\n", "line 2, dialogue has 401 characters; 400 are allowed"),
        ("card,a,b,rater,preference\nc,s,s,ann,a\n", "line 2: a and b are the same"),
        ("card,a,b,rater,preference\nc,s,t,ann,a\nc,t,s,ann,b\n", "line 3: line 2 already has this judgement"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert refusal(tmp_path, text).startswith(said)


def test_a_second_judgement_needs_its_number(tmp_path: Path) -> None:
    file = read(tmp_path, "dialogue,dimension,rater,label,pass\nc,tech,ann,3,1\nc,tech,ann,2,2\n")
    assert [each.turn for each in file.ratings] == [1, 2]
    assert refusal(tmp_path, "dialogue,dimension,rater,label,pass\nc,tech,ann,3,x\n").startswith("line 2, pass is")


def test_size_and_rows_are_bounded(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"x" * (MAX_BYTES + 1)) == "is larger than 8 MiB"
    # Blank ones are the quickest to read.
    rows = "c,tech,a,\n" * (MAX_ROWS + 1)
    assert refusal(tmp_path, HEADER + rows) == f"line {MAX_ROWS + 2}: more than 100,000 rows"
    assert refusal(tmp_path, "x" * 200_000).startswith("line 1 is not CSV: field larger than")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(HEADER.encode() + content)
    with contextlib.suppress(RatingsError):
        file = read_ratings(path)
        assert len(file.ratings) + file.n_blank <= content.count(b",")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    row = {"dialogue": "run, 1.db/c/s", "dimension": "tech", "rater": 'a "b"', "label": 3, "pass": 2}
    file = read(tmp_path, csv_text(RATING_COLUMNS, [row]))
    assert [(each.dialogue, each.rater, each.label, each.turn) for each in file.ratings] == [
        ("run, 1.db/c/s", 'a "b"', 3, 2)
    ]
    preference = dict(zip(PREFERENCE_COLUMNS, ("c", "x", "y", "ann", "tie", 1), strict=True))
    assert read(tmp_path, csv_text(PREFERENCE_COLUMNS, [preference])).preferences[0].preference == "tie"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dialogue,dimension,rater,label,pass\nd,overall,r,1,0\n", "pass is .0., not a whole number from 1 to 99"),
        ("dialogue,dimension,rater,label\nd,overall,r,-1\n", "label is .-1., not a whole number from 0 to 4"),
    ],
)
def test_numbers_out_of_range_are_named_without_a_guess(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(RatingsError, match=said) as found:
        read_ratings(path)
    assert "did you mean" not in str(found.value)
