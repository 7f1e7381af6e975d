"""A run's results as a table for other programs: CSV for spreadsheets and scripts, Markdown for documents.

Owns what is done so that text from a model acts in neither. Writes no file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.printable import printable
from escl.evaluation.results import Results, results_of
from escl.report.terminal import OF_CRISIS
from escl.stats.cluster import ClusteredMean
from escl.stats.summary import Cell, Tally
from escl.store.run import RunStore

AVERAGE: Final = "average"

COLUMNS: Final = (
    "run",
    "supporter",
    "language",
    "cards",
    "dimension",
    "score",
    "low",
    "high",
    "interval",
    "n_used",
    "n_asked",
    "n_cards",
    "label_score",
    *(f"label_{label}" for label in range(5)),
    "modal_share",
    "entropy_bits",
    "saturated",
    "scorer",
)
"""Of the CSV. score, low, high and label_score are on the 0-100 scale; interval says how it was made or why not."""

_ACTS: Final = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet takes text that begins with one of these for a formula, or for more than one cell."""

_MEANS_SOMETHING: Final = re.compile(r"([\\`*_\[\]<>|~&#:@$!()]|(?<=www)\.|^[-+=])", re.IGNORECASE)
"""What Markdown, or a link that it would find by itself, is made of."""

_READ_AS: Final = r"\* saturated: one label takes 95 % or more. In brackets: the 95 % interval."


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter in one dimension, or in the average of the seven, on one set of cards.

    Attributes:
        run: The run's file.
        score: Mean on the 0-100 scale.
        cell: Everything about the dimension; None for the average.
        own: The dimension, where it is one of the user's own.
        n_asked: Dialogues planned.
    """

    run: str
    supporter: str
    language: Language
    crisis: bool
    score: ClusteredMean
    n_asked: int
    cell: Tally | None = None
    own: OwnDimension | None = None
    scorer: str | None = None

    @property
    def dimension(self) -> str:
        """The dimension's key, or `AVERAGE`."""
        if self.own is not None:
            return self.own.key
        return self.cell.dimension.value if isinstance(self.cell, Cell) else AVERAGE


def result_rows(store: RunStore, path: Path, *, judging_id: int | None = None) -> list[ResultRow]:
    """Return a run's results as rows: each supporter's average first, then its dimensions; the user's own at the end.

    Raises:
        StorageError: The run has no judging of that id.
    """
    results = results_of(store, judging_id=judging_id)
    rows = []
    for whole in results.averages:
        key = (whole.supporter, whole.language, whole.crisis)
        of_it = [cell for cell in results.cells if (cell.supporter, cell.language, cell.crisis) == key]
        cells: list[Cell | None] = [None, *of_it]
        rows += [
            ResultRow(
                run=path.name,
                supporter=whole.supporter,
                language=whole.language,
                crisis=whole.crisis,
                score=whole.score if cell is None else cell.score,
                n_asked=max(one.n_asked for one in of_it) if cell is None else cell.n_asked,
                cell=cell,
                scorer=results.scorer,
            )
            for cell in cells
        ]
    return rows + _own_rows(results, path)


def _own_rows(results: Results, path: Path) -> list[ResultRow]:
    return [
        ResultRow(
            run=path.name,
            supporter=cell.supporter,
            language=cell.language,
            crisis=cell.crisis,
            score=cell.score,
            n_asked=cell.n_asked,
            cell=cell,
            own=own.dimension,
            scorer=own.scorer,
        )
        for own in results.own
        for cell in own.cells
    ]


def as_csv(rows: Sequence[ResultRow]) -> str:
    """Return the rows as CSV with a header (RFC 4180), UTF-8 without a byte-order mark when encoded.

    Text that a spreadsheet would take for a formula has an apostrophe before it. Missing is empty.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow("" if value is None else inert(value) for value in _values(row))
    return out.getvalue()


def as_markdown(rows: Sequence[ResultRow], *, notices: Sequence[str]) -> str:
    """Return a table for each language, crisis cards apart: a line for each supporter, then what must be said.

    Text from outside is escaped: it cannot become a link, an image or HTML.
    """
    parts = []
    groups = {(row.crisis, row.language): row for row in rows}
    for crisis, language in sorted(groups):
        chosen = [row for row in rows if (row.crisis, row.language) == (crisis, language)]
        seven = [row for row in chosen if row.own is None]
        if seven:
            parts.append(_markdown_table(seven, language, crisis=crisis))
        if len(seven) < len(chosen):
            parts.append(_own_table([row for row in chosen if row.own is not None], language, crisis=crisis))
    parts += [_escaped(notice) for notice in notices]
    return "\n\n".join(parts) + "\n"


def _values(row: ResultRow) -> Iterator[str | float | None]:
    score, cell = row.score, row.cell
    yield from (row.run, row.supporter, row.language.value, "crisis" if row.crisis else "quality", row.dimension)
    yield from (score.mean, score.low, score.high, score.method or score.reason)
    yield from (score.n, row.n_asked, score.n_clusters)
    spread = None if cell is None else cell.spread
    yield None if cell is None else cell.label_score
    yield from (None,) * 5 if cell is None else cell.label_counts
    yield from (None,) * 3 if spread is None else (spread.modal_share, spread.entropy_bits, _yes(spread.saturated))
    yield row.scorer


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def inert(value: str | float) -> str | float:
    """Return a number as it is, and text so that it stays text in a spreadsheet."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.lstrip(" ").startswith(_ACTS) else shown


def _markdown_table(rows: Sequence[ResultRow], language: Language, *, crisis: bool) -> str:
    lines = [
        f"### {language.shown}{', crisis cards' if crisis else ''}",
        "",
        "| Supporter | Average | " + " | ".join(dimension.shown for dimension in Dimension) + " | Used |",
        "|---|" + "---:|" * (len(Dimension) + 2),
    ]
    by_supporter: dict[tuple[str, str], list[ResultRow]] = {}
    for row in rows:
        by_supporter.setdefault((row.run, row.supporter), []).append(row)
    several = len({run for run, _ in by_supporter}) > 1
    for (run, supporter), own in by_supporter.items():
        shown = f"{supporter} ({run})" if several else supporter
        cells = [_markdown_cell(row) for row in own]
        lines.append(f"| {' | '.join([_escaped(shown), *cells, f'{own[0].score.n}/{own[0].n_asked}'])} |")
    return "\n".join([*lines, "", _READ_AS, *([OF_CRISIS] if crisis else [])])


def _own_table(rows: Sequence[ResultRow], language: Language, *, crisis: bool) -> str:
    """Return the user's own dimensions: a line for each dimension and supporter, because each has its own scorer."""
    lines = [
        f"### {language.shown}{', crisis cards' if crisis else ''}: your own dimensions",
        "",
        "| Dimension | Supporter | Score | Used | Scorer |",
        "|---|---|---:|---:|---|",
    ]
    several = len({row.run for row in rows}) > 1
    for row in rows:
        name = "" if row.own is None else row.own.shown(language)
        supporter = f"{row.supporter} ({row.run})" if several else row.supporter
        texts = [_escaped(name), _escaped(supporter), _markdown_cell(row), f"{row.score.n}/{row.n_asked}"]
        lines.append(f"| {' | '.join([*texts, _escaped(row.scorer or '')])} |")
    return "\n".join([*lines, "", _READ_AS])


def _markdown_cell(row: ResultRow) -> str:
    score = row.score
    if score.mean is None:
        return "-"
    saturated = row.cell is not None and row.cell.spread is not None and row.cell.spread.saturated
    interval = "" if score.low is None or score.high is None else f" ({score.low:.1f}–{score.high:.1f})"
    mark = r"\*" if saturated else ""
    return f"{score.mean:.1f}{mark}{interval}"


def _escaped(text: str) -> str:
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(printable(text).split()))
