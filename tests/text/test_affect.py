from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dimension import Language
from escl.text.affect import drift, lexicon, mood

EN, ZH = Language.ENGLISH, Language.CHINESE


@pytest.mark.parametrize("language", list(Language))
def test_no_word_of_the_lexicon_is_both_high_and_low_or_there_twice(language: Language) -> None:
    words = lexicon()[language]
    both = [*words.low, *words.high]
    assert len(both) == len(set(both))


@pytest.mark.parametrize("language", list(Language))
def test_every_word_of_the_lexicon_is_found_with_its_own_sign(language: Language) -> None:
    words = lexicon()[language]
    assert [word for word in words.low if mood(word, language) != -1.0] == []
    assert [word for word in words.high if mood(word, language) != 1.0] == []


def test_a_negation_turns_a_word_round() -> None:
    assert mood("I am not happy", EN) == -1.0
    assert mood("I don't feel alone any more", EN) == 1.0
    assert mood("我不太高兴", ZH) == -1.0
    assert mood("我不再害怕了", ZH) == 1.0


def test_a_turn_without_such_words_has_no_mood() -> None:
    assert mood("The bus leaves at nine.", EN) is None


@given(st.lists(st.sampled_from(["sad", "happy", "the bus", "sad happy"]), min_size=1, max_size=9))
def test_the_slope_is_that_of_a_line_fitted_by_numpy(turns: list[str]) -> None:
    found = drift(turns, EN)
    points = [(at, score) for at, score in enumerate(found.scores) if score is not None]
    if len(points) < 3:
        assert found.slope is None
        assert found.reason
    else:
        slope = np.polyfit([at for at, _ in points], [score for _, score in points], 1)[0]
        assert found.slope == pytest.approx(slope, abs=1e-9)
