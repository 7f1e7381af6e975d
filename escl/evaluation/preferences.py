"""People's preferences beside a judge's: another file's, or those that follow from a scorer's readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, Dimension, Language
from escl.core.ratings_file import Choice, Preference, read_ratings
from escl.errors import RatingsError
from escl.evaluation.dialogue_names import Place
from escl.evaluation.judged_runs import JudgedBy, JudgedRuns, Judgement
from escl.stats.preference import JudgedPair, PreferenceAgreement, preference_agreement

_Key = tuple[tuple[int, int], tuple[int, int]]
_MAX_ARENA_BYTES: Final = 64 << 20
_SWAPPED: dict[Choice, Choice] = {"a": "b", "b": "a", "tie": "tie"}


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """As much of an arena's verdict on a pair as a vote needs: 1 for the one, 0 for the other, 0.5 for a tie."""

    score: float


class _ArenaPair(msgspec.Struct, frozen=True, kw_only=True):
    dimension: Dimension
    card: str
    repeat: int
    one: str
    other: str
    verdict: _Verdict | None


class _ArenaPairs(msgspec.Struct, frozen=True, kw_only=True):
    pairs: list[_ArenaPair]


class _Arena(msgspec.Struct, frozen=True, kw_only=True):
    results: _ArenaPairs


class PreferenceCell(msgspec.Struct, frozen=True, kw_only=True):
    """The pairs of one language; crisis cards are apart."""

    language: Language
    crisis: bool
    agreement: PreferenceAgreement


class PreferenceValidation(msgspec.Struct, frozen=True, kw_only=True):
    """How far a judge's preferences are people's.

    Attributes:
        judged_by: The scorer of the runs.
        judge: The file of the judge's votes; None when they follow from the scorer's expected label in `dimension`.
        tie_within: Points of 100 that two expected labels may differ and still be a tie.
        n_unknown: Preferences about dialogues that no run holds.
    """

    judged_by: JudgedBy
    runs: tuple[str, ...]
    preferences: str
    judge: str | None
    dimension: Dimension
    tie_within: float
    n_blank: int
    n_unknown: int
    cells: tuple[PreferenceCell, ...]


class ComparedPairs:
    """The preferences in a file, each pair once whatever its sides are called.

    Attributes:
        votes: By pair, the votes by rater and pass; "a" is the pair's first side.
        places: Where the sides are.
        n_unknown: Preferences left out: no run has their dialogues.
    """

    def __init__(
        self, preferences: Sequence[Preference], runs: JudgedRuns, *, path: Path, ignore_unknown: bool
    ) -> None:
        """Find the dialogues that the preferences are about.

        Raises:
            RatingsError: No run has a dialogue, or the two are not on the card.
        """
        self._runs, self._path, self._ignore = runs, path, ignore_unknown
        self.votes: dict[_Key, dict[tuple[str, int], Choice]] = {}
        self.places: dict[tuple[int, int], Place] = {}
        self.n_unknown = 0
        for preference in preferences:
            sides = [self._place(preference, name) for name in (preference.a, preference.b)]
            a, b = sides
            if a is None or b is None:
                self.n_unknown += 1
                continue
            self._add(preference, a, b)

    def _add(self, preference: Preference, a: Place, b: Place) -> None:
        one, other = (a.run, a.row.id), (b.run, b.row.id)
        if one == other:
            raise self._error(preference, "a and b are the same dialogue")
        self.places |= {one: a, other: b}
        key = (one, other) if one < other else (other, one)
        vote = preference.preference if one < other else _SWAPPED[preference.preference]
        votes = self.votes.setdefault(key, {})
        if (preference.rater, preference.turn) in votes:
            raise self._error(preference, "this rater has judged this pair above; number repeats in a column pass")
        votes[preference.rater, preference.turn] = vote

    def _place(self, preference: Preference, name: str) -> Place | None:
        """Return the dialogue: by its own name, or by its supporter's on the card."""
        for each in (name, f"{preference.card}/{name}"):
            place = self._runs.place(each, line=preference.line, path=self._path)
            if place is not None:
                if place.row.card_id != preference.card:
                    raise self._error(preference, f"the card of {name!r} is {place.row.card_id}")
                return place
        if self._ignore:
            return None
        raise self._runs.refuse(f"{preference.card}/{name}", line=preference.line, path=self._path)

    def _error(self, preference: Preference, said: str) -> RatingsError:
        return RatingsError(f"{self._path}: line {preference.line}: {said}")


def validate_preference_file(
    path: Path, runs: JudgedRuns, *, judge: Path | None, dimension: Dimension, tie_within: float, ignore_unknown: bool
) -> PreferenceValidation:
    """Return how far a judge agrees with the preferences in a file; the arguments as in `validate_preferences`.

    Raises:
        RatingsError: A file is malformed, or is about dialogues that no run holds.
    """
    file = read_ratings(path)
    people = ComparedPairs(file.preferences, runs, path=path, ignore_unknown=ignore_unknown)
    votes = None
    if judge is not None:
        votes = ComparedPairs(judge_votes(judge, dimension), runs, path=judge, ignore_unknown=True)
    return PreferenceValidation(
        judged_by=runs.by,
        runs=runs.files,
        preferences=path.name,
        judge=None if judge is None else judge.name,
        dimension=dimension,
        tie_within=tie_within,
        n_blank=file.n_blank,
        n_unknown=people.n_unknown,
        cells=validate_preferences(people, runs, judge=votes, dimension=dimension, tie_within=tie_within),
    )


def judge_votes(path: Path, dimension: Dimension) -> Sequence[Preference]:
    """Return a judge's votes: of a CSV file as people's, or of what `escl arena --json` printed.

    Args:
        path: The file; one that ends in .json is an arena's.
        dimension: In which respect an arena's count.

    Raises:
        RatingsError: The file is malformed, or holds no vote.
    """
    votes = _arena_votes(path, dimension) if path.suffix == ".json" else read_ratings(path).preferences
    if not votes:
        raise RatingsError(f"{path} holds no vote of a judge", hint=f"in {dimension.shown}? --dimension chooses")
    return votes


def _arena_votes(path: Path, dimension: Dimension) -> list[Preference]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_ARENA_BYTES + 1)
        if len(content) > _MAX_ARENA_BYTES:
            raise RatingsError(f"{path} is larger than {_MAX_ARENA_BYTES >> 20} MiB")
        pairs = msgspec.json.decode(content, type=_Arena).results.pairs
    except OSError as error:
        raise RatingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise RatingsError(f"{path} is no result of an arena: {error}", hint="`escl arena ... --json`") from error
    return [
        Preference(
            line=number,
            card=pair.card,
            a=f"{pair.card}/{pair.one}/{pair.repeat + 1}",
            b=f"{pair.card}/{pair.other}/{pair.repeat + 1}",
            rater="arena",
            preference="tie" if pair.verdict.score == 0.5 else "a" if pair.verdict.score > 0.5 else "b",
        )
        for number, pair in enumerate(pairs, start=1)
        if pair.dimension is dimension and pair.verdict is not None
    ]


def validate_preferences(
    people: ComparedPairs, runs: JudgedRuns, *, judge: ComparedPairs | None, dimension: Dimension, tie_within: float
) -> tuple[PreferenceCell, ...]:
    """Return how far a judge agrees with people about pairs.

    Args:
        people: Their first votes count.
        runs: The dialogues.
        judge: Its votes, several where it judged again; None takes the scorer's expected labels.
        dimension: In which, without `judge`.
        tie_within: Points of 100, without `judge`.
    """
    cells: dict[tuple[bool, Language], list[JudgedPair]] = {}
    for (first, second), votes in people.votes.items():
        one, other = (runs.judgement(people.places[side], dimension) for side in (first, second))
        scored = one.scored
        pair = JudgedPair(
            cluster=scored.cluster,
            people=tuple(_firsts(votes).values()),
            judge=tuple(
                _votes(one, other, tie_within) if judge is None else judge.votes.get((first, second), {}).values()
            ),
            missing="not judged" if judge is not None else scored.missing or other.scored.missing,
        )
        cells.setdefault((scored.crisis, scored.language), []).append(pair)
    return tuple(
        PreferenceCell(crisis=crisis, language=language, agreement=preference_agreement(cells[crisis, language]))
        for crisis, language in sorted(cells)
    )


def _firsts(votes: Mapping[tuple[str, int], Choice]) -> dict[str, Choice]:
    """Return the first vote of each rater."""
    return {rater: vote for (rater, _), vote in sorted(votes.items(), reverse=True)}


def _votes(one: Judgement, other: Judgement, tie_within: float) -> Iterator[Choice]:
    """Yield the vote of each judging that read both."""
    again = [(one.again[number], other.again[number]) for number in one.again.keys() & other.again.keys()]
    for first, second in [(one.scored.expected, other.scored.expected), *again]:
        if first is not None and second is not None:
            difference = LABEL_TO_PERCENT * (first - second)
            yield "tie" if abs(difference) <= tie_within else "a" if difference > 0 else "b"
