"""Files of role cards: our TOML (`role_cards/README.md`) and the JSON lists of ESC-Eval as they are published.

Owns both formats and says what is wrong with a file, card by card and field by field. Writes ESC-Eval's, too.
Source of the JSON format: `data/card_high_*.json` in github.com/haidequanbu/ESC-Eval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from escl.core import strict
from escl.core.card import Category, CrisisKind, RoleCard, card_text
from escl.core.dimension import Language
from escl.core.strict import Field
from escl.errors import CardError

MAX_TEXT_CHARS: Final = 2000
"""A card with more text is refused; the longest published one has 667 characters."""

MAX_PROBLEMS: Final = 20
"""`inspect_cards` stops after this many."""

_LANGUAGES: Final = {"english": "en", "chinese": "zh"}
_CATEGORIES: Final = {"家庭生活": "family", "工作学习": "study-work", "社会与其他": "society"}
"""ESC-Eval's words for our values."""


class CardProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a card file.

    Attributes:
        file: Where.
        index: The card's position in the file, from 0; None when the file as a whole is wrong.
        id: The card's id, when it has a usable one.
        field: The field that is wrong; None when the card or the file as a whole is.
        reason: What is wrong, as the rest of a sentence that begins with the field, card or file.
    """

    file: str
    index: int | None = None
    id: str | None = None
    field: str | None = None
    reason: str

    def __str__(self) -> str:
        parts = [self.file]
        if self.index is not None:
            parts.append(f"card[{self.index}]" + (f" (id {self.id})" if self.id else ""))
        if self.field is not None:
            parts.append(f"field {strict.shortened(self.field)}")
        return f"{', '.join(parts)}: {self.reason}"


def load_cards(path: Path) -> list[RoleCard]:
    """Return the cards of a file, or of every .toml and .json file of a folder in the order of their names.

    Raises:
        CardError: Anything is wrong with any card; the message names file, position, id and field.
    """
    cards, problems = inspect_cards(path)
    if problems:
        more = f" (and more: {len(problems)} problems found)" if len(problems) > 1 else ""
        raise CardError(f"{problems[0]}{more}", hint=f"escl cards check {path} lists the problems")
    return cards


def inspect_cards(path: Path) -> tuple[list[RoleCard], list[CardProblem]]:
    """Return the cards that can be read, and the first `MAX_PROBLEMS` things that are wrong."""
    reading = _Reading()
    try:
        files = _files(path)
    except ValueError as error:
        return [], [CardProblem(file=str(path), reason=str(error))]
    for file in files:
        reading.read(file)
    return reading.cards, reading.problems[:MAX_PROBLEMS]


def upstream_json(cards: Sequence[RoleCard]) -> bytes:
    """Return the content of a card file as ESC-Eval publishes them, which its evaluate.py reads.

    A Chinese card is written to the byte as it is published. Of an English one the annotators' translation
    (base_biaozhu) is left out, because nothing here keeps it; no script of ESC-Eval reads it. The second level of the
    taxonomy and a severity have no place in the format.

    Raises:
        CardError: One is a crisis card: read back, it would be a quality card.
    """
    crisis = [card.id for card in cards if card.crisis is not None]
    if crisis:
        raise CardError(f"card {crisis[0]} is a crisis card, and ESC-Eval's format cannot say so")
    tables = [_upstream_table(card) for card in cards]
    return json.dumps(tables, ensure_ascii=False, indent=4).encode()


def _upstream_table(card: RoleCard) -> dict[str, object]:
    is_number = card.id.isascii() and card.id.isdigit() and str(int(card.id)) == card.id
    return {
        "base": card.text,
        "res": {category: name for name, category in _CATEGORIES.items()}[card.category],
        "source": card.source,
        **({"base_biaozhu": card.text} if card.language is Language.CHINESE else {}),
        "language": {language: name for name, language in _LANGUAGES.items()}[card.language],
        "id": int(card.id) if is_number else card.id,
    }


class _Reading:
    """The cards and problems of one reading, over all its files."""

    def __init__(self) -> None:
        self.cards: list[RoleCard] = []
        self.problems: list[CardProblem] = []
        self._seen: dict[tuple[str, str], str] = {}

    def read(self, path: Path) -> None:
        try:
            card_format = _FORMATS.get(path.suffix.lower(), _OURS)
            tables = card_format.tables(strict.read_document(path))
        except ValueError as error:
            self.problems.append(CardProblem(file=str(path), reason=str(error)))
            return
        for index, table in enumerate(tables):
            if len(self.problems) >= MAX_PROBLEMS:
                return
            self._read_card(card_format, table, file=str(path), index=index)

    def _read_card(self, card_format: _Format, table: object, *, file: str, index: int) -> None:
        values, faults = strict.read_fields(table, card_format.fields)
        if not faults:
            card = card_format.build(values)
            faults = self._check_whole(card, card_format, where=f"card[{index}] in {file}")
            if not faults:
                self.cards.append(card)
        known_id = values.get("id")
        self.problems += [
            CardProblem(file=file, index=index, id=known_id, field=field, reason=reason) for field, reason in faults
        ]

    def _check_whole(self, card: RoleCard, card_format: _Format, *, where: str) -> list[tuple[str | None, str]]:
        faults: list[tuple[str | None, str]] = []
        if not card.has_four_lines:
            faults.append((card_format.text_field, "must be four labelled lines: age, gender, occupation, problem"))
        if len(card.text) > MAX_TEXT_CHARS:
            faults.append(
                (card_format.text_field, f"makes a card of {len(card.text)} characters; {MAX_TEXT_CHARS} are allowed")
            )
        marks = {"id": card.id, card_format.text_field: " ".join(card.text.split()).casefold()}
        for field, mark in marks.items():
            first = self._seen.setdefault((field, mark), where)
            if first != where:
                faults.append((field, f"is the same as that of {first}"))
        return faults


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """How a file of cards is laid out.

    Attributes:
        tables: Finds the list of cards in the document.
        fields: The fields of one card.
        text_field: The field that problems with the card's text are blamed on.
        build: Makes the card of its fields.
    """

    tables: Callable[[object], list[object]]
    fields: Mapping[str, Field]
    text_field: str
    build: Callable[[Mapping[str, str]], RoleCard]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _FORMATS)
    if not files:
        raise ValueError("holds no .toml or .json file")
    return files


def _our_tables(document: object) -> list[object]:
    table = document if isinstance(document, dict) else {}
    for key in table:
        if key != "card":
            raise ValueError(f"key {strict.quoted(key)} is unknown; a card file holds [[card]] tables only")
    tables = table.get("card")
    if not isinstance(tables, list) or not tables:
        raise ValueError("holds no [[card]] table")
    return tables


def _our_card(values: Mapping[str, str]) -> RoleCard:
    language = Language(values["language"])
    words = {key: values[key] for key in ("age", "gender", "occupation", "problem")}
    return RoleCard(
        id=values["id"],
        language=language,
        text=card_text(language, **words),
        category=Category(values["category"]),
        subcategory=values["subcategory"],
        source=values.get("source", "escl"),
        crisis=CrisisKind(values["crisis"]) if "crisis" in values else None,
        severity=values.get("severity"),
    )


def _upstream_tables(document: object) -> list[object]:
    if not isinstance(document, list):
        raise ValueError(f"must be a list of cards, not {strict.kind_of(document)}")
    if not document:
        raise ValueError("holds no card")
    return document


def _upstream_card(values: Mapping[str, str]) -> RoleCard:
    return RoleCard(
        id=values["id"],
        language=Language(values["language"]),
        text=values["base"],
        category=Category(values["res"]),
        subcategory=None,
        source=values["source"],
        crisis=None,
    )


def _upstream_id(value: object) -> str:
    return strict.identifier(value) if isinstance(value, str) else strict.whole_number(0, 2**53)(value)


def _age(value: object) -> str:
    return strict.whole_number(1, 120)(value) if isinstance(value, int) else strict.line(60)(value)


_OURS: Final = _Format(
    tables=_our_tables,
    text_field="problem",
    build=_our_card,
    fields={
        "id": Field(parse=strict.identifier),
        "language": Field(parse=strict.choice({language.value: language.value for language in Language})),
        "age": Field(parse=_age),
        "gender": Field(parse=strict.line(60)),
        "occupation": Field(parse=strict.line(200)),
        "problem": Field(parse=strict.line(MAX_TEXT_CHARS)),
        "category": Field(parse=strict.choice({category.value: category.value for category in Category})),
        "subcategory": Field(parse=strict.line(40)),
        "source": Field(parse=strict.line(40), required=False),
        "crisis": Field(parse=strict.choice({kind.value: kind.value for kind in CrisisKind}), required=False),
        "severity": Field(parse=strict.identifier, required=False),
    },
)
_UPSTREAM: Final = _Format(
    tables=_upstream_tables,
    text_field="base",
    build=_upstream_card,
    fields={
        # Published ids are numbers; `upstream_json` writes others as they are.
        "id": Field(parse=_upstream_id),
        "language": Field(parse=strict.choice(_LANGUAGES)),
        "base": Field(parse=strict.paragraph(MAX_TEXT_CHARS)),
        "base_biaozhu": Field(parse=strict.paragraph(MAX_TEXT_CHARS), required=False),
        "res": Field(parse=strict.choice(_CATEGORIES)),
        "source": Field(parse=strict.line(40)),
    },
)
_FORMATS: Final = {".toml": _OURS, ".json": _UPSTREAM}
