"""Who meets whom: dialogues on the same card that were spoken alike; everything else is refused or counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.core.card import CrisisKind
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.errors import UsageError
from escl.evaluation.contest import Contest, contest_of
from tests.runs import card, settings, spoken

OPEN = load_rubric("open")
BOARD = (Language.ENGLISH, Dimension.OVERALL)


def said(word: str, n: int = 3) -> dict[str, list[str]]:
    return {f"c{at}": [f"{word} {at}"] for at in range(n)}


def contest(*paths: Path, baseline: str | None = None, everyone: bool = False, force: bool = False) -> Contest:
    return contest_of(paths, OPEN, dimensions=[Dimension.OVERALL], baseline=baseline, everyone=everyone, force=force)


def test_supporters_meet_on_the_cards_that_both_have_finished(tmp_path: Path) -> None:
    path = spoken(tmp_path / "run.db", {"a": said("yes"), "b": said("no", 2)})
    found = contest(path)
    pairs = found.boards[BOARD]
    assert sorted(pair.one.card_id for pair in pairs) == ["c0", "c1"]
    assert all((pair.one.supporter, pair.other.supporter) == ("a", "b") for pair in pairs)
    assert found.reference == "a"
    (straight, turned) = pairs[0].questions
    assert (straight.first_sha256, straight.second_sha256) == (turned.second_sha256, turned.first_sha256)


def test_everyone_meets_everyone_unless_there_is_a_baseline(tmp_path: Path) -> None:
    path = spoken(tmp_path / "run.db", {"a": said("x"), "b": said("y"), "c": said("z")})

    def met(found: Contest) -> set[str]:
        return {pair.one.supporter + pair.other.supporter for pair in found.boards[BOARD]}

    assert met(contest(path)) == {"ab", "ac", "bc"}
    assert met(contest(path, baseline="b")) == {"ab", "bc"}
    assert met(contest(path, baseline="b", everyone=True)) == {"ab", "ac", "bc"}
    assert contest(path, baseline="b", everyone=True).reference == "b"
    with pytest.raises(UsageError, match="no supporter is named d"):
        contest(path, baseline="d")


def test_repeats_meet_repeats_and_length_is_what_the_supporter_said(tmp_path: Path) -> None:
    path = spoken(tmp_path / "run.db", {"a": {"c": ["one", "three"]}, "b": {"c": ["1", "22", "333"]}})
    pairs = contest(path).boards[BOARD]
    assert [(pair.one.n_characters, pair.other.n_characters) for pair in pairs] == [(3, 1), (5, 2)]


def test_runs_that_were_spoken_otherwise_are_refused_or_forced_with_a_word(tmp_path: Path) -> None:
    one = spoken(tmp_path / "one.db", {"a": said("x")})
    other = spoken(tmp_path / "two.db", {"b": said("y")}, run=msgspec.structs.replace(settings(), rounds=3))
    with pytest.raises(UsageError, match="rounds: 2 against 3"):
        contest(one, other)
    assert contest(one, other, force=True).forced == ["rounds: 2 against 3"]


def test_namesakes_of_two_runs_are_told_apart(tmp_path: Path) -> None:
    one = spoken(tmp_path / "one.db", {"a": said("x")})
    other = spoken(tmp_path / "two.db", {"a": said("y")})
    assert contest(one, other).supporters == ["a (one)", "a (two)"]
    with pytest.raises(UsageError, match="named twice"):
        contest(one, one)


def test_crisis_cards_and_cards_with_another_text_stay_out_and_are_counted(tmp_path: Path) -> None:
    crisis = [card("c2", crisis=CrisisKind.SELF_HARM)]
    one = spoken(tmp_path / "one.db", {"a": said("x")}, cards=crisis)
    other = spoken(tmp_path / "two.db", {"b": said("y")}, cards=[*crisis, card("c1", text="Problem: another one.")])
    found = contest(one, other)
    assert [pair.one.card_id for pair in found.boards[BOARD]] == ["c0"]
    assert found.left_out == {"crisis card": 2, "another card under the same id": 1}


def test_a_single_supporter_and_strangers_have_nothing_to_compare(tmp_path: Path) -> None:
    one = spoken(tmp_path / "one.db", {"a": said("x")})
    other = spoken(tmp_path / "two.db", {"b": {"other": ["y"]}})
    with pytest.raises(UsageError, match="one supporter, a"):
        contest(one)
    with pytest.raises(UsageError, match="no two supporters"):
        contest(one, other)
