"""An arena's ratings as CSV."""

from __future__ import annotations

import csv
import io
from typing import Final

from escl.evaluation.arena_results import Against, ArenaResults, Board
from escl.report.result_table import inert
from escl.stats.ratings import Rating

COLUMNS: Final = (
    "language",
    "dimension",
    "supporter",
    "comparisons",
    "won",
    "tied",
    "lost",
    "rating",
    "rating_low",
    "rating_high",
    "elo",
    "probability_best",
    "reference",
    "win_rate",
    "win_rate_error",
    "win_rate_low",
    "win_rate_high",
    "win_rate_equal_length",
)


def as_csv(results: ArenaResults) -> str:
    """Return the ratings, one row for each supporter of each board, text as `escl report --csv` writes it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for board in results.boards:
        against = {one.supporter: one for one in board.against}
        for rating in board.ratings:
            row = _row(results, board, rating, against.get(rating.supporter))
            writer.writerow("" if value is None else inert(value) for value in row)
    return out.getvalue()


def _row(results: ArenaResults, board: Board, rating: Rating, against: Against | None) -> list[str | float | None]:
    row: list[str | float | None] = [board.language.value, board.dimension.shown, rating.supporter]
    row += [rating.n, rating.wins, rating.ties, rating.losses, rating.rating, rating.low, rating.high, rating.elo]
    row += [rating.ranks[0] if rating.ranks else None, results.reference]
    if against is None:
        return [*row, None, None, None, None, None]
    rate = against.rate
    return [*row, rate.mean, rate.error, rate.low, rate.high, against.at_equal_length.rate]
