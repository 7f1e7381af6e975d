"""Finding dialogues in a run of any size: filters and order are queries, and rows come page by page.

Knows nothing of screens. Only ids are held for a whole answer, eight bytes for each dialogue. Words are looked for in
some dialogues at a time, so that whoever searches can show what is found so far, and stop.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.store.database import Database
from escl.store.records import DialogueRow, DialogueState, FailureRow, OwnReading, Reading, TurnRow
from escl.store.run import OF_THE_SEVEN, RunStore, own_apart

Order = Literal["planned", "lowest", "highest"]
Known = Literal["supporter", "language", "category"]
Doubt = Literal["disagreed", "unsure"]

DISAGREEMENT: Final = 1.0
"""Expected labels at least this far apart are a disagreement: a whole label."""


def _expected(reading: str) -> str:
    """Return the mean label of `reading` under its probabilities, renormalized over the labels, as `Reading` has it."""
    p0, p1, p2, p3, p4 = (f"{reading}.p{label}" for label in range(5))
    return f"({p1} + 2 * {p2} + 3 * {p3} + 4 * {p4}) / nullif({p0} + {p1} + {p2} + {p3} + {p4}, 0)"


_EXPECTED = _expected("reading")
_LATEST = f"(SELECT id FROM judging WHERE {OF_THE_SEVEN} ORDER BY asked_utc DESC, id DESC LIMIT 1)"
_MEAN = f"(SELECT avg({_EXPECTED}) FROM reading WHERE judging_id = {_LATEST} AND dialogue_id = d.id)"
_ONE = f"(SELECT {_EXPECTED} FROM reading WHERE judging_id = {_LATEST} AND dialogue_id = d.id AND dimension = ?)"
_CUT = "EXISTS (SELECT 1 FROM turn WHERE dialogue_id = d.id AND finish = 'length')"
# No index leads from a dialogue to its failures, so they are read once, and not once for each dialogue.
_FAILED = (
    f"d.id IN (SELECT dialogue_id FROM failure WHERE NOT retried AND (judging_id IS NULL OR judging_id = {_LATEST}))"
)
_UNLABELLED = f"EXISTS (SELECT 1 FROM reading WHERE judging_id = {_LATEST} AND dialogue_id = d.id AND label IS NULL)"
_IN_DOUBT: Final[dict[Doubt, str]] = {
    # CROSS JOIN keeps this order in SQLite; any other looks at every reading again for each dialogue.
    "disagreed": (
        "EXISTS (SELECT 1 FROM reading CROSS JOIN judging AS second ON second.id <> reading.judging_id"
        " CROSS JOIN reading AS other ON other.judging_id = second.id AND other.dialogue_id = reading.dialogue_id"
        " AND other.dimension = reading.dimension"
        f" WHERE reading.judging_id = {_LATEST} AND reading.dialogue_id = d.id"
        " AND (? IS NULL OR reading.dimension = ?)"
        f" AND abs({_EXPECTED} - {_expected('other')}) >= {DISAGREEMENT})"
    ),
    "unsure": (
        f"EXISTS (SELECT 1 FROM reading WHERE judging_id = {_LATEST} AND dialogue_id = d.id"
        " AND (? IS NULL OR dimension = ?) AND max(p0, p1, p2, p3, p4) < (p0 + p1 + p2 + p3 + p4) / 2)"
    ),
}
_HOLDS = (
    "(EXISTS (SELECT 1 FROM turn WHERE dialogue_id = d.id AND text LIKE ? ESCAPE '\\')"
    " OR d.card_id LIKE ? ESCAPE '\\' OR c.text LIKE ? ESCAPE '\\')"
)
_MAX_WORDS = 8


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which dialogues to find; None asks for nothing.

    Attributes:
        dimension: What `below` and the order are about; None is the mean over the dimensions.
        below: An expected label (0-4) that the dialogue stays under.
        doubt: In the wanted dimension, or in any: "disagreed", where another scorer, or the same one another time,
            read a label at least `DISAGREEMENT` away; "unsure", where no label has half of the probability.
        troubled: Failed, cut by the token limit, or with a reading that names no label.
        text: Words that all occur in the dialogue or its card, whatever their case (of A to Z); what `holding` finds.
    """

    supporter: str | None = None
    language: Language | None = None
    category: str | None = None
    dimension: Dimension | None = None
    below: float | None = None
    doubt: Doubt | None = None
    troubled: bool = False
    text: str = ""
    order: Order = "planned"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A dialogue in a list.

    Attributes:
        label: Expected label (0-4), of the wanted dimension or the mean over all; None where there is no reading.
    """

    id: int
    card_id: str
    language: Language
    supporter: str
    repeat: int
    state: DialogueState
    label: float | None
    troubled: bool


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What one scorer read in a dialogue."""

    scorer: str
    readings: list[Reading]


class OwnRead(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in a dimension of the user's own; `name` is what it is called in the dialogue's language."""

    name: str
    scorer: str
    reading: OwnReading


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """One dialogue with all that is known of it.

    Attributes:
        card: None for an imported dialogue.
        scorer: Whose readings these are; None when nothing was scored.
        others: What was read besides, by other scorers or the same one another time.
        own: What was read in the user's own dimensions.
    """

    dialogue: DialogueRow
    card: RoleCard | None
    turns: list[TurnRow]
    scorer: str | None
    readings: list[Reading]
    failures: list[FailureRow]
    others: list[Judged]
    own: list[OwnRead] = []


class Browser:
    """Reads dialogues out of an open run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run = RunStore.read(database)

    def known(self, what: Known) -> list[str]:
        """Return the supporters, languages or categories that the run's dialogues have."""
        column = {"supporter": "d.supporter", "language": "d.language", "category": "c.category"}[what]
        rows = self._database.rows(
            f"SELECT {column} AS name FROM dialogue d LEFT JOIN card c ON c.id = d.card_id"
            f" WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY min(d.id)"
        )
        return [row["name"] for row in rows]

    def doubts(self) -> list[Doubt]:
        """Return the kinds of doubt that the run's readings can show."""
        (row,) = self._database.rows(f"SELECT count(*) AS n FROM judging WHERE {OF_THE_SEVEN}")
        doubts: list[Doubt] = ["disagreed", "unsure"]
        return doubts[max(0, 2 - row["n"]) :]

    def supporters_on(self, dialogue_id: int) -> list[DialogueRow]:
        """Return the dialogues of every supporter on the card and repeat of this one, as the run names them."""
        rows = self._database.rows(
            "SELECT d.id, d.card_id, d.language, d.supporter, d.repeat, d.state FROM dialogue d"
            " JOIN dialogue one ON one.card_id = d.card_id AND one.repeat = d.repeat WHERE one.id = ? ORDER BY d.id",
            dialogue_id,
        )
        return [self._database.taken(dict(row), DialogueRow) for row in rows]

    def averages(self) -> dict[str, float]:
        """Return each supporter's mean (0-4) over quality dialogues that were read in all dimensions, the best first.

        The same that a report calls the average; a supporter without such a dialogue is left out.
        """
        rows = self._database.rows(
            "SELECT supporter, avg(mean) AS mean FROM"
            " (SELECT d.id, d.supporter, avg(e.expected) AS mean FROM dialogue d"
            f" JOIN (SELECT dialogue_id, {_EXPECTED} AS expected FROM reading WHERE judging_id = {_LATEST}) e"
            " ON e.dialogue_id = d.id LEFT JOIN card c ON c.id = d.card_id WHERE c.crisis IS NULL"
            " GROUP BY d.id HAVING count(e.expected) = ?) GROUP BY supporter ORDER BY mean DESC, supporter",
            len(Dimension),
        )
        return {row["supporter"]: row["mean"] for row in rows}

    def find(self, wanted: Wanted) -> array[int]:
        """Return the ids of the dialogues that are wanted but for their text, in the order that is wanted."""
        where, parameters = _where(wanted)
        order = "d.id"
        if wanted.order != "planned":
            label, more = _label(wanted.dimension)
            order = f"{label} {'ASC' if wanted.order == 'lowest' else 'DESC'} NULLS LAST, d.id"
            parameters += more
        rows = self._database.rows(
            f"SELECT d.id FROM dialogue d LEFT JOIN card c ON c.id = d.card_id WHERE {where} ORDER BY {order}",
            *parameters,
        )
        return array("q", (row["id"] for row in rows))

    def holding(self, text: str, ids: Sequence[int]) -> list[int]:
        """Return those of these dialogues that hold every word of `text`, in their order; meant for some at a time."""
        words = text.split()[:_MAX_WORDS]
        rows = self._database.rows(
            f"SELECT d.id FROM dialogue d LEFT JOIN card c ON c.id = d.card_id WHERE d.id IN ({_marks(ids)})"
            + f" AND {_HOLDS}" * len(words),
            *ids,
            *(_like(word) for word in words for _ in range(3)),
        )
        found = {row["id"] for row in rows}
        return [one for one in ids if one in found]

    def rows(self, ids: Sequence[int], *, dimension: Dimension | None = None) -> list[Found]:
        """Return the dialogues of these ids, in their order; meant for a page of them."""
        label, parameters = _label(dimension)
        rows = self._database.rows(
            f"SELECT d.id, d.card_id, d.language, d.supporter, d.repeat, d.state, {label} AS label,"
            f" ({_FAILED} OR {_CUT} OR {_UNLABELLED}) AS troubled FROM dialogue d WHERE d.id IN ({_marks(ids)})",
            *parameters,
            *ids,
        )
        by_id = {row["id"]: row for row in rows}
        return [
            self._database.taken({**dict(by_id[one]), "troubled": bool(by_id[one]["troubled"])}, Found)
            for one in ids
            if one in by_id
        ]

    def whole(self, dialogue_id: int) -> Whole | None:
        """Return one dialogue as the latest judging read it; None where the run has none of that id."""
        rows = self._database.rows(
            "SELECT id, card_id, language, supporter, repeat, state FROM dialogue WHERE id = ?", dialogue_id
        )
        if not rows:
            return None
        dialogue = self._database.taken(dict(rows[0]), DialogueRow)
        judgings = self._run.judgings()
        judging_id, scorer = judgings.pop() if judgings else (None, None)
        others = [
            Judged(scorer=name, readings=self._run.readings(one, dialogue_id=dialogue_id)) for one, name in judgings
        ]
        own = self._run.own_judgings()
        return Whole(
            dialogue=dialogue,
            card=self._card(dialogue.card_id),
            turns=self._turns(dialogue_id),
            scorer=scorer,
            readings=[] if judging_id is None else self._run.readings(judging_id, dialogue_id=dialogue_id),
            failures=self._failures(dialogue_id, [judging_id, *(number for number, _ in own)]),
            others=[one for one in others if one.readings],
            own=[
                OwnRead(
                    name=dimension.shown(dialogue.language),
                    scorer=self._run.judging_settings(number).scorer,
                    reading=reading,
                )
                for number, dimension in own
                for reading in self._run.own_readings(number, dialogue_id=dialogue_id)
            ],
        )

    def _card(self, card_id: str) -> RoleCard | None:
        rows = self._database.rows(
            "SELECT id, language, text, category, subcategory, source, crisis FROM card WHERE id = ?", card_id
        )
        return self._database.taken(dict(rows[0]), RoleCard) if rows else None

    def _turns(self, dialogue_id: int) -> list[TurnRow]:
        rows = self._database.rows(
            "SELECT speaker, text, reasoning, finish, seed, n_prompt, n_reused, n_generated, busy_s FROM turn"
            " WHERE dialogue_id = ? ORDER BY position",
            dialogue_id,
        )
        return [
            TurnRow(
                turn=self._database.taken({"speaker": row["speaker"], "text": row["text"]}, Turn),
                **{key: row[key] for key in row.keys() if key not in ("speaker", "text")},  # noqa: SIM118 - a Row
            )
            for row in rows
        ]

    def _failures(self, dialogue_id: int, judging_ids: Sequence[int | None]) -> list[FailureRow]:
        marks = ", ".join("?" * len(judging_ids))
        rows = self._database.rows(
            "SELECT dialogue_id, error, message, dimension, position FROM failure WHERE dialogue_id = ?"
            f" AND NOT retried AND (judging_id IS NULL OR judging_id IN ({marks})) ORDER BY id",
            dialogue_id,
            *judging_ids,
        )
        return [self._database.taken(own_apart(dict(row)), FailureRow) for row in rows]


def _label(dimension: Dimension | None) -> tuple[str, list[object]]:
    return (_MEAN, []) if dimension is None else (_ONE, [dimension])


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    """Return the condition on a dialogue `d` with its card `c`, and its parameters."""
    terms, parameters = ["true"], list[object]()
    for column, value in (
        ("d.supporter", wanted.supporter),
        ("d.language", wanted.language),
        ("c.category", wanted.category),
    ):
        if value is not None:
            terms.append(f"{column} = ?")
            parameters.append(value)
    if wanted.below is not None:
        label, more = _label(wanted.dimension)
        terms.append(f"{label} < ?")
        parameters += [*more, wanted.below]
    if wanted.doubt is not None:
        terms.append(_IN_DOUBT[wanted.doubt])
        parameters += [wanted.dimension] * 2
    if wanted.troubled:
        terms.append(f"({_FAILED} OR {_CUT} OR {_UNLABELLED})")
    return " AND ".join(terms), parameters


def _marks(ids: Sequence[int]) -> str:
    return ", ".join("?" * len(ids))


def _like(word: str) -> str:
    """Return a pattern that finds `word` as it is."""
    for sign in ("\\", "%", "_"):
        word = word.replace(sign, "\\" + sign)
    return f"%{word}%"
