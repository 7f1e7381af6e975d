"""Finished dialogues to be scored, without a model that says them: every turn is part of a card's problem."""

from __future__ import annotations

from typing import Final

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.evaluation.run import Simulation
from escl.evaluation.simulate import turns_in
from escl.store.records import TurnRow
from escl.store.run import RunStore

_CHARS: Final = {Language.ENGLISH: 200, Language.CHINESE: 60}
"""Of a turn at most: about 50 tokens."""


def fill(store: RunStore, simulation: Simulation) -> None:
    """Write a complete dialogue for each card of `simulation` into the new run `store`."""
    store.add_cards(simulation.cards)
    (supporter,) = simulation.supporters
    store.plan_dialogues((card.id, card.language, supporter.name, 0) for card in simulation.cards)
    at = {card.id: index for index, card in enumerate(simulation.cards)}
    for dialogue in store.dialogues():
        alike = [card for card in simulation.cards if card.language is dialogue.language]
        store.set_state(dialogue.id, "speaking")
        turn = simulation.protocol.greeting(dialogue.language)
        last = turns_in(simulation.rounds) - 1
        for position in range(last + 1):
            store.add_turn(dialogue.id, position, TurnRow(turn=turn), last=position == last)
            said = alike[(at[dialogue.card_id] + position) % len(alike)].problem[: _CHARS[dialogue.language]]
            turn = Turn(speaker=Speaker.SEEKER if position % 2 == 0 else Speaker.SUPPORTER, text=said)
