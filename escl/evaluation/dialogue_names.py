"""What a dialogue is called in people's files, and which dialogue a name means.

The code hides the supporter and stands for the very words: another dialogue on the same card has another one. For files
that are written by hand, card/supporter and card/supporter/repeat (1 for the first) do too, with the run's file before
them where several runs have such a dialogue. Names are looked up, never taken apart.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from escl.core.dialogue import Turn
from escl.core.strict import quoted
from escl.errors import RatingsError
from escl.store.records import DialogueRow

_NEAREST = 3
_MAX_COMPARED = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a dialogue is: which of the runs, and its row there."""

    run: int
    row: DialogueRow


def dialogue_code(row: DialogueRow, turns: Sequence[Turn]) -> str:
    """Return the name of a dialogue that does not say whose it is: "d-" and 12 hex digits."""
    said = (row.card_id, row.language, row.supporter, row.repeat, [(turn.speaker, turn.text) for turn in turns])
    return "d-" + hashlib.blake2b(msgspec.json.encode(said), digest_size=6).hexdigest()


class Names:
    """The dialogues of some runs by every name that a file may call them."""

    def __init__(self) -> None:
        self._known: dict[str, set[tuple[int, int]]] = {}
        self._places: dict[tuple[int, int], Place] = {}

    def add(self, path: Path, place: Place, *, code: str) -> None:
        """Take in a dialogue of the run at `path`."""
        key = (place.run, place.row.id)
        self._places[key] = place
        for name in (code, *_plain(path, place.row)):
            self._known.setdefault(name, set()).add(key)

    def find(self, name: str) -> Place | None:
        """Return the dialogue of that name, None when there is none.

        Raises:
            RatingsError: There are several.
        """
        keys = self._known.get(name, set())
        if len(keys) > 1:
            raise RatingsError(
                f"{quoted(name)} names {len(keys)} dialogues",
                hint="write card/supporter/repeat, or run.db/card/supporter/repeat with the run's file name",
            )
        return self._places[next(iter(keys))] if keys else None

    def closest(self, name: str) -> str:
        """Return what names are like this one, for a message."""
        close = difflib.get_close_matches(name, list(self._known)[:_MAX_COMPARED], n=_NEAREST)
        return f"did you mean {' or '.join(map(quoted, close))}?" if close else "is its run missing after --runs?"


def _plain(path: Path, row: DialogueRow) -> Iterator[str]:
    for short in (f"{row.card_id}/{row.supporter}", f"{row.card_id}/{row.supporter}/{row.repeat + 1}"):
        yield short
        yield f"{path.name}/{short}"
