"""People's ratings meet the readings they are about, whatever name a dialogue goes by."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from escl.core.card import CrisisKind
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import OwnRating, Rating, RatingsFile, read_ratings
from escl.errors import RatingsError, UsageError
from escl.evaluation.dialogue_names import dialogue_code
from escl.evaluation.judged_runs import judged_runs
from escl.evaluation.validation import JudgeValidation, validate_ratings
from escl.report.validation import print_validation
from escl.store.records import DialogueRow
from tests.evaluation.test_own_dimensions import SCORER, Answers, ask
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import card, rated, settings

HUMAN = Path("human.csv")


def of(*rows: tuple[str, int] | tuple[str, int, str] | tuple[str, int, str, int]) -> RatingsFile:
    """Return ratings of Overall: (dialogue, label, rater, pass), by default of ann's first."""
    filled = [(*row, *("ann", 1)[len(row) - 2 :]) for row in rows]
    return RatingsFile(
        ratings=tuple(
            Rating(
                line=at, dialogue=row[0], dimension=Dimension.OVERALL, rater=str(row[2]), label=row[1], turn=int(row[3])
            )
            for at, row in enumerate(filled, start=2)
        )
    )


def validated(paths: list[Path], ratings: RatingsFile, *, ignore_unknown: bool = False) -> JudgeValidation:
    return validate_ratings(ratings, judged_runs(paths), path=HUMAN, ignore_unknown=ignore_unknown)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cards = [card("c1"), card("c2"), card("k", crisis=CrisisKind.VIOLENCE)]
    return rated(
        tmp_path / "run.db",
        {"warm": {"c1": [3.0, 2.0], "c2": [1.0], "k": [4.0]}, "demo/curt": {"c1": [0.0]}},
        cards=cards,
    )


def test_a_dialogue_goes_by_its_code_by_card_and_supporter_and_with_its_run(run: Path) -> None:
    code = next(code for code, place in judged_runs([run]).dialogues() if place.row.supporter == "demo/curt")
    for name in (code, "c1/demo/curt", "c1/demo/curt/1", "run.db/c1/demo/curt", "run.db/c1/demo/curt/1"):
        (cell,) = validated([run], of((name, 1))).cells
        assert cell.validation.bias.mean == -25


def test_the_average_has_beside_it_what_one_answer_and_what_people_reach(run: Path) -> None:
    rows = [("c1/warm/1", 3), ("c1/warm/2", 3), ("c2/warm", 1), ("c1/demo/curt", 0)]
    alone = validated([run], of(*rows))
    (average,) = [one for one in alone.averages if not one.crisis]
    (cell,) = alone.cells
    # Two of four ratings are 3; 2 is at most one away from three of them.
    assert (average.constant_exact, cell.validation.constant_exact.share.value) == (0.5, 0.5)
    assert (average.constant_within_one, average.people_exact, average.people_within_one) == (0.75, None, None)
    twice = validated([run], of(*((name, label, "ann") for name, label in rows), ("c2/warm", 2, "bob")))
    (average,) = [one for one in twice.averages if not one.crisis]
    assert (average.people_exact, average.people_within_one) == (0.0, 1.0)


def test_without_a_number_the_first_repeat_is_not_guessed_where_there_are_several(run: Path) -> None:
    with pytest.raises(RatingsError, match='line 2: "c1/warm" names 2 dialogues'):
        validated([run], of(("c1/warm", 3)))
    (cell,) = validated([run], of(("c1/warm/1", 3), ("c1/warm/2", 2))).cells
    assert cell.validation.exact.value == 1


def test_an_unknown_dialogue_is_refused_with_the_nearest_or_left_out_and_counted(run: Path) -> None:
    with pytest.raises(RatingsError, match=r'human\.csv: line 3: no run has a dialogue "c2/wram"') as raised:
        validated([run], of(("c2/warm", 1), ("c2/wram", 1)))
    assert '"c2/warm"' in (raised.value.hint or "")
    made = validated([run], of(("c2/warm", 1), ("c2/wram", 1)), ignore_unknown=True)
    assert (made.n_ratings, made.n_unknown) == (1, 1)


def test_one_rater_cannot_say_two_things_under_two_names(run: Path) -> None:
    with pytest.raises(RatingsError, match="line 2 are one rater's labels"):
        validated([run], of(("c2/warm", 1), ("c2/warm/1", 2)))
    (cell,) = validated([run], of(("c2/warm", 1), ("c2/warm/1", 2, "ann", 2))).cells
    assert cell.validation.by_people.n == 1


def test_crisis_cards_are_apart(run: Path) -> None:
    made = validated([run], of(("k/warm", 4), ("c2/warm", 1)))
    assert [(cell.crisis, cell.validation.n_used) for cell in made.cells] == [(False, 1), (True, 1)]


def test_a_reading_without_a_label_is_left_out_with_its_reason(tmp_path: Path) -> None:
    run = rated(tmp_path / "r.db", {"s": {"c1": [None], "c2": [2.0]}})
    (cell,) = validated([run], of(("c1/s", 2), ("c2/s", 2))).cells
    assert cell.validation.failed == {"reply without a label": 1}


def test_several_runs_count_together_and_a_copy_is_refused(run: Path, tmp_path: Path) -> None:
    other = rated(tmp_path / "other.db", {"new": {"c1": [2.0]}}, run=settings(seed=1))
    (cell,) = validated([run, other], of(("c1/new", 2), ("c2/warm", 1))).cells
    assert cell.validation.n_used == 2
    copy = tmp_path / "copy.db"
    copy.write_bytes(run.read_bytes())
    with pytest.raises(UsageError, match="another run holds too"):
        judged_runs([run, copy])


def test_runs_of_different_scorers_are_not_mixed(run: Path, tmp_path: Path) -> None:
    other = rated(tmp_path / "other.db", {"new": {"c1": [2.0]}}, scorer="someone else")
    with pytest.raises(UsageError, match=r"other.db was judged by someone else"):
        judged_runs([run, other])


def test_a_code_stands_for_the_very_words_and_hides_the_supporter() -> None:
    row = DialogueRow(id=1, card_id="c", language=Language.ENGLISH, supporter="warm", repeat=0, state="complete")
    said = [Turn(speaker=Speaker.SEEKER, text="I cannot sleep.")]
    other = [Turn(speaker=Speaker.SEEKER, text="I can sleep.")]
    code = dialogue_code(row, said)
    assert code.startswith("d-")
    assert len(code) == 14
    assert code != dialogue_code(row, other)


def test_a_file_made_by_hand_is_enough(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "human.csv"
    path.write_text(
        "dialogue,dimension,rater,label\nc2/warm,Overall,ann,1\nc1/demo/curt,Overall,ann,1\n", encoding="utf-8"
    )
    (cell,) = validated([run], read_ratings(path)).cells
    assert (cell.dimension, cell.validation.exact.value) == (Dimension.OVERALL, 0.5)


def test_own_dimensions_stand_beside_the_seven_in_no_average(run: Path) -> None:
    ask(run, Answers(4), [PATIENCE])
    seven = of(("c2/warm", 1))
    own = tuple(
        OwnRating(line=at, dialogue=name, own="patience", rater="ann", label=label)
        for at, (name, label) in enumerate([("c2/warm", 4), ("c1/demo/curt", 3), ("k/warm", 4)], start=3)
    )
    made = validated([run], msgspec.structs.replace(seven, own=own))
    plain, crisis = made.own
    assert (plain.shown, plain.scorer, plain.validation.exact.value, plain.validation.n_used) == (
        "Patience",
        "s",
        0.5,
        2,
    )
    assert crisis.crisis
    assert (made.n_ratings, made.averages) == (4, validated([run], seven).averages)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_validation(console, made)
    assert isinstance(console.file, io.StringIO)
    assert "your own dimensions · 1 rater · scorer s" in console.file.getvalue()


def test_a_label_of_ones_own_that_nobody_could_give_is_refused_with_its_line(run: Path, tmp_path: Path) -> None:
    chinese = rated(tmp_path / "zh.db", {"warm": {"z": [1.0]}}, cards=[card("z", language=Language.CHINESE)])
    for path in (run, chinese):
        ask(path, Answers(4), [PLAIN_WORDS])
    rating = OwnRating(line=9, dialogue="z/warm", own="plain-words", rater="ann", label=4)
    with pytest.raises(RatingsError, match="line 9: s was not asked about plain-words in this dialogue"):
        validated([run, chinese], RatingsFile(own=(rating,)))
    other = msgspec.structs.replace(SCORER, name="t", sha256="7" * 64)
    ask(chinese, Answers(4), [PATIENCE], scorer=other)
    ask(run, Answers(4), [PATIENCE])
    with pytest.raises(UsageError, match="read in patience by different scorers"):
        validated([run, chinese], RatingsFile(own=(msgspec.structs.replace(rating, own="patience"),)))
