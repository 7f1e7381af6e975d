"""The user's own dimensions: what was asked, of whom, and what came of it, beside the seven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from escl.core.own_dimension import OwnDimension
from escl.evaluation.compare import OwnRow
from escl.evaluation.results import OwnScores
from escl.report.html.section import Section
from escl.report.html.subject import CardGroup, Entrant, Subject
from escl.report.html.words import Words
from escl.stats.summary import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLine:
    """One supporter; `against` is its comparison with the first one, None where there is none."""

    entrant: Entrant
    cell: Tally
    against: OwnRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """One set of cards."""

    group: CardGroup
    lines: Sequence[OwnLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBlock:
    """One dimension as one scorer was asked about it.

    Attributes:
        name: In the page's language where it has one.
    """

    dimension: OwnDimension
    name: str
    scorer: str
    tables: Sequence[OwnTable]


def _build(subject: Subject, words: Words) -> list[OwnBlock] | None:
    asked: dict[tuple[bytes, str], list[tuple[Entrant, OwnScores]]] = {}
    for entrant in subject.entrants:
        for own in entrant.run.results.own:
            key = (msgspec.json.encode(own.dimension, order="sorted"), own.scorer)
            asked.setdefault(key, []).append((entrant, own))
    return [_block(subject, words, read) for read in asked.values()] or None


def _block(subject: Subject, words: Words, read: Sequence[tuple[Entrant, OwnScores]]) -> OwnBlock:
    _, first = read[0]
    lines: dict[CardGroup, list[OwnLine]] = {}
    for entrant, own in read:
        for cell in own.cells:
            if cell.supporter == entrant.name:
                group = CardGroup(crisis=cell.crisis, language=cell.language)
                against = _against(subject, entrant, group, own.dimension.key)
                lines.setdefault(group, []).append(OwnLine(entrant=entrant, cell=cell, against=against))
    return OwnBlock(
        dimension=first.dimension,
        name=first.dimension.shown(words.language),
        scorer=first.scorer,
        tables=[OwnTable(group=group, lines=lines[group]) for group in sorted(lines)],
    )


def _against(subject: Subject, entrant: Entrant, group: CardGroup, key: str) -> OwnRow | None:
    rows = (
        row
        for one in subject.compared
        if one.entrant is entrant
        for compared in one.pairing.groups
        if (compared.language, compared.crisis) == (group.language, group.crisis)
        for row in compared.own
        if row.dimension == key
    )
    return next(rows, None)


OWN_DIMENSIONS = Section(key="own_dimensions", build=_build)
