"""A finished run whose supporters differ a little, and an arena that has judged it: to look at and to compare."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from escl.core.card import Category
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.settings import ArenaSettings
from escl.evaluation.contest import contest_of
from escl.store.arena import ARENA, ArenaStore, ComparisonRow
from escl.store.database import Database
from escl.store.records import TurnRow
from escl.store.run import RunStore
from tests.runs import PROTOCOL, card, judging_by, reading, settings
from tests.tui.driving import quick_writer

SUPPORTERS = ("warm-7b", "calm-7b", "curt-3b")
_LEVEL = (3.1, 2.9, 1.7)
_SAID = ("That sounds heavy. What keeps you awake?", "I hear you. Tell me more.", "Sleep earlier.")


def contested_run(
    path: Path, *, supporters: Sequence[str] = SUPPORTERS, english: int = 12, chinese: int = 8, seed: int = 1
) -> Path:
    """Write a run to `path` in which the first supporters are better than the last, and return the path."""
    rng = random.Random(seed)
    store = RunStore.begin(quick_writer(path), settings(seed=seed), PROTOCOL, command="escl run", versions={})
    kinds = [*[Language.ENGLISH] * english, *[Language.CHINESE] * chinese]
    categories = list(Category)
    cards = [
        card(f"{language.value}-{at:02}", language=language, category=categories[at % len(categories)])
        for at, language in enumerate(kinds)
    ]
    store.add_cards(cards)
    judging_id = store.add_judging(judging_by("scorer", settings(seed=seed)))
    store.plan_dialogues((one.id, one.language, name, 0) for one in cards for name in supporters)
    for dialogue in store.dialogues():
        store.set_state(dialogue.id, "speaking")
        at = supporters.index(dialogue.supporter) % len(_LEVEL)
        turns = [
            PROTOCOL.greeting(dialogue.language),
            Turn(speaker=Speaker.SEEKER, text=f"I cannot sleep before a night shift ({dialogue.card_id}). 睡不着。"),
            Turn(speaker=Speaker.SUPPORTER, text=_SAID[at] + f" ({dialogue.supporter})"),
        ]
        for position, turn in enumerate(turns):
            store.add_turn(dialogue.id, position, TurnRow(turn=turn), last=position == len(turns) - 1)
        for number, dimension in enumerate(Dimension):
            expected = _LEVEL[at] + 0.3 * (number % 3) - 0.3 + rng.uniform(-0.6, 0.6)
            store.add_reading(judging_id, reading(dialogue.id, dimension, min(4.0, max(0.0, expected))))
    store.finish("finished")
    store.close()
    return path


def judged_arena(path: Path, run: Path, *, judge: str = "judge", seed: int = 2) -> Path:
    """Write an arena to `path` in which a judge has compared the supporters of `run`, and return the path."""
    rng, rubric = random.Random(seed), load_rubric("open")
    contest = contest_of([run], rubric, dimensions=[Dimension.OVERALL])
    database = Database.writer(path, ARENA)
    database.rows("PRAGMA synchronous = OFF")
    database.rows("PRAGMA journal_mode = MEMORY")
    made = ArenaSettings(judge=judge, sha256="0" * 64, rubric="open", rubric_sha256=rubric.sha256(), llama_cpp="0")
    store = ArenaStore.begin(database, made, rubric, command="escl arena", versions={})
    for pairs in contest.boards.values():
        for pair in pairs:
            strength = contest.supporters.index(pair.other.supporter) - contest.supporters.index(pair.one.supporter)
            for question, sign in zip(pair.questions, (1, -1), strict=True):
                store.add(question, _said(rng, towards_first=0.5 + sign * 0.2 * strength))
    store.finish("finished")
    store.close()
    return path


def _said(rng: random.Random, *, towards_first: float) -> ComparisonRow:
    share = min(0.95, max(0.05, towards_first + rng.uniform(-0.3, 0.3)))
    p = (0.4 * share, 0.6 * share, 0.0, 0.7 * (1 - share), 0.3 * (1 - share))
    label = max(range(5), key=lambda at: p[at])
    return ComparisonRow(reply=f"The verdict is {label}.", label=label, probabilities=p, off_label_mass=0.0, busy_s=0.1)
