"""How much of a reference's wording a text has: BLEU by sacrebleu, ROUGE-L by rouge-score, both an optional install."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from escl.core.dimension import Language
from escl.errors import UsageError
from escl.text.words import plain, units

MAX_UNITS: Final = 1000
"""Units of a text that ROUGE-L looks at; its time grows with the product of the two lengths."""

_TOKENIZERS: Final = {Language.ENGLISH: "13a", Language.CHINESE: "zh"}


def need_metrics() -> None:
    """Check that the two packages are there.

    Raises:
        UsageError: One is not.
    """
    try:
        import rouge_score  # noqa: F401
        import sacrebleu  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"BLEU and ROUGE-L need the packages sacrebleu and rouge-score, and {error.name} is not installed",
            hint="pip install 'escl[metrics]'; without --reference neither is needed",
        ) from error


def bleu(texts: Sequence[str], references: Sequence[str], language: Language) -> float | None:
    """Return corpus BLEU of texts with one reference each, 0 to 100; None without any pair.

    Papineni, Roukos, Ward and Zhu, "BLEU", ACL 2002, as sacrebleu computes it (Post, WMT 2018), with its tokenizer 13a
    for English and zh for Chinese, exponential smoothing, and orders that fit the length.
    """
    if not texts:
        return None
    import sacrebleu

    found = sacrebleu.corpus_bleu(
        [plain(text) for text in texts],
        [[plain(reference) for reference in references]],
        tokenize=_TOKENIZERS[language],
        use_effective_order=True,
        force=True,
    )
    return found.score


def rouge_l(text: str, reference: str) -> float:
    """Return the F measure of ROUGE-L (0-1) of a text and its reference, over our units in both languages.

    Lin, "ROUGE", ACL workshop 2004: the longest common subsequence, here of the first `MAX_UNITS` units. rouge-score's
    own tokenizer drops everything that is not ASCII, so it gets ours.
    """
    score: float = _scorer()(reference, text)
    return score


@cache
def _scorer() -> Callable[[str, str], float]:
    from rouge_score import rouge_scorer

    class _Units:
        """What rouge-score asks of a tokenizer."""

        def tokenize(self, text: str) -> list[str]:
            return units(text)[:MAX_UNITS]

    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=_Units())
    return lambda target, prediction: float(scorer.score(target, prediction)["rougeL"].fmeasure)
