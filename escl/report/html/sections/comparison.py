"""Supporters compared card by card, every number that the verdicts rest on; crisis cards have none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from escl.evaluation.compare import Group, Row
from escl.report.html.section import Section
from escl.report.html.shown import signed
from escl.report.html.subject import Entrant, Subject
from escl.report.html.words import Words
from escl.stats.paired import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """Two supporters on one set of cards.

    Attributes:
        reserves: How far intervals and verdicts can be relied on: sentences, each with the lines that it holds for.
    """

    entrant: Entrant
    against: Entrant
    group: Group
    reserves: Sequence[tuple[str, Sequence[Row]]]


def _build(subject: Subject, words: Words) -> Sequence[Versus] | None:
    return [
        Versus(entrant=one.entrant, against=one.against, group=group, reserves=_reserves(group, words))
        for one in subject.compared
        for group in one.pairing.groups
        if not group.crisis
    ] or None


def _reserves(group: Group, words: Words) -> list[tuple[str, Sequence[Row]]]:
    said: dict[str, list[Row]] = {}
    for row in group.rows:
        for sentence in _reserves_of(row.comparison, words):
            said.setdefault(sentence, []).append(row)
    return list(said.items())


def _reserves_of(found: Comparison, words: Words) -> Iterable[str]:
    t = words.section("comparison")
    if found.stuck:
        yield (t["stuck"] if len(found.stuck) == 1 else t["all_stuck"]).format(label=found.stuck[0])
    if found.unseen is not None:
        yield t["alike"].format(difference=signed(found.difference.mean), share=f"{100 * found.unseen:.0f} %")
    if found.rests_on_few:
        yield t["few"].format(n=found.n_differing, all=found.n_cards)


COMPARISON = Section(key="comparison", build=_build)
