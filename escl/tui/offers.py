"""What a new run can be made of: the models, protocols and cards that are here. Reads files: for a worker."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from escl.core.card import RoleCard
    from escl.tui.draft import Draft

MOST_FILES: Final = 100
"""Files of a folder that are offered, of each kind."""
MAX_RUBRICS_BYTES: Final = 1 << 20
"""A file beyond that is something else: dialogues, cards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something that can be tested.

    Attributes:
        reference: What `escl run` takes.
        size_bytes: None where it is no file.
    """

    reference: str
    kind: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What is here."""

    supporters: tuple[Offer, ...]
    seekers: tuple[str, ...]
    scorers: tuple[str, ...]
    protocols: tuple[str, ...]
    rubrics: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a draft's choice of cards comes to.

    Attributes:
        n_matching: Cards that match.
        played: Those of them that are played.
        by_field: For each field of the draft how many cards would match with each of its values.
        sources: Of the cards of that kind, whatever else was chosen.
    """

    n_matching: int
    played: tuple[RoleCard, ...]
    by_field: dict[str, dict[Hashable, int]]
    sources: tuple[str, ...]


def offers_in(folder: Path) -> Offers:
    """Return the models on the shelf, the GGUF and rubrics files in `folder`, and the protocols."""
    from escl.core.protocol import known_protocols
    from escl.shelf.inventory import inventory

    here = [model for model in inventory() if model.state == "here"]
    # What is meant to be tested comes first; a seeker or scorer may be put to the test too.
    here.sort(key=lambda model: model.role != "supporter")
    files = [
        Offer(reference=_as_argument(path.name), kind="file", size_bytes=path.stat().st_size)
        for path in sorted(folder.glob("*.gguf"))[:MOST_FILES]
        if path.is_file()
    ]
    names = tuple(file.reference for file in files)
    return Offers(
        supporters=(
            *files,
            *(Offer(reference=model.name, kind=model.role, size_bytes=model.size_bytes) for model in here),
        ),
        seekers=(*(model.name for model in here if model.role == "seeker"), *names),
        scorers=(*(model.name for model in here if model.role == "scorer"), *names),
        protocols=tuple(known_protocols()),
        rubrics=tuple(_rubrics_in(folder)),
    )


def _rubrics_in(folder: Path) -> Iterator[Path]:
    from escl.core.own_dimension import is_rubrics

    small = (
        path
        for path in sorted((*folder.glob("*.toml"), *folder.glob("*.json")))
        if path.is_file() and path.stat().st_size <= MAX_RUBRICS_BYTES
    )
    for path in itertools.islice(small, MOST_FILES):
        if is_rubrics(path):
            yield Path(path.name)


def checked(reference: str) -> Offer:
    """Return what `reference` names, as `escl run` finds it. Opens no connection and hashes no large file.

    Raises:
        EsclError: It names nothing that can be tested.
    """
    from escl.shelf.manifest import locate_model
    from escl.supporters.reference import outside_supporter

    if outside_supporter(reference) is not None:
        return Offer(reference=reference, kind="outside")
    return Offer(reference=reference, kind="file", size_bytes=locate_model(reference).path.stat().st_size)


def tally(cards: list[RoleCard], draft: Draft) -> Tally:
    """Return how many cards match a draft and would match its neighbours, and those that it plays."""
    from escl.core.card import Category
    from escl.core.card_choice import drawn, matching
    from escl.core.dimension import Language

    matched = matching(cards, draft.cards)
    kind = [card for card in cards if (card.crisis is not None) == draft.crisis]
    sources = tuple(sorted({card.source for card in kind}))
    values: dict[str, tuple[Hashable, ...]] = {
        "language": (None, *Language),
        "category": (None, *Category),
        "source": (None, *sources),
        "unseen": (False, True),
        "crisis": (False, True),
    }
    return Tally(
        n_matching=len(matched),
        played=tuple(drawn(matched, draft.cards)),
        by_field={
            field: {value: len(matching(cards, replace(draft, **{field: value}).cards)) for value in own}  # type: ignore[arg-type]
            for field, own in values.items()
        },
        sources=sources,
    )


def _as_argument(name: str) -> str:
    """Return a file's name as no command takes it for an option."""
    return f"./{name}" if name.startswith("-") else name
