"""What a judge said about one pair of dialogues, found again in the arena's file by what it read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.evaluation.contest import transcript_sha256
from escl.store.arena import ARENA, ArenaStore, ComparisonFailure, ComparisonRow, Question
from escl.store.database import Database

Said = ComparisonRow | ComparisonFailure | None
"""None where the question was never asked."""


def pair_readings(
    arena: Path, language: Language, dimension: Dimension, one: Sequence[Turn], other: Sequence[Turn]
) -> tuple[Said, Said]:
    """Return what was read with the one's dialogue in the first place, and with the other's there.

    Raises:
        StorageError: The file holds no arena.
    """
    with Database.reader(arena, ARENA) as database:
        store = ArenaStore.read(database)
        known: dict[Question, ComparisonRow | ComparisonFailure] = {**store.comparisons(), **store.failures()}
        rubric = store.rubric
    first, second = (transcript_sha256(rubric.transcript(language, list(turns))) for turns in (one, other))
    return (
        known.get(Question(language, dimension, first, second)),
        known.get(Question(language, dimension, second, first)),
    )
