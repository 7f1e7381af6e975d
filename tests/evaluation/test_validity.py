"""A run's validity: counted by supporter, said in the results past a share, never dropped from a score."""

from __future__ import annotations

from pathlib import Path

from escl.core.dialogue import Speaker, Turn
from escl.evaluation.results import results_of
from escl.evaluation.validity import validity_of
from escl.store.database import Database
from escl.store.records import TurnRow
from escl.store.run import RunStore
from escl.text.seeker_checks import Check
from tests.runs import CARD, begin, rated

BROKEN, SOUND = "How can I help you today?", "I hardly sleep before my night shifts."


def spoken(path: Path, first_turns: list[str]) -> Path:
    """Write a run with one complete dialogue for each of the seeker's first turns."""
    store = begin(path)
    store.plan_dialogues((CARD.id, CARD.language, "supporter", repeat) for repeat in range(len(first_turns)))
    for dialogue, said in zip(store.dialogues(), first_turns, strict=True):
        store.set_state(dialogue.id, "speaking")
        turns = [
            Turn(speaker=Speaker.SUPPORTER, text="Hello, what is it?"),
            Turn(speaker=Speaker.SEEKER, text=said),
            Turn(speaker=Speaker.SUPPORTER, text="I see, tell me more about it."),
        ]
        for at, turn in enumerate(turns):
            store.add_turn(dialogue.id, at, TurnRow(turn=turn, finish="stop"), last=at == 2)
    store.finish("finished")
    store.close()
    return path


def test_flagged_dialogues_are_counted_by_check_and_supporter(tmp_path: Path) -> None:
    with Database.reader(spoken(tmp_path / "run.db", [BROKEN, SOUND, SOUND])) as database:
        found = validity_of(RunStore.read(database))
    assert (found.n_dialogues, found.n_flagged) == (3, 1)
    (one,) = found.supporters
    assert (one.flagged, one.by_check[Check.ROLE_BREAK], one.n_turns) == (1, 1, 3)
    assert [dialogue.is_flagged for dialogue in found.dialogues] == [True, False, False]


def test_the_results_say_so_past_a_tenth_and_not_before(tmp_path: Path) -> None:
    for name, n_sound, is_said in (("many.db", 8, True), ("few.db", 9, False)):
        with Database.reader(spoken(tmp_path / name, [BROKEN, *[SOUND] * n_sound])) as database:
            notices = results_of(RunStore.read(database)).notices
        assert any("flagged in 1 of" in notice for notice in notices) is is_said


def test_a_run_without_a_turn_of_the_seeker_is_no_error(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"a": {"c1": [2.0]}})
    with Database.reader(path) as database:
        found = validity_of(RunStore.read(database))
    assert (found.n_dialogues, found.n_flagged, found.share) == (1, 0, 0.0)
