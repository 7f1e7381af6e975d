"""A turn's seed depends on which turn it is and on nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dialogue import Speaker
from escl.core.seed import turn_seed

WHICH: dict[str, Any] = {
    "run_seed": 7,
    "card_id": "en-grief-1",
    "supporter": "demo/warm",
    "repeat": 0,
    "turn": 3,
    "speaker": Speaker.SEEKER,
}
which_turns = st.fixed_dictionaries(
    {
        "run_seed": st.integers(),
        "card_id": st.text(max_size=8),
        "supporter": st.text(max_size=8),
        "repeat": st.integers(0, 9),
        "turn": st.integers(0, 20),
        "speaker": st.sampled_from(Speaker),
    }
)


def test_the_seeds_of_stored_runs_stay_what_they_are() -> None:
    assert turn_seed(**WHICH) == 33144755


@given(which_turns)
def test_a_seed_is_a_sampler_seed_and_never_the_one_that_means_random(which: dict[str, Any]) -> None:
    assert 0 <= turn_seed(**which) < 0xFFFFFFFF


@pytest.mark.parametrize(
    "changed",
    [
        {"run_seed": 8},
        {"card_id": "en-grief-2"},
        {"supporter": "demo/curt"},
        {"repeat": 1},
        {"turn": 4},
        {"speaker": Speaker.SUPPORTER},
    ],
)
def test_every_argument_changes_the_seed(changed: dict[str, Any]) -> None:
    assert turn_seed(**WHICH) != turn_seed(**(WHICH | changed))


def test_fields_do_not_run_into_each_other() -> None:
    one = turn_seed(**(WHICH | {"card_id": "ab", "supporter": "c"}))
    other = turn_seed(**(WHICH | {"card_id": "a", "supporter": "bc"}))
    assert one != other


def test_a_supporter_path_that_is_not_utf8_has_a_seed() -> None:
    assert turn_seed(**(WHICH | {"supporter": "mod\udcffel.gguf"})) != turn_seed(**WHICH)


def test_many_turns_have_almost_as_many_seeds() -> None:
    seeds = {turn_seed(**(WHICH | {"card_id": str(card), "turn": turn})) for card in range(500) for turn in range(11)}
    assert len(seeds) > 5490
