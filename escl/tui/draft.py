"""A run that is being laid out: what was chosen so far, the command that it is, and what can be chosen.

Knows no widget. What it comes to is worked out by `escl.evaluation.prospect`, as for `escl plan`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from escl.core.card import Category
from escl.core.card_choice import QUICK_CARDS, STANDARD_CARDS, CardChoice
from escl.core.dimension import Language
from escl.core.printable import printable

if TYPE_CHECKING:
    from escl.evaluation.prospect import Prospect

ROUNDS: Final = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)
REPEATS: Final = (1, 2, 3, 4, 5, 8, 10)
_UNNAMEABLE: Final = re.compile(r"[^\w.+-]+")
_MOST_IN_A_NAME: Final = 40


class Preset(StrEnum):
    """How many of the cards that match are played."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"

    @property
    def sample(self) -> int | None:
        """The cards that are drawn; None plays all."""
        return {"quick": QUICK_CARDS, "standard": STANDARD_CARDS, "full": None}[self.value]

    @property
    def words(self) -> tuple[str, ...]:
        """What says so on the command line."""
        return {"quick": ("--quick",), "standard": ("--sample", str(STANDARD_CARDS)), "full": ()}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Who reads the dialogues.

    Attributes:
        scorer: None takes the usual one.
        is_wanted: Whether anybody does.
    """

    scorer: str | None = None
    is_wanted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was chosen.

    Attributes:
        supporters: As `escl run` takes them.
        files: Card files; the bundled cards when empty.
        language: None plays both.
        rounds: None takes the protocol's.
        seeker: None takes the usual one.
        rubrics: A file of dimensions that the scorer is asked about beside the seven.
        out: The run's file as it was typed; empty takes `suggested`.
    """

    supporters: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    language: Language | None = None
    category: Category | None = None
    source: str | None = None
    unseen: bool = False
    crisis: bool = False
    preset: Preset = Preset.QUICK
    rounds: int | None = None
    repeats: int = 1
    protocol: str = "open"
    seeker: str | None = None
    scoring: Scoring = Scoring()
    rubrics: Path | None = None
    out: str = ""

    @property
    def cards(self) -> CardChoice:
        """Which cards are played."""
        return CardChoice(
            files=self.files,
            languages=tuple(Language) if self.language is None else (self.language,),
            category=self.category,
            source=self.source,
            unseen=self.unseen,
            crisis=self.crisis,
            sample=self.preset.sample,
        )

    def prospect(self) -> Prospect:
        """Return the run as a plan is made for it."""
        from escl.evaluation.prospect import Prospect

        return Prospect(
            supporters=self.supporters,
            cards=self.cards,
            seeker=self.seeker,
            scorer=self.scoring.scorer,
            is_scored=self.scoring.is_wanted,
            rounds=self.rounds,
            repeats=self.repeats,
            protocol=self.protocol,
            rubrics=() if self.rubrics is None else (self.rubrics,),
        )

    def words(self, out: Path | str) -> tuple[str, ...]:
        """Return the command that begins the run in the file `out`, without `escl`; what is usual is left out."""
        given: list[tuple[str, object]] = [("--cards", file) for file in self.files]
        given += [
            ("--lang", self.language),
            ("--category", self.category),
            ("--source", self.source),
            ("--rounds", self.rounds),
            ("--repeats", None if self.repeats == 1 else self.repeats),
            ("--protocol", None if self.protocol == "open" else self.protocol),
            ("--seeker", self.seeker),
            ("--scorer", self.scoring.scorer),
            ("--rubrics", self.rubrics if self.scoring.is_wanted else None),
        ]
        options = [word for name, value in given if value is not None for word in (name, str(value))]
        flags = {"--unseen": self.unseen, "--crisis": self.crisis, "--no-score": not self.scoring.is_wanted}
        options += [name for name, is_set in flags.items() if is_set]
        return ("run", *self.supporters, *options, *self.preset.words, "--out", str(out))


def shown(words: Sequence[str]) -> str:
    """Return a command as one would type it."""
    return shlex.join(("escl", *words))


def suggested(draft: Draft, folder: Path) -> str:
    """Return a name for the run's file that says who is tested, and that nothing in `folder` has."""
    stems = [_UNNAMEABLE.sub("-", printable(_short(one))).strip("-.") for one in draft.supporters]
    stem = "-".join(part for part in stems if part)[:_MOST_IN_A_NAME].strip("-.") or "run"
    names = [f"{stem}-{draft.preset}", *(f"{stem}-{draft.preset}-{n}" for n in range(2, 1000))]
    return next((f"{name}.db" for name in names if not (folder / f"{name}.db").exists()), f"{stem}.db")


def _short(reference: str) -> str:
    """Return how a supporter is called for short: the model of an address, the end of a path."""
    tail = reference.rpartition("#")[2] if reference.startswith(("http://", "https://")) else reference
    name = PurePath(tail.removeprefix("python:")).name
    return name.removesuffix(".gguf").removesuffix(".toml")
