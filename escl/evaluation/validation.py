"""People's ratings beside a scorer's readings: which belong together, and what they come to."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import GivenLabel, OwnRating, Rating, RatingsFile
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

    @property
    def shown(self) -> str:
        """The dimension's name for people."""
        return self.dimension.shown


class ValidatedOwn(msgspec.Struct, frozen=True, kw_only=True):
    """The same for a dimension of the user's own.

    Attributes:
        own: The dimension's key.
        shown: Its name in the language.
        scorer: Whose labels these are.
    """

    language: Language
    own: str
    shown: str
    scorer: str
    crisis: bool
    validation: Validation


class AverageAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """The mean over the rated dimensions of one language, each counting alike.

    Attributes:
        constant_exact: What one constant answer for each dimension reaches, the best of it; so `constant_within_one`.
        people_exact: What people reach among each other; None where nobody rated a dimension twice. So
            `people_within_one`.
    """

    language: Language
    crisis: bool
    exact: Estimate
    within_one: Estimate
    constant_exact: float | None
    constant_within_one: float | None
    people_exact: float | None
    people_within_one: float | None


class JudgeValidation(msgspec.Struct, frozen=True, kw_only=True):
    """How far a scorer agrees with people.

    Attributes:
        ratings: The file of people's ratings.
        n_ratings: Its ratings in use.
        n_blank: Its rows without a label.
        n_unknown: Its rows about dialogues that no run holds.
        own: The user's own dimensions, in no average.
    """

    judged_by: JudgedBy
    runs: tuple[str, ...]
    ratings: str
    n_ratings: int
    n_blank: int
    n_unknown: int
    cells: tuple[ValidatedCell, ...]
    averages: tuple[AverageAccuracy, ...] = ()
    own: tuple[ValidatedOwn, ...] = ()


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
        RatingsError: A rating is of a dialogue that no run holds, or that two of them are called, or that nobody was
            asked about in one of the user's own dimensions.
        UsageError: The runs were read in one of those by different scorers or with other words.
    """
    known = known_ratings(ratings, runs, path=path, ignore_unknown=ignore_unknown)
    cells = judged_dialogues(known, runs)
    own = list(_known(ratings.own, runs, path=path, ignore_unknown=ignore_unknown))
    validated = tuple(
        ValidatedCell(crisis=key[0], language=key[1], dimension=key[2], validation=validate(cells[key]))
        for key in itertools.product((False, True), Language, Dimension)
        if key in cells
    )
    return JudgeValidation(
        judged_by=runs.by,
        runs=runs.files,
        ratings=path.name,
        n_ratings=len(known) + len(own),
        n_blank=ratings.n_blank,
        n_unknown=len(ratings.ratings) - len(known) + len(ratings.own) - len(own),
        cells=validated,
        averages=tuple(_averages(cells, validated)),
        own=tuple(_own_cells(own, runs, path=path)),
    )


def _averages(cells: JudgedCells, validated: Sequence[ValidatedCell]) -> Iterator[AverageAccuracy]:
    for crisis, language in itertools.product((False, True), Language):
        rated = [dialogues for key, dialogues in cells.items() if key[:2] == (crisis, language)]
        found = [one.validation for one in validated if (one.crisis, one.language) == (crisis, language)]
        if rated:
            exact, within_one = (average_share(rated, within=distance) for distance in (0, 1))
            yield AverageAccuracy(
                language=language,
                crisis=crisis,
                exact=exact,
                within_one=within_one,
                constant_exact=_mean([one.constant_exact.share for one in found]),
                constant_within_one=_mean([one.constant_within_one.share for one in found]),
                people_exact=_mean([one.ceiling.exact for one in found]),
                people_within_one=_mean([one.ceiling.within_one for one in found]),
            )


def _mean(estimates: Sequence[Estimate]) -> float | None:
    values = [one.value for one in estimates if one.value is not None]
    return sum(values) / len(values) if values and len(values) == len(estimates) else None


def _own_cells(known: Sequence[tuple[OwnRating, Place]], runs: JudgedRuns, *, path: Path) -> Iterator[ValidatedOwn]:
    cells: dict[tuple[str, bool, Language], list[JudgedDialogue]] = {}
    for rating, place in known:
        judged = runs.own(rating.own)
        if (place.run, place.row.id) not in judged.scored:
            raise RatingsError(
                f"{path}: line {rating.line}: {judged.scorer} was not asked about {rating.own} in this dialogue",
                hint=f"the dimension has words for {' and '.join(judged.dimension.languages)} only",
            )
    for place, key, people in _said((place, rating.own, rating) for rating, place in known):
        scored = runs.own(key).scored[place.run, place.row.id]
        judged_dialogue = JudgedDialogue(
            cluster=scored.cluster,
            supporter=scored.supporter,
            people=people,
            label=scored.label,
            expected=scored.expected,
            missing=scored.missing,
        )
        cells.setdefault((key, scored.crisis, scored.language), []).append(judged_dialogue)
    for (key, crisis, language), dialogues in sorted(cells.items()):
        judged = runs.own(key)
        yield ValidatedOwn(
            language=language,
            own=key,
            shown=judged.dimension.shown(language),
            scorer=judged.scorer,
            crisis=crisis,
            validation=validate(dialogues),
        )


_About = TypeVar("_About", Dimension, str)


def _said(
    given: Iterable[tuple[Place, _About, GivenLabel]],
) -> Iterator[tuple[Place, _About, dict[str, tuple[int, ...]]]]:
    """Yield each dialogue and dimension with what each rater said of it, pass by pass."""
    people: dict[tuple[int, int, _About], dict[str, list[tuple[int, int]]]] = {}
    places: dict[tuple[int, int], Place] = {}
    for place, about, rating in given:
        places.setdefault((place.run, place.row.id), place)
        said = people.setdefault((place.run, place.row.id, about), {})
        said.setdefault(rating.rater, []).append((rating.turn, rating.label))
    for (run, row_id, about), by_rater in people.items():
        yield (
            places[run, row_id],
            about,
            {rater: tuple(label for _, label in sorted(labels)) for rater, labels in sorted(by_rater.items())},
        )


def judged_dialogues(known: list[tuple[Rating, Place]], runs: JudgedRuns) -> JudgedCells:
    """Return each rated dimension of each dialogue with what people and the scorer said of it."""
    cells: JudgedCells = {}
    for place, dimension, people in _said((place, rating.dimension, rating) for rating, place in known):
        judgement = runs.judgement(place, dimension)
        scored = judgement.scored
        judged = JudgedDialogue(
            cluster=scored.cluster,
            supporter=scored.supporter,
            people=people,
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
    return list(_known(ratings.ratings, runs, path=path, ignore_unknown=ignore_unknown))


_Given = TypeVar("_Given", Rating, OwnRating)


def _known(
    ratings: Iterable[_Given], runs: JudgedRuns, *, path: Path, ignore_unknown: bool
) -> Iterator[tuple[_Given, Place]]:
    lines: dict[tuple[int, int, str, str, int], int] = {}
    for rating in ratings:
        place = runs.place(rating.dialogue, line=rating.line, path=path)
        if place is not None:
            about = rating.dimension.value if isinstance(rating, Rating) else rating.own
            key = (place.run, place.row.id, about, rating.rater, rating.turn)
            if lines.setdefault(key, rating.line) != rating.line:
                same = f"{path}: line {rating.line} and line {lines[key]} are one rater's labels of one dialogue"
                raise RatingsError(same, hint="number repeated judgements in a column pass")
            yield rating, place
        elif not ignore_unknown:
            raise runs.refuse(rating.dialogue, line=rating.line, path=path)
