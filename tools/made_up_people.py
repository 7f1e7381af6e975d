"""Ratings of a run by two people who do not exist, to try `escl judge validate` and `calibrate` on the demo.

Both are stricter than the run's scorer and differ from it and from each other by chance; the seed is fixed.

    python tools/made_up_people.py demo.db > ratings.csv
    python tools/made_up_people.py demo.db --pairs > pairs.csv
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from escl.core.dimension import Dimension
from escl.core.ratings_file import PREFERENCE_COLUMNS, RATING_COLUMNS, csv_text
from escl.evaluation.judged_runs import JudgedRuns, judged_runs
from escl.evaluation.rating import pairs_to_judge
from escl.store.database import Database
from escl.store.run import RunStore

PEOPLE = ("ann", "bo")
STRICTNESS, LEVEL, SPREAD = 0.7, 0.4, 0.7


def ratings(runs: JudgedRuns, drawn: random.Random) -> Iterator[dict[str, object]]:
    """Yield each person's label of each dimension of each dialogue."""
    for code, place in runs.dialogues():
        for dimension in Dimension:
            label = runs.judgement(place, dimension).scored.label or 0
            for rater in PEOPLE:
                said = round(STRICTNESS * label + drawn.gauss(LEVEL, SPREAD))
                row = {"dialogue": code, "dimension": dimension.value, "rater": rater}
                yield {**row, "label": min(4, max(0, said)), "pass": 1}


def preferences(run: Path, runs: JudgedRuns, drawn: random.Random) -> Iterator[dict[str, object]]:
    """Yield each person's preference for each pair: mostly the dialogue whose Overall is higher."""
    overall = {
        code: runs.judgement(place, Dimension.OVERALL).scored.expected or 0.0 for code, place in runs.dialogues()
    }
    with Database.reader(run) as database:
        pairs = pairs_to_judge([RunStore.read(database)], rater="made up")
    for pair in pairs:
        a, b = pair.first.code, pair.second.code
        for rater in PEOPLE:
            ahead = overall[a] - overall[b] + drawn.gauss(0, 2)
            choice = "tie" if abs(ahead) < 0.5 else "a" if ahead > 0 else "b"
            yield {"card": pair.first.card, "a": a, "b": b, "rater": rater, "preference": choice, "pass": 1}


def main() -> None:
    """Print the CSV file."""
    run = Path(sys.argv[1])
    runs, drawn = judged_runs([run]), random.Random(7)
    if "--pairs" in sys.argv:
        sys.stdout.write(csv_text(PREFERENCE_COLUMNS, preferences(run, runs, drawn)))
    else:
        sys.stdout.write(csv_text(RATING_COLUMNS, ratings(runs, drawn)))


if __name__ == "__main__":
    main()
