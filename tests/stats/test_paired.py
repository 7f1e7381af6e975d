"""Supporters are compared card by card, and the verdict follows from interval, p and margin."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gamma

from escl.core.dimension import Language
from escl.core.message import as_text, in_language
from escl.stats.cluster import ALIKE, clustered_mean
from escl.stats.noninferiority import all_shown, noninferiority
from escl.stats.paired import Comparison, PairedValues, compare, hedges_g, pair_up, pooled

CARDS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.lists(st.floats(0, 100), max_size=3), min_size=1, max_size=8
)


def compared(differences: list[float], *, margin: float = 5, **fields: object) -> Comparison:
    values = PairedValues(differences={str(at): value for at, value in enumerate(differences)})
    return compare({"d": msgspec.structs.replace(values, **fields)}, margin=margin)["d"]


def drawn(mean: float, deviation: float, n: int) -> list[float]:
    """Return n values with exactly this mean and standard deviation."""
    values = np.random.default_rng(n).normal(0, 1, n)
    standard = (values - values.mean()) / values.std(ddof=1)
    return [mean + deviation * float(value) for value in standard]


@given(CARDS, CARDS)
def test_every_card_is_paired_or_counted_as_left_out(
    first: dict[str, list[float]], second: dict[str, list[float]]
) -> None:
    found = pair_up(first, second)
    assert len(found.differences) + sum(found.left_out.values()) == len(first.keys() | second.keys())
    for card, difference in found.differences.items():
        assert difference == pytest.approx(np.mean(first[card]) - np.mean(second[card]), abs=1e-9)


@given(CARDS, CARDS)
def test_only_cards_that_both_were_asked_for_can_be_one_sided(
    first: dict[str, list[float]], second: dict[str, list[float]]
) -> None:
    found = pair_up(first, second)
    both = first.keys() & second.keys()
    assert found.n_one_sided == sum(bool(first[card]) is not bool(second[card]) for card in both)
    merged = pooled({"x": found, "y": found})
    assert len(merged.differences) == 2 * len(found.differences)
    assert merged.n_one_sided == 2 * found.n_one_sided


@settings(deadline=None)
@given(st.lists(st.integers(-100, 100).map(float), min_size=2, max_size=12))
def test_turning_the_comparison_round_turns_the_verdict_round(differences: list[float]) -> None:
    one, other = compared(differences), compared([-value for value in differences])
    assert one.difference.mean == pytest.approx(-(other.difference.mean or 0))
    assert one.p == other.p
    assert {"better": "worse", "worse": "better"}.get(one.verdict, one.verdict) == other.verdict


def test_the_effect_is_the_mean_over_the_spread_less_its_bias() -> None:
    values = drawn(3, 6, 8)
    correction = gamma(7 / 2) / (np.sqrt(7 / 2) * gamma(6 / 2))
    assert hedges_g(values) == pytest.approx(0.5 * correction)
    t = stats.ttest_1samp(values, 0).statistic
    assert hedges_g(values) == pytest.approx(t / np.sqrt(8) * correction)


def test_differences_that_differ_by_rounding_only_have_no_effect() -> None:
    values = [30.0, (0.1 + 0.2) * 100] * 4
    assert len(set(values)) == 2
    assert hedges_g(values) is None
    assert hedges_g([value + at / 1000 for at, value in enumerate(values)]) is not None


def test_the_corrected_effect_is_unbiased() -> None:
    values = np.random.default_rng(1).normal(0.7, 1, (20_000, 6))
    found = [hedges_g(row) for row in values[:4000].tolist()]
    assert np.mean([one for one in found if one is not None]) == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("mean", "deviation", "n", "verdict"),
    [(10, 8, 20, "better"), (-10, 8, 20, "worse"), (0.5, 4, 30, "equivalent"), (4, 20, 20, "cannot tell")],
)
def test_the_verdict_is_what_interval_and_margin_say(mean: float, deviation: float, n: int, verdict: str) -> None:
    assert compared(drawn(mean, deviation, n)).verdict == verdict


def test_better_by_less_than_the_margin_says_so() -> None:
    found = compared(drawn(2, 2, 30))
    assert (found.verdict, "within ±5" in found.reason) == ("better", True)


def test_too_few_cards_for_any_small_p_are_said_to_be_too_few() -> None:
    found = compared([40.0, 41.0, 42.0, 43.0])
    assert (found.verdict, found.reason) == ("cannot tell", "4 cards are too few for a p under 0.05")


def test_what_cannot_be_told_says_how_many_cards_would() -> None:
    found = compared(drawn(4, 20, 20))
    assert found.cards_needed is not None
    assert found.cards_needed > 20
    assert compared(drawn(4, 20, found.cards_needed), margin=0.1).difference.low == pytest.approx(1.1, abs=0.8)


def test_without_both_there_is_no_verdict_but_a_reason() -> None:
    found = compared([])
    assert (found.verdict, found.p, found.effect, found.difference.mean) == ("cannot tell", None, None, None)
    one = compared([3.0])
    assert (one.verdict, one.reason, one.detectable) == ("cannot tell", "1 card is too few", None)


def test_cards_that_one_alone_could_not_do_leave_equivalence_and_the_gate_open() -> None:
    values = drawn(0.5, 4, 30)
    assert compared(values).verdict == "equivalent"
    missing = compared(values, n_one_sided=2, left_out={"no value of the first": 2})
    assert missing.verdict == "cannot tell"
    assert noninferiority(missing.difference, margin=5).passed
    assert not noninferiority(missing.difference, margin=5, n_one_sided=2).passed


def test_the_gate_asks_the_lower_end_of_the_interval() -> None:
    found = compared(drawn(-1, 4, 30))
    assert found.difference.low is not None
    assert noninferiority(found.difference, margin=-found.difference.low + 0.01).passed
    assert not noninferiority(found.difference, margin=-found.difference.low - 0.01).passed
    worse = noninferiority(compared(drawn(-20, 4, 30)).difference, margin=5)
    assert (worse.passed, worse.is_worse) == (False, True)
    few = noninferiority(compared([1.0] * 4).difference, margin=5)
    assert (few.passed, few.is_worse) == (False, False)
    assert not all_shown([])


def test_a_gate_at_the_margin_passes_in_about_2_5_percent() -> None:
    values = np.random.default_rng(5).normal(-5, 10, (2000, 20))
    cards = [str(at) for at in range(20)]
    passed = [noninferiority(clustered_mean(row, cards), margin=5).passed for row in values.tolist()]
    assert 0.015 <= np.mean(passed) <= 0.035


def test_seven_dimensions_without_difference_give_a_false_alarm_in_5_percent_at_most() -> None:
    values = np.random.default_rng(6).normal(0, 10, (400, 7, 10))
    alarms = 0
    for run in values.tolist():
        found = compare(
            {str(d): PairedValues(differences=dict(zip("abcdefghij", row, strict=True))) for d, row in enumerate(run)},
            margin=1,
        )
        alarms += any(one.verdict in ("better", "worse") for one in found.values())
    assert alarms / 400 <= 0.07


@pytest.mark.parametrize(("value", "verdict", "passes"), [(0.0, "equivalent", True), (-20.0, "worse", False)])
def test_where_all_cards_are_alike_no_interval_is_claimed_but_the_share_that_could_differ(
    value: float, verdict: str, passes: bool
) -> None:
    found = compared([value] * 20)
    assert (found.difference.low, found.difference.high, found.difference.reason) == (None, None, ALIKE)
    assert (found.verdict, found.detectable) == (verdict, None)
    assert found.unseen == pytest.approx(stats.binomtest(0, 20).proportion_ci(0.95, method="exact").high)
    assert noninferiority(found.difference, margin=5).passed is passes
    assert compared([value] * 19 + [value + 1]).unseen is None


def test_repeats_that_are_equal_on_paper_are_alike() -> None:
    assert compared([0.1 + 0.2, 0.3, *[0.3] * 10]).difference.reason == ALIKE


def test_that_the_two_are_alike_to_a_scorer_that_does_not_move_is_no_verdict_and_no_failure() -> None:
    near = drawn(0.5, 4, 30)
    assert compared(near).verdict == "equivalent"
    found = compared(near, stuck=(4,))
    assert (found.verdict, found.cards_needed) == ("cannot tell", None)
    assert "the label 4 on nearly every dialogue" in found.reason
    assert noninferiority(found.difference, margin=5).passed
    assert compared(drawn(10, 8, 20), stuck=(4,)).verdict == "better"


@pytest.mark.parametrize(
    ("differences", "few"),
    [
        ([0.0] * 31 + [-8.0] * 9, True),
        ([0.0] * 30 + [-8.0] * 10, False),
        ([0.01] * 39 + [0.02], True),
        ([3.0, 4.0], False),
    ],
)
def test_an_interval_that_rests_on_few_cards_is_known(differences: list[float], few: bool) -> None:
    assert compared(differences).rests_on_few is few


@pytest.mark.parametrize(
    ("differences", "fields", "said"),
    [
        ([], {}, "no card has a value of both"),
        ([3.0], {}, "1 card is too few"),
        ([40.0, 41.0, 42.0, 43.0], {}, "4 cards are too few for a p under 0.05"),
        ([7.0] * 12, {}, "Holm p 0.00049"),
        ([2.0] * 12, {}, "Holm p 0.00049, but within ±5"),
        (drawn(0.5, 4, 30), {}, "the interval lies within ±5"),
        ([0.0] * 20, {}, "every card differs by +0.0; up to 17 % of cards could still differ otherwise"),
        (drawn(4, 20, 20), {}, "the interval holds 0 and leaves ±5"),
        (drawn(0.5, 4, 30), {"n_one_sided": 2}, "2 cards have a value of one supporter only"),
        ([0.0] * 20, {"stuck": (4,)}, "no resolution: the scorer gives both the label 4 on nearly every dialogue"),
        (
            [0.0] * 20,
            {"stuck": (4, 3)},
            "no resolution: the scorer gives both one label on nearly every dialogue in every dimension",
        ),
    ],
)
def test_a_verdicts_reason_is_plain_text_in_files_and_can_be_said_in_chinese(
    differences: list[float], fields: dict[str, object], said: str
) -> None:
    reason = compared(differences, margin=5, **fields).reason
    assert msgspec.json.decode(msgspec.json.encode(reason, enc_hook=as_text)) == said
    chinese = in_language(reason, Language.CHINESE)
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert not re.search("[a-z]{3,}", chinese.replace("Holm", ""))
    assert set(re.findall(r"\d[\d.]*", said)) <= set(re.findall(r"\d[\d.]*", chinese))


@given(CARDS, CARDS)
def test_why_a_card_is_left_out_can_be_said_in_chinese(
    first: dict[str, list[float]], second: dict[str, list[float]]
) -> None:
    left_out = pair_up(first, second).left_out
    told = {in_language(reason, Language.CHINESE) for reason in left_out}
    assert len(told) == len(left_out)
    assert not [one for one in told if re.search("[a-z]", one)]
