"""Which dialogues meet in an arena: of two supporters on the same card, from one run or several.

Owns what is paired with what, and which runs may be. Knows no judge.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric
from escl.errors import UsageError
from escl.evaluation.comparability import differing, spoken_alike
from escl.memory.workload import tokens_in
from escl.store.arena import Question
from escl.store.database import Database
from escl.store.run import RunStore

Key = tuple[str, int]
"""Card and repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A dialogue as the judge reads it.

    Attributes:
        n_characters: What the supporter said, the greeting left out.
        n_tokens: About how many the transcript has.
    """

    supporter: str
    card_id: str
    repeat: int
    language: Language
    transcript: str
    sha256: str
    n_characters: int
    n_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two dialogues on the same card, to be compared in one respect."""

    dimension: Dimension
    one: Entry
    other: Entry

    @property
    def questions(self) -> tuple[Question, Question]:
        """The two orders: the one first, the other first."""
        language = self.one.language
        return (
            Question(language, self.dimension, self.one.sha256, self.other.sha256),
            Question(language, self.dimension, self.other.sha256, self.one.sha256),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Everything that could be compared.

    Attributes:
        supporters: In the order of the runs.
        reference: Whom win rates are against.
        boards: The pairs of each language and dimension, in an order that has nothing to do with what the cards say.
        forced: In what the runs differ although they should not.
        left_out: Dialogues that meet none, by reason.
        notices: What must be said wherever the results are shown.
    """

    runs: list[str]
    supporters: list[str]
    reference: str
    boards: dict[tuple[Language, Dimension], list[Pair]]
    forced: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @property
    def entries(self) -> dict[str, Entry]:
        """Every dialogue that meets another, by the sha256 of its transcript."""
        pairs = itertools.chain.from_iterable(self.boards.values())
        return {entry.sha256: entry for pair in pairs for entry in (pair.one, pair.other)}


@dataclass(slots=True)
class _Field:
    """What the runs hold, as it is read."""

    entries: dict[str, dict[Key, Entry]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    card_texts: dict[str, str] = field(default_factory=dict)
    notices: dict[str, None] = field(default_factory=dict)


def contest_of(
    paths: Sequence[Path],
    rubric: JudgingRubric,
    *,
    dimensions: Sequence[Dimension],
    baseline: str | None = None,
    everyone: bool = False,
    force: bool = False,
) -> Contest:
    """Return who meets whom on which card.

    Crisis cards are left out: they are never averaged into quality.

    Args:
        paths: The runs.
        rubric: How the judge reads a dialogue.
        dimensions: In which to compare.
        baseline: Whom win rates are against, and unless `everyone`, whom alone the others meet. None: the first.
        everyone: Every two supporters meet. Without a baseline they always do.
        force: Compare runs that are not comparable.

    Raises:
        ProtocolError: The rubric has no words for a language or a dimension.
        StorageError: A file holds no run.
        UsageError: The runs are not comparable, there is no such baseline, or nothing to compare.
    """
    names = _names(paths)
    found, forced = _Field(), []
    first: tuple[Path, dict[str, str]] | None = None
    for path in paths:
        with Database.reader(path) as database:
            store = RunStore.read(database)
            key = spoken_alike(store)
            first = first or (path, key)
            forced += _refuse_different(first, (path, key), force=force)
            _read(store, {name: shown for (at, name), shown in names.items() if at == path}, rubric, found)
    supporters = list(dict.fromkeys(names.values()))
    if len(supporters) < 2:
        only = supporters[0] if supporters else "none"
        raise UsageError(f"there is one supporter, {only}: nothing to compare", hint="name another run beside it")
    if baseline is not None and baseline not in supporters:
        raise UsageError(f"no supporter is named {baseline}", hint=f"there are {', '.join(supporters)}")
    reference = baseline or supporters[0]
    meet = [
        (one, other)
        for one, other in itertools.combinations(supporters, 2)
        if everyone or baseline is None or reference in (one, other)
    ]
    boards = _boards(found.entries, meet, dimensions)
    for language, dimension in boards:
        rubric.question(language, dimension, "", "")
    if not boards:
        raise UsageError("no two supporters have finished a dialogue on the same card", hint="finish the runs first")
    return Contest(
        runs=[str(path) for path in paths],
        supporters=supporters,
        reference=reference,
        boards=boards,
        forced=list(dict.fromkeys(forced)),
        left_out=dict(found.left_out),
        notices=list(found.notices),
    )


def transcript_sha256(transcript: str) -> str:
    """Return by what a transcript is found again among the judge's readings."""
    return hashlib.sha256(transcript.encode("utf-8", "surrogatepass")).hexdigest()


def _names(paths: Sequence[Path]) -> dict[tuple[Path, str], str]:
    """Return what each supporter of each run is called: its name, with the run's where two runs have it."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is named twice", hint="name each run once")
    there: list[tuple[Path, str]] = []
    for path in paths:
        with Database.reader(path) as database:
            rows = RunStore.read(database).dialogues()
            there += [(path, name) for name in dict.fromkeys(row.supporter for row in rows)]
    often = Counter(name for _, name in there)
    names = {(path, name): name if often[name] == 1 else f"{name} ({path.stem})" for path, name in there}
    twice = [name for name, n in Counter(names.values()).items() if n > 1]
    if twice:
        raise UsageError(f"two supporters would be called {twice[0]}", hint="rename one of the files")
    return names


def _refuse_different(
    first: tuple[Path, dict[str, str]], other: tuple[Path, dict[str, str]], *, force: bool
) -> list[str]:
    found = differing(first[1], other[1])
    if found and not force:
        listed = "\n    ".join(found)
        raise UsageError(
            f"{first[0]} and {other[0]} are not comparable:\n    {listed}",
            hint="--force compares them all the same, on the cards they share, and says so",
        )
    return found


def _read(store: RunStore, names: dict[str, str], rubric: JudgingRubric, found: _Field) -> None:
    cards = store.cards()
    speakers = {model.name for model in store.models() if model.role != "scorer"}
    found.notices |= dict.fromkeys(m.notice for m in store.models() if m.notice and m.name in speakers)
    for row in store.dialogues():
        card = cards.get(row.card_id)
        text = "" if card is None else card.text
        if card is not None and card.crisis is not None:
            found.left_out["crisis card"] += 1
        elif row.state != "complete":
            found.left_out["dialogue not finished"] += 1
        elif text and found.card_texts.setdefault(row.card_id, text) != text:
            found.left_out["another card under the same id"] += 1
        else:
            turns = store.turns(row.id)
            transcript = rubric.transcript(row.language, turns)
            said = [turn.text for turn in turns[1:] if turn.speaker is Speaker.SUPPORTER]
            name = names[row.supporter]
            found.entries.setdefault(name, {})[row.card_id, row.repeat] = Entry(
                supporter=name,
                card_id=row.card_id,
                repeat=row.repeat,
                language=row.language,
                transcript=transcript,
                sha256=transcript_sha256(transcript),
                n_characters=sum(map(len, said)),
                n_tokens=tokens_in(transcript),
            )


def _boards(
    entries: dict[str, dict[Key, Entry]], meet: Iterable[tuple[str, str]], dimensions: Sequence[Dimension]
) -> dict[tuple[Language, Dimension], list[Pair]]:
    boards: dict[tuple[Language, Dimension], list[Pair]] = {
        key: [] for key in itertools.product(Language, dict.fromkeys(dimensions))
    }
    for one, other in meet:
        own, others = entries.get(one, {}), entries.get(other, {})
        for key in sorted(own.keys() & others.keys(), key=_drawn):
            if own[key].language is others[key].language:
                for dimension in dict.fromkeys(dimensions):
                    pair = Pair(dimension=dimension, one=own[key], other=others[key])
                    boards[own[key].language, dimension].append(pair)
    return {key: pairs for key, pairs in boards.items() if pairs}


def _drawn(key: Key) -> tuple[int, bytes]:
    """Sort repeats after all cards, and cards by the hash of their ids, as good as shuffled."""
    return key[1], hashlib.blake2b(key[0].encode("utf-8", "surrogatepass"), digest_size=16).digest()
