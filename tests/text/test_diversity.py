from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from escl.text.diversity import distinct


def test_distinct_counts_different_runs_of_all_and_none_crosses_a_text() -> None:
    assert distinct(["a b a b", "b c"], 1) == 3 / 6
    assert distinct(["a b a b", "b c"], 2) == 3 / 4
    assert distinct(["我很好很好"], 1) == 3 / 5


def test_without_a_run_there_is_no_share() -> None:
    assert distinct([], 1) is None
    assert distinct(["word", "..."], 2) is None


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=8).map(" ".join), min_size=1),
    st.integers(1, 3),
)
def test_saying_everything_again_lowers_it_and_it_stays_a_share(texts: list[str], n: int) -> None:
    once, twice = distinct(texts, n), distinct([*texts, *texts], n)
    if once is None or twice is None:
        assert once == twice
    else:
        assert 0 < once <= 1
        assert twice == once / 2
