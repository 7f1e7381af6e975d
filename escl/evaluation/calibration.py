"""Calibrations: maps from a scorer's labels to people's, as a file that a report applies and names.

Owns the file's form, how cards are divided, and which readings a calibration is about.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Final, Literal

import msgspec

from escl import __version__
from escl.core.dimension import Dimension, Language
from escl.core.message import Message
from escl.core.user_home import user_home
from escl.errors import RatingsError, UsageError
from escl.evaluation.judged_runs import JudgedBy, judged_by
from escl.evaluation.results import Adjust, Results, chosen_judging, results_of
from escl.evaluation.validation import JudgedCells
from escl.shelf.written import write_whole
from escl.stats.recalibration import Matched, Recalibrated, recalibrate
from escl.stats.summary import Scored
from escl.stats.validation import JudgedDialogue
from escl.store.run import RunStore

_MAX_BYTES: Final = 4 << 20


class CalibratedCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dimension in one language, quality cards only."""

    language: Language
    dimension: Dimension
    found: Recalibrated


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found.

    Attributes:
        ratings: Name of the file of people's ratings.
        ratings_sha256: Of that file.
        n_raters: People in it.
        runs: Names of the runs' files.
        seed: Of the division of the cards.
    """

    kind: Literal["scorer calibration"] = "scorer calibration"
    form: Literal[1] = 1
    made_utc: str
    escl: str
    judged_by: JudgedBy
    ratings: str
    ratings_sha256: str
    n_raters: int
    runs: tuple[str, ...]
    seed: int
    cells: tuple[CalibratedCell, ...]

    @property
    def helping(self) -> list[CalibratedCell]:
        """The cells whose map a report applies."""
        return [cell for cell in self.cells if cell.found.helps and cell.found.map is not None]


def calibrate(
    cells: JudgedCells, by: JudgedBy, *, ratings: Path, ratings_sha256: str, runs: tuple[str, ...], seed: int = 0
) -> Calibration:
    """Return a calibration of a scorer on what people said.

    Args:
        cells: The rated dialogues; crisis cards are passed over.
        by: The scorer.
        ratings: The file of the ratings.
        ratings_sha256: Its hash.
        runs: Names of the runs' files.
        seed: Of the division of the cards.
    """
    quality = {key[1:]: dialogues for key, dialogues in cells.items() if not key[0]}
    raters = {rater for dialogues in quality.values() for each in dialogues for rater in each.people}
    return Calibration(
        made_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        escl=__version__,
        judged_by=by,
        ratings=ratings.name,
        ratings_sha256=ratings_sha256,
        n_raters=len(raters),
        runs=runs,
        seed=seed,
        cells=tuple(
            CalibratedCell(language=key[0], dimension=key[1], found=_recalibrated(quality[key], seed))
            for key in itertools.product(Language, Dimension)
            if key in quality
        ),
    )


def fitting_cards(cards: Iterable[str], *, seed: int) -> set[str]:
    """Return half of the cards, drawn by their names, so that each card has its side whatever the others are."""
    ordered = sorted(set(cards), key=lambda card: hashlib.blake2b(f"{seed}\0{card}".encode()).digest())
    return set(ordered[: (len(ordered) + 1) // 2])


def default_path(calibration: Calibration) -> Path:
    """Return the file of a calibration in the user's folder."""
    made_of = (calibration.judged_by, calibration.ratings_sha256, calibration.runs, calibration.seed)
    key = hashlib.sha256(msgspec.json.encode(made_of, order="sorted")).hexdigest()[:8]
    return user_home() / "calibrations" / f"calibration-{calibration.judged_by.sha256[:8]}-{key}.json"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    write_whole(path, msgspec.json.format(msgspec.json.encode(calibration), indent=2) + b"\n")


def read_calibration(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        RatingsError: It cannot be read, is too large, or is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise RatingsError(f"{path} is larger than {_MAX_BYTES >> 20} MiB")
        return msgspec.json.decode(content, type=Calibration)
    except OSError as error:
        raise RatingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise RatingsError(f"{path} is no calibration: {error}", hint="`escl judge calibrate` makes one") from error


def recalibrated(scored: Iterable[Scored], calibration: Calibration, by: JudgedBy) -> list[Scored]:
    """Return the same items with the maps applied where they help; crisis cards stay as they are.

    Raises:
        UsageError: The calibration is of another scorer, or of other words.
    """
    made = calibration.judged_by
    if (made.sha256, made.adapters, made.protocol_sha256) != (by.sha256, by.adapters, by.protocol_sha256):
        raise UsageError(
            f"the calibration is of {made.scorer} under {made.protocol}, and these scores are of {by.scorer} under "
            f"{by.protocol}, with other weights or words",
            hint="calibrate the scorer that made these scores, or choose its readings with --judging",
        )
    maps = {(cell.language, cell.dimension): cell.found.map for cell in calibration.helping}
    changed = []
    for item in scored:
        found = maps.get((item.language, item.dimension))
        if found is not None and item.expected is not None and not item.crisis:
            item = msgspec.structs.replace(item, expected=found(item.expected))
        changed.append(item)
    return changed


def recalibration(store: RunStore, calibration: Calibration, *, judging_id: int | None) -> Adjust:
    """Return what applies a calibration to the readings of a judging of a run.

    Raises:
        StorageError: The run has no such judging.
        UsageError: The run was not scored; and when it is applied, the calibration is of another scorer.
    """
    chosen, _ = chosen_judging(store, judging_id)
    if chosen is None:
        raise UsageError("the run was not scored, so there is nothing to recalibrate")
    by = judged_by(store, store.judging_settings(chosen))
    return lambda scored: recalibrated(scored, calibration, by)


def calibrated_results(store: RunStore, calibration: Calibration, *, file: str, judging_id: int | None) -> Results:
    """Return the results of a run with a calibration applied, and a notice that says so.

    Raises:
        StorageError: The run has no such judging.
        UsageError: The calibration is of another scorer, or the run was not scored.
    """
    adjust = recalibration(store, calibration, judging_id=judging_id)
    results = results_of(store, judging_id=judging_id, adjust=adjust)
    return msgspec.structs.replace(results, notices=[*results.notices, said_of(calibration, file)])


def said_of(calibration: Calibration, file: str) -> Message:
    """Return the notice of a report that applies a calibration."""
    names = [
        Message(
            "calibration.cell",
            {
                "language": Message(f"language.{cell.language.value}"),
                "dimension": Message(f"dimension.{cell.dimension.value}"),
            },
        )
        for cell in calibration.helping
    ]
    others = len(calibration.cells) - len(names)
    return Message(
        "calibration.said",
        {
            "raters": calibration.n_raters,
            "file": file,
            "day": calibration.made_utc[:10],
            "where": names,
            "rest": Message("calibration.rest", {"n": others}) if others else "",
        },
    )


def _recalibrated(dialogues: Sequence[JudgedDialogue], seed: int) -> Recalibrated:
    matched = [
        Matched(cluster=each.cluster, expected=each.expected, people=fmean(said[0] for said in each.people.values()))
        for each in dialogues
        if each.expected is not None
    ]
    return recalibrate(matched, fit_on=fitting_cards((each.cluster for each in matched), seed=seed))
