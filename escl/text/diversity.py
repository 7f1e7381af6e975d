"""How varied a text is, by counting its words."""

from __future__ import annotations

from collections.abc import Iterable

from escl.text.words import ngrams, units


def distinct(texts: Iterable[str], n: int) -> float | None:
    """Return distinct-n: different runs of `n` units divided by all of them, over all texts; None without any.

    Li, Galley, Brockett, Gao and Dolan, "A Diversity-Promoting Objective Function for Neural Conversation Models",
    NAACL 2016, section 5.2. Runs do not cross from one text into the next. Longer texts have lower values: compare
    equal lengths (Liu, Sabour, Zheng, Ke, Zhu and Huang, "Rethinking and Refining the Distinct Metric", ACL 2022).
    """
    found: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        for run in ngrams(units(text), n):
            found.add(run)
            total += 1
    return len(found) / total if total else None
