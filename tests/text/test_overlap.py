from __future__ import annotations

import sys

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.core.dimension import Language
from escl.errors import UsageError
from escl.text.overlap import bleu, need_metrics, rouge_l

EN, ZH = Language.ENGLISH, Language.CHINESE
_WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=12)


def lcs(one: list[str], other: list[str]) -> int:
    """Return the length of the longest common subsequence, by the textbook recursion."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(_WORDS, _WORDS)
@settings(max_examples=50, deadline=None)
def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence(one: list[str], other: list[str]) -> None:
    common = lcs(one, other)
    expected = 2 * common / (len(one) + len(other))
    assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)


def test_chinese_counts_by_characters() -> None:
    assert rouge_l("我睡不着", "我睡得着") == pytest.approx(3 / 4)
    assert bleu(["我每天都睡不着觉"], ["我每天都睡不着觉"], ZH) == pytest.approx(100)


def test_bleu_is_sacrebleus_and_none_without_a_pair() -> None:
    said, reference = ["the cat sat on the old mat", "I am here"], ["the cat is on the mat", "I am not here"]
    assert bleu(said, reference, EN) == pytest.approx(
        sacrebleu.corpus_bleu(said, [reference], use_effective_order=True).score
    )
    assert bleu([], [], EN) is None


def test_without_the_packages_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(UsageError, match="sacrebleu") as error:
        need_metrics()
    assert error.value.hint is not None
    assert "escl[metrics]" in error.value.hint


@pytest.mark.parametrize("text", ["a " * 500_000, "好" * 500_000, "\u202e\x00" * 1000, ""])
def test_hostile_texts_come_to_an_end(text: str) -> None:
    assert 0 <= rouge_l(text, "a b 好") <= 1
    assert bleu([text], ["a b"], EN) is not None
