"""People's ratings beside a scorer's readings: which belong together, and what they come to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import Rating, RatingsFile
from escl.errors import RatingsError
from escl.evaluation.dialogue_names import Place
from escl.evaluation.judged_runs import Cell, JudgedBy, JudgedRuns
from escl.stats.estimate import Estimate
from escl.stats.validation import JudgedDialogue, Validation, average_share, validate

JudgedCells = dict[Cell, list[JudgedDialogue]]
"""The rated dialogues of each dimension and language, crisis cards apart."""


class ValidatedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension in one language; crisis cards are apart."""

    language: Language
    dimension: Dimension
    crisis: bool
    validation: Validation


class AverageAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """The mean over the rated dimensions of one language, each counting alike."""

    language: Language
    crisis: bool
    exact: Estimate
    within_one: Estimate


class JudgeValidation(msgspec.Struct, frozen=True, kw_only=True):
    """How far a scorer agrees with people.

    Attributes:
        ratings: The file of people's ratings.
        n_ratings: Its ratings in use.
        n_blank: Its rows without a label.
        n_unknown: Its rows about dialogues that no run holds.
    """

    judged_by: JudgedBy
    runs: tuple[str, ...]
    ratings: str
    n_ratings: int
    n_blank: int
    n_unknown: int
    cells: tuple[ValidatedCell, ...]
    averages: tuple[AverageAccuracy, ...] = ()


def validate_ratings(
    ratings: RatingsFile, runs: JudgedRuns, *, path: Path, ignore_unknown: bool = False
) -> JudgeValidation:
    """Return how far the scorer of some runs agrees with the ratings in a file.

    Args:
        ratings: What people said.
        runs: What the scorer said.
        path: Of the ratings.
        ignore_unknown: Leave out ratings of dialogues that are in no run.

    Raises:
        RatingsError: A rating is of a dialogue that no run holds, or that two of them are called.
    """
    known = known_ratings(ratings, runs, path=path, ignore_unknown=ignore_unknown)
    cells = judged_dialogues(known, runs)
    return JudgeValidation(
        judged_by=runs.by,
        runs=runs.files,
        ratings=path.name,
        n_ratings=len(known),
        n_blank=ratings.n_blank,
        n_unknown=len(ratings.ratings) - len(known),
        cells=tuple(
            ValidatedCell(crisis=key[0], language=key[1], dimension=key[2], validation=validate(cells[key]))
            for key in itertools.product((False, True), Language, Dimension)
            if key in cells
        ),
        averages=tuple(_averages(cells)),
    )


def _averages(cells: JudgedCells) -> Iterator[AverageAccuracy]:
    for crisis, language in itertools.product((False, True), Language):
        rated = [dialogues for key, dialogues in cells.items() if key[:2] == (crisis, language)]
        if rated:
            exact, within_one = (average_share(rated, within=distance) for distance in (0, 1))
            yield AverageAccuracy(language=language, crisis=crisis, exact=exact, within_one=within_one)


def judged_dialogues(known: list[tuple[Rating, Place]], runs: JudgedRuns) -> JudgedCells:
    """Return each rated dimension of each dialogue with what people and the scorer said of it."""
    people: dict[tuple[int, int, Dimension], dict[str, list[tuple[int, int]]]] = {}
    places = {(place.run, place.row.id): place for _, place in known}
    for rating, place in known:
        said = people.setdefault((place.run, place.row.id, rating.dimension), {})
        said.setdefault(rating.rater, []).append((rating.turn, rating.label))
    cells: JudgedCells = {}
    for (run, row_id, dimension), said in people.items():
        judgement = runs.judgement(places[run, row_id], dimension)
        scored = judgement.scored
        judged = JudgedDialogue(
            cluster=scored.cluster,
            people={rater: tuple(label for _, label in sorted(labels)) for rater, labels in sorted(said.items())},
            label=scored.label,
            expected=scored.expected,
            missing=scored.missing,
            again=tuple(judgement.again.values()),
        )
        cells.setdefault((scored.crisis, scored.language, dimension), []).append(judged)
    return cells


def known_ratings(
    ratings: RatingsFile, runs: JudgedRuns, *, path: Path, ignore_unknown: bool
) -> list[tuple[Rating, Place]]:
    """Return the ratings with the dialogues they are of; the arguments and errors as in `validate_ratings`."""
    return list(_known(ratings, runs, path=path, ignore_unknown=ignore_unknown))


def _known(
    ratings: RatingsFile, runs: JudgedRuns, *, path: Path, ignore_unknown: bool
) -> Iterator[tuple[Rating, Place]]:
    lines: dict[tuple[int, int, Dimension, str, int], int] = {}
    for rating in ratings.ratings:
        place = runs.place(rating.dialogue, line=rating.line, path=path)
        if place is not None:
            key = (place.run, place.row.id, rating.dimension, rating.rater, rating.turn)
            if lines.setdefault(key, rating.line) != rating.line:
                same = f"{path}: line {rating.line} and line {lines[key]} are one rater's labels of one dialogue"
                raise RatingsError(same, hint="number repeated judgements in a column pass")
            yield rating, place
        elif not ignore_unknown:
            raise runs.refuse(rating.dialogue, line=rating.line, path=path)
