"""Preferences meet the readings or votes that they are about, whichever side comes first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.core.dimension import Dimension, Language
from escl.errors import RatingsError
from escl.evaluation.arena_results import JudgedPair
from escl.evaluation.judged_runs import judged_runs
from escl.evaluation.preferences import PreferenceValidation, judge_votes, validate_preference_file
from escl.stats.pairwise import PairVerdict
from tests.runs import rated

HEADER = "card,a,b,rater,preference\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return rated(tmp_path / "run.db", {"warm": {"c1": [3.0], "c2": [1.0]}, "curt": {"c1": [1.0], "c2": [1.01]}})


def validated(run: Path, rows: str, *, judge: str | None = None, ignore_unknown: bool = False) -> PreferenceValidation:
    people, votes = run.with_name("people.csv"), run.with_name("judge.csv")
    people.write_text(HEADER + rows, encoding="utf-8")
    votes.write_text(HEADER + (judge or ""), encoding="utf-8")
    return validate_preference_file(
        people,
        judged_runs([run]),
        judge=None if judge is None else votes,
        dimension=Dimension.OVERALL,
        tie_within=1.0,
        ignore_unknown=ignore_unknown,
    )


def test_the_scorer_prefers_the_higher_score_and_ties_where_they_are_close(run: Path) -> None:
    (cell,) = validated(run, "c1,curt,warm,ann,b\nc2,warm,curt,ann,tie\n").cells
    assert (cell.agreement.agreement.value, cell.agreement.n_used) == (1, 2)


def test_sides_may_be_turned_and_named_by_code(run: Path) -> None:
    codes = {place.row.supporter: code for code, place in judged_runs([run]).dialogues() if place.row.card_id == "c1"}
    rows = f"c1,{codes['warm']},{codes['curt']},ann,a\nc1,curt,warm,bo,b\n"
    (cell,) = validated(run, rows).cells
    assert (cell.agreement.n_asked, cell.agreement.human_agreement.value, cell.agreement.agreement.value) == (1, 1, 1)


def test_a_judge_s_own_votes_can_stand_in_with_repeats(run: Path) -> None:
    (cell,) = validated(run, "c1,curt,warm,ann,b\n", judge="c1,warm,curt,gpt,a\nc1,warm,curt,gpt2,b\n").cells
    assert (cell.agreement.agreement.value, cell.agreement.variance) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c1,warm,nobody,ann,a\n", 'line 2: no run has a dialogue "c1/nobody"'),
        ("c1,warm,c2/curt,ann,a\n", "line 2: the card of 'c2/curt' is c2"),
        ("c1,warm,c1/warm,ann,a\n", "line 2: a and b are the same dialogue"),
        ("c1,warm,curt,ann,a\nc1,c1/curt,warm,ann,a\n", "line 3: this rater has judged this pair above"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(run: Path, row: str, said: str) -> None:
    with pytest.raises(RatingsError) as raised:
        validated(run, row)
    assert said in raised.value.message


def test_unknown_pairs_can_be_left_out_and_counted(run: Path) -> None:
    made = validated(run, "c1,warm,nobody,ann,a\nc1,warm,curt,ann,a\n", ignore_unknown=True)
    assert (made.n_unknown, made.cells[0].agreement.n_asked) == (1, 1)


def arena_pair(one: str, other: str, score: float | None, *, dimension: Dimension = Dimension.OVERALL) -> JudgedPair:
    verdict = None
    if score is not None:
        verdict = PairVerdict(score=score, agreement="agreed", preference=score, first_preferred=1, decided=2)
    return JudgedPair(
        language=Language.ENGLISH, dimension=dimension, card="c1", repeat=0, one=one, other=other, verdict=verdict
    )


def test_what_an_arena_prints_are_votes_in_the_dimension_asked_for(run: Path) -> None:
    people, arena = run.with_name("people.csv"), run.with_name("arena.json")
    people.write_text(HEADER + "c1,warm,curt,ann,a\n", encoding="utf-8")

    def agreement(*pairs: JudgedPair) -> float | None:
        arena.write_bytes(msgspec.json.encode({"arena": "a.db", "results": {"pairs": pairs}}))
        (cell,) = validate_preference_file(
            people, judged_runs([run]), judge=arena, dimension=Dimension.OVERALL, tie_within=1, ignore_unknown=False
        ).cells
        return cell.agreement.agreement.value

    empathy = arena_pair("warm", "curt", 0.0, dimension=Dimension.EMPATHY)
    assert agreement(arena_pair("warm", "curt", 1.0), empathy) == 1
    assert agreement(arena_pair("curt", "warm", 1.0), empathy) == 0
    assert agreement(arena_pair("curt", "warm", 0.5), empathy) == 0
    with pytest.raises(RatingsError, match="holds no vote of a judge"):
        agreement(arena_pair("warm", "curt", None), empathy)
    arena.write_bytes(b'{"results": {"pairs": [1]}}')
    with pytest.raises(RatingsError, match="is no result of an arena"):
        judge_votes(arena, Dimension.OVERALL)
