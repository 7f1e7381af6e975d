"""A validation of a scorer against people as terminal tables, and what it comes to in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.dimension import Language
from escl.core.printable import printable
from escl.evaluation.preferences import PreferenceValidation
from escl.evaluation.validation import AverageAccuracy, JudgeValidation, ValidatedCell, ValidatedOwn
from escl.stats.estimate import Estimate
from escl.stats.labels import SATURATED
from escl.stats.preference import PreferenceAgreement
from escl.stats.validation import Constant, Order, Standing, standing

_Validated = ValidatedCell | ValidatedOwn

_MARKS: dict[Standing, tuple[str, str]] = {
    "better": ("▲", "green"),
    "worse": ("▽", "bold red"),
    "cannot tell": ("·", ""),
}
_LABELS: dict[Standing, str] = {
    "better": "better than one and the same answer",
    "worse": "worse than one and the same answer",
    "cannot tell": "not shown to be better than one and the same answer",
}
_ORDER: dict[Order, str] = {
    "follows": "as people order them",
    "opposes": "against people's order",
    "cannot tell": "not shown to be people's",
}


def print_validation(console: Console, made: JudgeValidation) -> None:
    """Print three tables for each language, crisis cards apart, and what must be said about them."""
    for crisis in (False, True):
        for language in Language:
            cells = [cell for cell in made.cells if (cell.crisis, cell.language) == (crisis, language)]
            if cells:
                average = next((a for a in made.averages if (a.crisis, a.language) == (crisis, language)), None)
                title = _title(cells, language, crisis=crisis, scorer=made.judged_by.scorer)
                _print_cells(console, title, cells, average=average)
    for (crisis, language, scorer), own in _own(made).items():
        title = _title(own, language, crisis=crisis, scorer=scorer, of="your own dimensions · ")
        _print_cells(console, title, own, average=None)
    for line in _said(made):
        console.print(line, soft_wrap=True)


def _own(made: JudgeValidation) -> dict[tuple[bool, Language, str], list[ValidatedOwn]]:
    found: dict[tuple[bool, Language, str], list[ValidatedOwn]] = {}
    for cell in sorted(made.own, key=lambda cell: (cell.crisis, list(Language).index(cell.language))):
        found.setdefault((cell.crisis, cell.language, cell.scorer), []).append(cell)
    return found


def _print_cells(
    console: Console, title: Text, cells: Sequence[_Validated], *, average: AverageAccuracy | None
) -> None:
    console.print(title)
    for table in (_accuracy(cells, average), _chance(cells), _order(cells)):
        console.print(table)
        console.print()


def print_preferences(console: Console, made: PreferenceValidation) -> None:
    """Print a table for each language, and what must be said about it."""
    judge = printable(made.judge or f"{made.judged_by.scorer}, by {made.dimension.shown}")
    for cell in made.cells:
        found, crisis = cell.agreement, " · crisis cards" if cell.crisis else ""
        used = f"{found.n_used}/{found.n_asked} pairs on {found.n_cards} cards"
        console.print(Text.assemble((f"\n{cell.language.shown}", "bold"), f"{crisis} · judge {judge} · {used}\n"))
        console.print(_preferences(found))
        for reason, count in found.failed.items():
            console.print(Text(printable(f"{count} left out: {reason}"), style="red"))
    if made.n_unknown:
        console.print(Text(f"{made.n_unknown} preferences left out: in none of these runs", style="red"))
    console.print(
        Text(
            "\nAgreement, bias, variance and correlation as ToolEval defines them. One answer: the best of always "
            "preferring the dialogue planned first, always the other, always neither. Intervals: bootstrap over cards "
            "(BCa), from 10 cards on.",
            style="italic",
        ),
        soft_wrap=True,
    )


def _preferences(found: PreferenceAgreement) -> Table:
    table = table_of(
        "Preferences", [("\nJudge", False), ("95 %\ninterval", True), ("\nPeople", False), ("One\nanswer", False)]
    )
    table.columns[0].header = ""
    people = (number(found.human_agreement.value, ".2f"), number(found.constant.value, ".2f"))
    table.add_row("Agreement", number(found.agreement.value, ".2f"), interval(found.agreement, ".2f"), *people)
    table.add_row("Bias", number(found.bias.value, ".2f"), interval(found.bias, ".2f"), "", "")
    table.add_row("Variance", number(found.variance, ".3f"), "", number(found.human_variance, ".3f"), "")
    for name, each in (("Correlation", found.correlation), ("  of shares", found.share_correlation)):
        table.add_row(name, number(each.value, ".2f"), interval(each, ".2f"), "", "")
    return table


def table_of(title: str | None, columns: Iterable[tuple[str, bool]]) -> Table:
    """Return a table in the reports' style: headings over columns, the first of them the rows' names."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        title=title,
        title_justify="left",
        title_style="italic",
    )
    table.add_column("\nDimension", no_wrap=True, style="bold", min_width=11)
    for heading, is_centred in columns:
        table.add_column(heading, justify="center" if is_centred else "right", no_wrap=True)
    return table


def number(value: float | None, form: str) -> str:
    """Return a number, "-" for none; never -0, which would seem to have a direction."""
    return "-" if value is None else format(round(value, 6) + 0.0, form)


def interval(found: Estimate, form: str, factor: float = 1) -> str:
    """Return an interval as "low..high", "-" for none."""
    if found.low is None or found.high is None:
        return "-"
    return f"{number(factor * found.low, form)}..{number(factor * found.high, form)}"


def _title(cells: Sequence[_Validated], language: Language, *, crisis: bool, scorer: str, of: str = "") -> Text:
    raters = len({rater for cell in cells for rater in cell.validation.raters})
    cards = " · crisis cards" if crisis else ""
    people = "1 rater" if raters == 1 else f"{raters} raters"
    return Text.assemble((f"\n{language.shown}", "bold"), f"{cards} · {of}{people} · scorer {printable(scorer)}\n")


def _accuracy(cells: Sequence[_Validated], average: AverageAccuracy | None) -> Table:
    rest = (("95 %\ninterval", True), ("One\nans.", False), ("Peo-\nple", False), ("\n", True))
    columns = [("Same\n%", False), *rest, ("±1\n%", False), *rest]
    table = table_of("Same label, and labels at most one apart", columns)
    for cell in cells:
        found = cell.validation
        table.add_row(
            Text(printable(cell.shown)),
            *_share(found.exact, found.constant_exact, found.ceiling.exact),
            *_share(found.within_one, found.constant_within_one, found.ceiling.within_one),
        )
    if average is not None and len(cells) > 1:
        table.add_section()
        table.add_row(
            "Average",
            *_average(average.exact, average.constant_exact, average.people_exact),
            *_average(average.within_one, average.constant_within_one, average.people_within_one),
        )
    return table


def _average(scorer: Estimate, constant: float | None, people: float | None) -> Iterable[str]:
    yield _percent(scorer)
    yield interval(scorer, ".0f", 100)
    for share in (constant, people):
        yield number(None if share is None else 100 * share, ".0f")
    yield ""


def _share(scorer: Estimate, constant: Constant, people: Estimate) -> Iterable[Text]:
    mark, style = _MARKS[standing(constant.gain)]
    yield Text(_percent(scorer))
    yield Text(interval(scorer, ".0f", 100))
    yield Text(_percent(constant.share))
    yield Text(_percent(people))
    yield Text(mark, style=style)


def _chance(cells: Sequence[_Validated]) -> Table:
    half = (("95 %\ninterval", True), ("\nPeople", False))
    table = table_of("Beyond chance", [("\nKappa", False), *half, ("\nAlpha", False), *half, ("Modal\n%", False)])
    for cell in cells:
        found = cell.validation
        modal = "-" if found.modal_share is None else f"{100 * found.modal_share:.0f}"
        saturated = found.modal_share is not None and found.modal_share >= SATURATED
        row = []
        for scorer, people in ((found.kappa, found.ceiling.kappa), (found.alpha, found.ceiling.alpha)):
            row += [number(scorer.value, ".2f"), interval(scorer, ".2f"), number(people.value, ".2f")]
        table.add_row(Text(printable(cell.shown)), *row, Text(modal, style="bold yellow" if saturated else ""))
    return table


def _order(cells: Sequence[_Validated]) -> Table:
    names = (
        "\nRho",
        "95 %\ninterval",
        "With-\nin",
        "Pear-\nson",
        "Ken-\ndall",
        "\nBias",
        "95 %\ninterval",
        "\nUsed",
    )
    table = table_of(
        "Order of the dialogues, and level in points of 100", [(name, name.startswith("95")) for name in names]
    )
    for cell in cells:
        found = cell.validation
        bias = Estimate(value=found.bias.mean, low=found.bias.low, high=found.bias.high)
        table.add_row(
            Text(printable(cell.shown)),
            number(found.spearman.value, ".2f"),
            interval(found.spearman, ".2f"),
            number(found.spearman_within.value, ".2f"),
            number(found.pearson.value, ".2f"),
            number(found.kendall.value, ".2f"),
            number(bias.value, "+.1f"),
            interval(bias, "+.1f"),
            Text(f"{found.n_used}/{found.n_asked}", style="" if found.n_used == found.n_asked else "bold red"),
        )
    return table


def _percent(found: Estimate) -> str:
    return number(None if found.value is None else 100 * found.value, ".0f")


def _said(made: JudgeValidation) -> Iterable[Text]:
    groups: dict[tuple[bool, Language, str], list[_Validated]] = {}
    all_cells: list[_Validated] = [*made.cells, *made.own]
    for cell in all_cells:
        own = ", your own dimensions" if isinstance(cell, ValidatedOwn) else ""
        groups.setdefault((cell.crisis, cell.language, own), []).append(cell)
    for (crisis, language, own), cells in groups.items():
        yield Text(f"{language.shown}{', crisis cards' if crisis else ''}{own}", style="bold")
        yield from _grouped("labels", [(_LABELS[each.validation.labels], each) for each in cells])
        yield from _grouped("order", [(_ORDER[each.validation.order], each) for each in cells])
    yield Text("")
    yield from (Text(line, style="red") for line in _left_out(made))
    yield from (Text(line) for line in _repeated(made))
    yield Text(
        "▲ better than the best single answer, ▽ worse, · cannot tell. Intervals: bootstrap over cards (BCa), from "
        "10 cards on; of the bias as in reports. Correlations (rho: Spearman's) are over the dialogues of all "
        "supporters together, so a difference between supporters is part of them; within: rho among each one's own "
        "dialogues. One ans.: the best that one label throughout reaches, chosen with these ratings in hand. People: "
        "pairs of raters of the same dialogue.",
        style="italic",
    )


def _grouped(what: str, outcomes: Sequence[tuple[str, _Validated]]) -> Iterable[Text]:
    """Yield a line for each outcome with the dimensions that came to it."""
    for outcome in dict.fromkeys(outcome for outcome, _ in outcomes):
        names = [printable(cell.shown) for found, cell in outcomes if found == outcome]
        yield Text(f"  {what} {outcome}: {', '.join(names) if len(names) < len(outcomes) else 'all'}")


def _left_out(made: JudgeValidation) -> Iterable[str]:
    failed: dict[str, int] = {}
    cells: list[_Validated] = [*made.cells, *made.own]
    for cell in cells:
        for reason, count in cell.validation.failed.items():
            failed[reason] = failed.get(reason, 0) + count
    yield from (printable(f"{count} left out: {reason}") for reason, count in failed.items())
    if made.n_unknown:
        yield f"{made.n_unknown} ratings left out: in none of these runs"
    if made.n_blank:
        yield f"{made.n_blank} rows without a label"
    if any(cell.validation.ceiling.n_pairs == 0 for cell in cells):
        yield "People -: no two people rated the same dialogue there, so how far people agree is not known"


def _repeated(made: JudgeValidation) -> Iterable[str]:
    cells: list[_Validated] = [*made.cells, *made.own]
    for who, found in (
        ("people", [cell.validation.by_people for cell in cells]),
        ("the scorer", [cell.validation.by_scorer for cell in cells]),
    ):
        n = sum(each.n for each in found)
        if n:
            variance = sum(each.n * (each.variance or 0.0) for each in found) / n
            yield f"variance of {who} over {n} repeated judgements: {variance:.3f} squared labels"
