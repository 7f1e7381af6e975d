"""A certificate as terminal tables, and the line by which a report cites one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Language
from escl.core.printable import printable
from escl.evaluation.certificate import Certificate, CertifiedScorer, Citation, FidelityCell
from escl.stats.equivalence import Verdict

_MARKS: dict[Verdict, tuple[str, str]] = {
    "equivalent": ("=", "green"),
    "different": ("≠", "bold red"),
    "cannot tell": ("?", "yellow"),
}


def print_certificate(console: Console, certificate: Certificate) -> None:
    """Print what was compared, a table for each language, the verdict, and what the numbers do not say."""
    console.print(Text(f"\n{_named(certificate.scorer)}\n  against {_named(certificate.against)}"), soft_wrap=True)
    for crisis in (False, True):
        for language in Language:
            cells = [cell for cell in certificate.cells if (cell.crisis, cell.language) == (crisis, language)]
            if cells:
                console.print(_title(language, crisis=crisis, margin=certificate.margin))
                console.print(_table(cells))
    for line in _said(certificate):
        console.print(line, soft_wrap=True)


def print_citations(console: Console, citations: Sequence[Citation]) -> None:
    """Print what is known of the scorer of a run from comparisons with others."""
    for citation in citations:
        console.print(cited_line(citation), soft_wrap=True)


def cited_line(citation: Citation) -> Text:
    """Return a certificate in a sentence."""
    made = citation.certificate
    shared = len({cell.agreement.n_asked for cell in made.cells}) == 1
    asked = f" on {made.cells[0].agreement.n_asked} dialogues of each language" if shared and made.cells else ""
    but = f"; but {', '.join(citation.differences)}" if citation.differences else ""
    other = f"{made.against.name} (sha256 {made.against.sha256[:8]}, KV {_kv(made.against)})"
    said = f"This scorer was checked against {other}{asked} on {made.made_utc[:10]}: {made.words}{but}."
    return Text(printable(f"{said} See certificates/{citation.file}"), style=_MARKS[made.verdict][1])


def _named(scorer: CertifiedScorer) -> str:
    adapters = f", {len(scorer.adapters)} adapters" if scorer.adapters else ""
    size = f"{scorer.size_bytes / 1e6:,.1f} MB"
    return printable(f"{scorer.name} (sha256 {scorer.sha256[:8]}, {size}{adapters}, KV {_kv(scorer)})")


def _kv(scorer: CertifiedScorer) -> str:
    return " and ".join(scorer.kv_types) or "unknown"


def _title(language: Language, *, crisis: bool, margin: float) -> Text:
    cards = " · crisis cards" if crisis else ""
    return Text.assemble((f"\n{language.shown}", "bold"), f"{cards} · shift in points of 100, margin ±{margin:g}")


def _table(cells: Iterable[FidelityCell]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("\nDimension", no_wrap=True, style="bold")
    for name in ("Same\n%", "±1\n%", "\nKappa", "Flips\n↑/↓", "\nShift"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="center", no_wrap=True)
    for name in ("JS\nmbit", "\n", "\nUsed"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in cells:
        table.add_row(cell.dimension.shown, *_row(cell))
    return table


def _row(cell: FidelityCell) -> Iterable[Text]:
    found = cell.agreement
    shift, flips = found.shift, found.flips
    interval = shift.reason or "-"
    if shift.low is not None and shift.high is not None:
        interval = f"{_number(shift.low, '+.2f')}..{_number(shift.high, '+.2f')}"
    kappa = _number(found.kappa, ".2f") + ("*" if found.saturated else "")
    mark, style = _MARKS[found.equivalence.verdict]
    yield Text(_number(None if found.exact is None else 100 * found.exact, ".0f"))
    yield Text(_number(None if found.within_one is None else 100 * found.within_one, ".0f"))
    yield Text(kappa)
    yield Text("-" if flips is None else f"{flips.raised}/{flips.lowered}")
    yield Text(_number(shift.mean, "+.2f"))
    yield Text(interval)
    yield Text(_number(None if found.js_bits is None else 1000 * found.js_bits, ".1f"))
    yield Text(mark, style=style)
    yield Text(f"{found.n_used}/{found.n_asked}", style="" if found.n_used == found.n_asked else "bold red")


def _number(value: float | None, form: str) -> str:
    # Without -0.0, which would seem to have a direction.
    return "-" if value is None else format(round(value, 2) + 0.0, form)


def _said(certificate: Certificate) -> Iterable[Text]:
    style = _MARKS[certificate.verdict][1]
    yield Text(f"\n{printable(certificate.words[:1].upper() + certificate.words[1:])}.", style=style)
    failed: dict[str, int] = {}
    for cell in certificate.cells:
        for reason, count in cell.agreement.failed.items():
            failed[reason] = failed.get(reason, 0) + count
    for reason, count in failed.items():
        yield Text(printable(f"{count} left out, {reason}"), style="red")
    if any(cell.agreement.saturated for cell in certificate.cells):
        yield Text("* nearly all labels are the same one: sameness and kappa say little there, the shift still does")
    if any(cell.agreement.kappa is None and cell.agreement.n_used for cell in certificate.cells):
        yield Text("Kappa -: both gave one and the same label throughout, so chance alone agrees as well")
    yield Text(
        "= equivalent, ≠ different, ? cannot tell, by the shift of the mean score; intervals are clustered by card.\n"
        "That two scorers agree does not make either of them right.",
        style="italic",
    )
