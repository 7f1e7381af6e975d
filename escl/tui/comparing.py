"""What the comparison's screen asks of the files: who can be compared, how they compare, and on which cards.

Everything here is done in the run's own thread. Knows no widget.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escl.core.dimension import LABEL_TO_PERCENT
from escl.errors import EsclError, StorageError, UsageError

if TYPE_CHECKING:
    from escl.evaluation.compare import Pairing
    from escl.evaluation.sides import Side
    from escl.store.browse import Wanted
    from escl.store.database import Database
    from escl.tui.screens.run_screen import Compared

MARGIN: Final = 0.2
"""In labels, as `escl compare` has it unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two supporters and how they compare.

    Attributes:
        names: Everybody who could be compared, and whether in the other run; nobody where nothing was scored yet.
        sides: The two; None where there are no two, and `trouble` says why.
        found: None where they cannot be compared, and `trouble` says why.
        can_force: Whether they could be compared all the same.
    """

    names: list[tuple[str, bool]]
    sides: tuple[Side, Side] | None = None
    found: Pairing | None = None
    trouble: str | None = None
    can_force: bool = False


def compared(path: Path, database: Database, choice: Compared) -> Comparison:
    """Return how the two supporters that are chosen compare, as `escl compare` says it."""
    from escl.evaluation.compare import pairing
    from escl.evaluation.sides import sides_of
    from escl.store.database import Database as Opened
    from escl.store.database import is_of_lock
    from escl.store.run import RunStore
    from escl.tui.open_run import WAITS_S

    with contextlib.ExitStack() as stack:
        try:
            sides = [(side, False) for side in sides_of(path, RunStore.read(database))]
        except UsageError:
            return Comparison(names=[])
        if not any(one.expected is not None for side, _ in sides for one in side.scored):
            return Comparison(names=[])
        if choice.other is not None:
            try:
                store = RunStore.read(stack.enter_context(Opened.reader(choice.other, waits_s=WAITS_S)))
                sides += [(side, True) for side in sides_of(choice.other, store)]
            except EsclError as error:
                if isinstance(error, StorageError) and is_of_lock(error):
                    # Whoever asks does so again, and says that it waits.
                    raise
                return Comparison(names=[(side.supporter, False) for side, _ in sides], trouble=_said(error))
        names = [(side.supporter, is_other) for side, is_other in sides]
        if len(sides) < 2:
            return Comparison(names=names)
        # A run's first supporter stands against the other run's first, or its second one against its first.
        of_other = next((at for at, (_, is_other) in enumerate(names) if is_other), None)
        one, two = (1, 0) if of_other is None else (0, of_other)
        one = names.index(choice.side) if choice.side in names else one
        two = names.index(choice.against) if choice.against in names else two
        both = (sides[one][0], sides[two][0])
        try:
            found = pairing(*both, margin=MARGIN * LABEL_TO_PERCENT, force=choice.force)
        except UsageError as error:
            return Comparison(names=names, sides=both, trouble=_said(error), can_force=True)
    return Comparison(names=names, sides=both, found=found)


def dialogue_on(database: Database, card: str, supporter: str) -> tuple[Wanted, int] | None:
    """Return how a supporter's first dialogue on a card is addressed: in which list, and at which place of it."""
    from escl.store.browse import Browser, Wanted

    rows = database.rows(
        "SELECT id FROM dialogue WHERE card_id = ? AND supporter = ? ORDER BY repeat LIMIT 1", card, supporter
    )
    wanted = Wanted(supporter=supporter)
    return (wanted, Browser(database).find(wanted).index(rows[0]["id"])) if rows else None


def _said(error: EsclError) -> str:
    return error.message if error.hint is None else f"{error.message}\n{error.hint}"
