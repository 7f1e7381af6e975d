"""A run before it is begun: what was asked for by name, and the plan that it comes to. Reads headers, no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from escl.core.card_choice import CardChoice, choose_cards, drawn
from escl.core.dialogue import Speaker
from escl.core.own_dimension import own_for
from escl.core.protocol import load_protocol
from escl.memory.plan import plan_for
from escl.memory.workload import workload_of
from escl.shelf.manifest import ModelRole, locate_model, manifests
from escl.supporters.outside import HUMAN
from escl.supporters.reference import outside_supporter

if TYPE_CHECKING:
    from escl.memory.devices import Budget, Hardware
    from escl.memory.parts import Fixed
    from escl.memory.plan import Plan

DEMO_PREFIX: Final = "demo/"


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is asked for.

    Attributes:
        supporters: As `escl run` takes them.
        seeker: None takes the usual one.
        scorer: None takes the usual one.
        is_scored: Whether a scorer reads the dialogues.
        rounds: None takes the protocol's.
        protocol: Its name or file.
        rubrics: Files of dimensions that a scorer is asked about too.
        max_tokens: Of a supporter's turn; None takes each manifest's, else the protocol's.
    """

    supporters: tuple[str, ...]
    cards: CardChoice = CardChoice()
    seeker: str | None = None
    scorer: str | None = None
    is_scored: bool = True
    rounds: int | None = None
    repeats: int = 1
    protocol: str = "open"
    rubrics: tuple[Path, ...] = ()
    max_tokens: int | None = None


def usual_models(supporters: Sequence[str]) -> tuple[str, str]:
    """Return the seeker and the scorer of a run that names none: toys among toys, else ESC-Eval's own."""
    known = manifests()
    models = [name for name in supporters if name != HUMAN]
    toys = bool(models) and all(name.startswith(DEMO_PREFIX) and name in known for name in models)
    return ("demo/seeker", "demo/scorer") if toys else ("esc-role", "esc-rank")


def planned(prospect: Prospect, *, hardware: Hardware, budget: Budget, fixed: Fixed | None = None) -> Plan:
    """Return what of it fits and how long it takes; a plan in which nothing fits says what would.

    Args:
        prospect: What is asked for.
        hardware: The machine.
        budget: What the engines may take of it.
        fixed: What the plan may not change.

    Raises:
        ManifestError: A name that nothing has, or a file that is missing.
        CardError: A card file is malformed.
        UsageError: No card is left, or an address that cannot be.
        ProtocolError: No such protocol, or none for a card's language; or a rubrics file is malformed.
        GGUFError: A file is damaged.
    """
    cards = drawn(choose_cards(prospect.cards), prospect.cards)
    usual_seeker, usual_scorer = usual_models(prospect.supporters)
    words = load_protocol(prospect.protocol)
    elsewhere = {name: found for name in prospect.supporters if (found := outside_supporter(name)) is not None}
    default = words.default_sampling(Speaker.SUPPORTER)
    # What the user named comes first: a slip in it must not hide behind a seeker that is still to be pulled.
    located = [locate_model(name) for name in prospect.supporters if name not in elsewhere]
    seeker = locate_model(prospect.seeker or usual_seeker, role=ModelRole.SEEKER)
    longest = [prospect.max_tokens or (one.sampling or default).max_tokens for one in elsewhere.values()]
    rounds = prospect.rounds or words.default_rounds()
    own = own_for(prospect.rubrics if prospect.is_scored else (), {card.language for card in cards})
    rating = locate_model(prospect.scorer or usual_scorer, role=ModelRole.SCORER) if prospect.is_scored else None
    return plan_for(
        msgspec.structs.replace(seeker, sampling=seeker.sampling or words.default_sampling(Speaker.SEEKER)),
        [msgspec.structs.replace(one, sampling=one.sampling or default) for one in located],
        rating,
        workload=workload_of(cards, words, rounds=rounds, repeats=prospect.repeats, own=own, outside=longest),
        budget=budget,
        hardware=hardware,
        fixed=fixed,
        max_tokens=prospect.max_tokens,
    )
