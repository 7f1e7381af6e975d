"""`escl cards`: list, show, check and export role cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from escl.cli.output import print_json, results_console
from escl.core.bundled import bundled
from escl.core.card import Category, RoleCard, select_cards
from escl.core.card_file import MAX_PROBLEMS, CardProblem, inspect_cards, load_cards, upstream_json
from escl.core.counted import counted
from escl.core.dimension import Language
from escl.core.printable import printable
from escl.errors import ExitCode, StorageError, UsageError

cards_app = typer.Typer(
    name="cards",
    help="List, show, check and export role cards.\n\nExample: escl cards ls --language zh",
    no_args_is_help=True,
)

_File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="A card file (.toml, or ESC-Eval's .json) or a folder of them; the bundled cards if left out.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_PROBLEM_START = 48


class CardCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many cards there are of one language, category, source and kind."""

    language: Language
    category: Category
    source: str
    crisis: bool
    n: int


class CardList(msgspec.Struct, frozen=True, kw_only=True):
    """What `escl cards ls --json` prints."""

    cards: list[RoleCard]
    counts: list[CardCount]


class CardCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What `escl cards check --json` prints; `counts` are of the cards that can be read."""

    path: str
    ok: bool
    counts: list[CardCount]
    problems: list[CardProblem]


@cards_app.command("ls")
def list_cards(
    file: _File = None,
    *,
    language: Annotated[Language | None, typer.Option("--language", "--lang", help="Only this language.")] = None,
    category: Annotated[Category | None, typer.Option(help="Only this part of life.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this collection, such as escl or ESconv.")] = None,
    crisis: Annotated[bool, typer.Option("--crisis", help="The crisis cards instead of the quality cards.")] = False,
    limit: Annotated[int | None, typer.Option(help="The first N in file order.")] = None,
    as_json: _Json = False,
) -> None:
    """List cards and count them by language, category and source.

    Example: escl cards ls --language zh --category family
    """
    cards = select_cards(
        load_cards(_path(file)), language=language, category=category, source=source, crisis=crisis, limit=limit
    )
    if as_json:
        print_json(CardList(cards=cards, counts=count_cards(cards)))
        return
    console = results_console()
    console.print(_card_table(cards))
    console.print(_count_table(count_cards(cards)))


@cards_app.command("show")
def show_card(
    card_id: Annotated[str, typer.Argument(metavar="ID", help="The card's id, as `escl cards ls` prints it.")],
    file: _File = None,
    *,
    as_json: _Json = False,
) -> None:
    """Show one card as the seeker reads it.

    Example: escl cards show en-grief-1
    """
    path = _path(file)
    found = [card for card in load_cards(path) if card.id == card_id]
    if not found:
        raise UsageError(f"no card has the id {card_id} in {path}", hint="`escl cards ls` lists the ids")
    if as_json:
        print_json(found[0])
    else:
        results_console().print(_details(found[0]), soft_wrap=True)


@cards_app.command("check")
def check_cards(file: _File = None, *, as_json: _Json = False) -> None:
    """Check a card file and say everything that is wrong with it. Exit code 3 if anything is.

    Example: escl cards check my_cards.toml
    """
    path = _path(file)
    cards, problems = inspect_cards(path)
    counts = count_cards(cards)
    if as_json:
        print_json(CardCheck(path=str(path), ok=not problems, counts=counts, problems=problems))
    else:
        _print_check(path, counts, problems)
    if problems:
        raise typer.Exit(ExitCode.BAD_INPUT)


@cards_app.command("export")
def export_cards(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The JSON file to write; it must not be there yet.")],
    file: _File = None,
    *,
    language: Annotated[Language | None, typer.Option("--language", "--lang", help="Only this language.")] = None,
    category: Annotated[Category | None, typer.Option(help="Only this part of life.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this collection.")] = None,
    limit: Annotated[int | None, typer.Option(help="The first N in file order.")] = None,
    as_json: _Json = False,
) -> None:
    """Write quality cards in ESC-Eval's format, for its own evaluate.py.

    Example: escl cards export cards_zh.json --language zh
    """
    cards = select_cards(load_cards(_path(file)), language=language, category=category, source=source, limit=limit)
    if not cards:
        raise UsageError("no card matches, and ESC-Eval's format has no empty file", hint="`escl cards ls` lists them")
    try:
        with out.open("xb") as stream:
            stream.write(upstream_json(cards))
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}", hint="name a new file") from error
    if as_json:
        print_json({"file": str(out), "n": len(cards)})
    else:
        results_console().print(printable(f"{out}: {counted(len(cards), 'card')}"), markup=False, soft_wrap=True)


def count_cards(cards: Iterable[RoleCard]) -> list[CardCount]:
    """Return how many cards there are by language, category, source and whether they are crisis cards."""
    counted = Counter((card.language, card.category, card.source, card.crisis is not None) for card in cards)
    return [
        CardCount(language=language, category=category, source=source, crisis=crisis, n=n)
        for (language, category, source, crisis), n in sorted(counted.items())
    ]


def _path(file: Path | None) -> Path:
    return bundled("role_cards") if file is None else file


def _cell(text: str) -> Text:
    """Return a table cell that shows `text` on one line and takes nothing in it for markup."""
    return Text(" ".join(printable(text).split()), no_wrap=True, overflow="ellipsis")


def _card_table(cards: Iterable[RoleCard]) -> Table:
    table = Table(title="Role cards", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Id", "Lang", "Category", "Second level", "Source", "Problem"):
        # Only the last column gives way in a narrow terminal.
        table.add_column(heading, no_wrap=heading != "Problem")
    for card in cards:
        kind = card.subcategory or "-"
        start = card.problem if len(card.problem) <= _PROBLEM_START else card.problem[:_PROBLEM_START].rstrip() + "…"
        words = (card.id, card.language.value, card.category.value, kind, card.source, start)
        table.add_row(*map(_cell, words))
    return table


def _count_table(counts: Iterable[CardCount]) -> Table:
    table = Table(title="Counts", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Lang", "Category", "Source", "Kind"):
        table.add_column(heading)
    table.add_column("Cards", justify="right")
    total = 0
    for count in counts:
        total += count.n
        kind = "crisis" if count.crisis else "quality"
        words = (count.language.value, count.category.shown, count.source, kind, str(count.n))
        table.add_row(*map(_cell, words))
    table.add_section()
    table.add_row("", "", "", "all", str(total))
    return table


def _details(card: RoleCard) -> Text:
    kind = f"crisis: {card.crisis.value}" if card.crisis else "quality"
    head = [card.id, card.language.value, card.category.shown, card.subcategory or "-", card.source, kind]
    head += [f"severity: {card.severity}"] if card.severity else []
    return Text(printable(" | ".join(head) + "\n\n" + card.text))


def _print_check(path: Path, counts: list[CardCount], problems: list[CardProblem]) -> None:
    console = results_console()
    for problem in problems:
        console.print(printable(str(problem)), markup=False, soft_wrap=True)
    if len(problems) >= MAX_PROBLEMS:
        console.print(f"stopped after {MAX_PROBLEMS} problems; there may be more", markup=False)
    if counts:
        console.print(_count_table(counts))
    verdict = f"{len(problems)} problems" if problems else "no problems"
    summary = f"{path}: {sum(count.n for count in counts)} cards can be read, {verdict}"
    console.print(printable(summary), markup=False, soft_wrap=True)
