"""The paper's leaderboard of people's ratings, and a run's supporters in the same columns.

The figures are those of ESC-Eval (arXiv 2406.14952v3, its leaderboard by people): mean labels of people times 25, a row
for each model over all 331 English or 324 Chinese cards. Owns what must be said wherever the two stand side by side.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from importlib import resources
from statistics import fmean
from typing import Final

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.message import Message
from escl.core.settings import SimulationSettings
from escl.evaluation.results import Results
from escl.store.run import RunStore

CARDS: Final = {Language.ENGLISH: 331, Language.CHINESE: 324}
"""How many cards each row of the paper is over."""
SOURCE: Final = "ESC-Eval, arXiv 2406.14952v3: rated by people, 0-100"
_PROTOCOL: Final = "esc-eval"


class PublishedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the paper, or a supporter of the run.

    Attributes:
        group: "closed", "open" or "domain" in the paper; None for a supporter of the run.
        scores: 0-100 in the order of `Dimension`; None where there is none.
        average: Plain mean of the seven; None when one is missing.
    """

    model: str
    language: Language
    group: str | None
    scores: tuple[float | None, ...]
    average: float | None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """Both, with what differs.

    Attributes:
        rows: The best average first, those without one last.
        differs: Why the two cannot be compared as they stand, one sentence each.
    """

    source: str
    rows: tuple[PublishedRow, ...]
    differs: tuple[str, ...]


@cache
def leaderboard() -> tuple[PublishedRow, ...]:
    """Return the paper's rows in its order."""
    text = resources.files("escl.evaluation").joinpath("published_leaderboard.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedRow(
            model=row["model"],
            language=Language(row["lang"].lower()),
            group=row["group"],
            scores=tuple(float(row[each.shown.lower()]) for each in Dimension),
            average=float(row["average"]),
        )
        for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    )


def published_beside(results: Results, store: RunStore) -> Published:
    """Return the paper's rows in the languages of a run with the run's supporters among them."""
    own = list(_own(results))
    languages = {row.language for row in own}
    rows = [row for row in (*leaderboard(), *own) if row.language in languages]
    rows.sort(key=lambda row: -1.0 if row.average is None else row.average, reverse=True)
    return Published(source=SOURCE, rows=tuple(rows), differs=tuple(_differs(results, store)))


def _own(results: Results) -> Iterator[PublishedRow]:
    cells = {
        (cell.language, cell.supporter, cell.dimension): cell.score.mean for cell in results.cells if not cell.crisis
    }
    for language, supporter in dict.fromkeys((language, supporter) for language, supporter, _ in cells):
        scores = tuple(cells.get((language, supporter, dimension)) for dimension in Dimension)
        known = [score for score in scores if score is not None]
        average = fmean(known) if len(known) == len(scores) else None
        yield PublishedRow(model=supporter, language=language, group=None, scores=scores, average=average)


def _differs(results: Results, store: RunStore) -> Iterator[str]:
    yield Message("published.people", {"scorer": results.scorer or Message("published.nobody")})
    if results.protocol != _PROTOCOL:
        yield Message("published.protocol", {"protocol": results.protocol})
    yield from _cards(results, store)
    settings = results.settings
    if isinstance(settings, SimulationSettings):
        yield Message("published.seeker", {"seeker": settings.seeker.name, "sha256": settings.seeker.sha256[:8]})
        yield Message("published.drawn")
        if settings.rounds != 5:
            yield Message("published.rounds", {"n": settings.rounds})
    else:
        yield Message("published.elsewhere")


def _cards(results: Results, store: RunStore) -> Iterator[str]:
    crisis = {card.id for card in store.cards().values() if card.crisis is not None}
    played = {(row.language, row.card_id) for row in store.dialogues() if row.card_id not in crisis}
    for language in sorted({cell.language for cell in results.cells if not cell.crisis}):
        count = sum(of is language for of, _ in played)
        named = Message(f"language.{language.value}")
        if count != CARDS[language]:
            yield Message("published.cards", {"n": count, "language": named, "there": CARDS[language]})
        else:
            yield Message("published.as-many", {"language": named})
