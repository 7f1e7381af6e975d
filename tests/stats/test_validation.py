"""A validation compares every rating with the scorer, beside one constant answer and beside other people."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from escl.stats.validation import JudgedDialogue, average_share, validate


def judged(
    card: int, label: int | None, *people: int, expected: float | None = None, supporter: str = "s"
) -> JudgedDialogue:
    """Return a dialogue that each of some people and the scorer rated."""
    sure = None if label is None else float(label)
    return JudgedDialogue(
        cluster=f"c{card}",
        supporter=supporter,
        people={f"r{at}": (said,) for at, said in enumerate(people)},
        label=label,
        expected=sure if expected is None else expected,
        missing="reply without a label" if label is None else None,
    )


def test_a_scorer_that_always_says_the_same_gains_nothing_over_one_answer() -> None:
    found = validate([judged(at, 3, 3 if at % 5 else 1) for at in range(40)])
    assert found.exact.value == found.constant_exact.share.value == 0.8
    assert found.constant_exact.label == 3
    assert found.constant_exact.gain.value == 0
    assert (found.labels, found.order, found.modal_share) == ("cannot tell", "cannot tell", 1)
    assert found.spearman.reason == "one of the two never varies"


def test_a_scorer_that_agrees_with_people_is_better_than_one_answer() -> None:
    found = validate([judged(at, at % 5, at % 5 if at % 8 else 2) for at in range(40)])
    assert (found.exact.value, found.constant_exact.share.value) == (0.9, 0.3)
    assert (found.labels, found.order) == ("better", "follows")


def test_a_scorer_that_says_the_opposite_is_said_to() -> None:
    found = validate([judged(at, 4 - at % 5 if at % 8 else 1, at % 5) for at in range(40)])
    assert (found.labels, found.order) == ("cannot tell", "opposes")


def test_every_rating_counts_and_correlations_are_with_the_mean_of_people() -> None:
    rng = np.random.default_rng(3)
    rows = [(int(at % 4), *rng.integers(0, 5, size=2).tolist()) for at in range(30)]
    found = validate([judged(at, label, one, other) for at, (label, one, other) in enumerate(rows)])
    scorer, one, other = np.array(rows).T
    assert found.n_ratings == 60
    assert found.exact.value == pytest.approx(((scorer == one).mean() + (scorer == other).mean()) / 2)
    assert found.spearman.value == pytest.approx(spearmanr(scorer, (one + other) / 2).statistic)
    assert found.bias.mean == pytest.approx(25 * (scorer - (one + other) / 2).mean())
    assert found.ceiling.n_pairs == 30
    assert found.ceiling.exact.value == pytest.approx((one == other).mean())
    assert found.raters == {"r0": 30, "r1": 30}


def test_a_scorer_that_only_tells_supporters_apart_orders_no_dialogue_within_one() -> None:
    rng = np.random.default_rng(4)
    rows = [
        (name, at, int(base + rng.integers(0, 2)), int(base + rng.integers(0, 2)))
        for name, base in (("low", 0), ("high", 3))
        for at in range(40)
    ]
    found = validate([judged(at, label, said, supporter=name) for name, at, label, said in rows])
    within = [
        spearmanr([r[2] for r in rows if r[0] == name], [r[3] for r in rows if r[0] == name]).statistic
        for name in ("low", "high")
    ]
    assert found.spearman.value is not None
    assert found.spearman.value > 0.7
    # Both supporters have as many dialogues, so theirs is about the mean of the two.
    assert found.spearman_within.value == pytest.approx(np.mean(within), abs=0.02)
    assert abs(np.mean(within)) < 0.3
    one = validate([judged(at, label, said) for _, at, label, said in rows])
    assert one.spearman_within.value == pytest.approx(one.spearman.value)


def test_what_the_scorer_did_not_label_is_counted_but_people_still_agree_about_it() -> None:
    found = validate([judged(0, None, 2, 2), judged(1, 2, 2)])
    assert (found.n_asked, found.n_used, found.failed) == (2, 1, {"reply without a label": 1})
    assert found.ceiling.n_pairs == 1
    assert found.ceiling.exact.value == 1


def test_nothing_that_both_judged_gives_reasons_and_no_numbers() -> None:
    found = validate([judged(0, None, 2)])
    for each in (found.exact, found.kappa, found.alpha, found.spearman, found.kendall, found.constant_exact.share):
        assert (each.value, each.reason) == (None, "no dialogue has a label of people and of the scorer")
    assert found.ceiling.kappa.reason == "no dialogue was rated by two people"
    assert found.modal_share is None


def test_repeated_judgements_have_a_variance_and_only_the_first_is_compared() -> None:
    twice = JudgedDialogue(
        cluster="c", supporter="s", people={"r": (3, 1), "s": (2,)}, label=3, expected=3.0, again=(2.0, 1.0)
    )
    found = validate([twice])
    assert (found.exact.value, found.n_ratings) == (0.5, 2)
    assert (found.by_people.n, found.by_people.variance) == (1, 1.0)
    assert found.by_scorer.variance == pytest.approx(2 / 3)


def test_the_average_counts_every_dimension_alike_however_many_dialogues_it_has() -> None:
    all_right = [judged(at, 2, 2) for at in range(30)]
    all_wrong = [judged(at, 2, 4) for at in range(12)]
    assert average_share([all_right, all_wrong], within=0).value == 0.5
    assert average_share([all_right, all_wrong], within=2).value == 1
    assert average_share([], within=0).value is None


def test_the_average_of_one_dimension_is_its_own_share() -> None:
    dialogues = [judged(at, at % 5, at % 5 if at % 8 else 2) for at in range(40)]
    assert average_share([dialogues], within=0) == validate(dialogues).exact
