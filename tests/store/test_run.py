"""The store keeps every acknowledged fact and refuses what would make a run mean two things."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct, structs

from escl.core import connections
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension
from escl.core.settings import JudgingSettings
from escl.errors import StorageError
from escl.evaluation.results import results_of
from escl.store.database import Database
from escl.store.records import FailureRow, Reading, RequestRow, TurnRow
from escl.store.run import RunStore
from tests.runs import CARD, PROTOCOL, begin, settings

JUDGING = JudgingSettings(
    generation_fingerprint="g", protocol_sha256="p", scorer="s", sha256="h", adapters={}, llama_cpp="0"
)


def turn(text: str, speaker: Speaker = Speaker.SEEKER) -> TurnRow:
    return TurnRow(turn=Turn(speaker=speaker, text=text))


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    (dialogue,) = store.dialogues()
    store.set_state(dialogue.id, "speaking")
    store.add_turn(dialogue.id, 0, turn("Hello.", Speaker.SUPPORTER))
    store.add_turn(dialogue.id, 1, turn("心里很难受 🙁\x00\u202e"), last=True)
    judging = store.add_judging(JUDGING)
    reading = Reading(
        dialogue_id=dialogue.id,
        dimension=Dimension.EMPATHY,
        reply="The Empathy score is 3.",
        label=3,
        probabilities=(0.0, 0.1, 0.2, 0.6, 0.05),
        off_label_mass=0.05,
        drafted=True,
        busy_s=0.5,
    )
    store.add_reading(judging, reading)
    store.finish("finished")
    store.close()

    with Database.reader(path) as database:
        again = RunStore.read(database)
        assert again.settings == settings()
        assert again.protocol == PROTOCOL
        assert again.cards() == {CARD.id: CARD}
        assert [turn.text for turn in again.turns(dialogue.id)] == ["Hello.", "心里很难受 🙁\x00\u202e"]
        assert again.dialogues()[0].state == "complete"
        assert again.readings(judging) == [reading]


def test_every_request_to_a_supporter_elsewhere_is_kept_with_the_connections(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    failed = RequestRow(
        dialogue_id=1, position=2, number=1, waited_s=0.0, elapsed_s=0.1, status=503, error="503: is loading"
    )
    answered = RequestRow(dialogue_id=1, position=2, number=2, waited_s=1.5, elapsed_s=0.2, status=200, model="m")
    store.add_request(failed)
    connections.add(2)
    store.add_request(answered)
    assert store.requests(1) == store.requests() == [failed, answered]
    assert store.requests(9) == []
    assert store.connections() == 2
    store.finish("finished")
    store.close()
    again = begin(tmp_path / "run.db")
    connections.add(1)
    again.finish("finished")
    assert again.connections() == 3
    again.close()


def test_a_killed_process_loses_no_committed_turn_and_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    script = (
        "import os, sys; from pathlib import Path; from tests.runs import begin;"
        "from tests.store.test_run import turn;"
        "store = begin(Path(sys.argv[1])); store.set_state(1, 'speaking'); store.add_turn(1, 0, turn('kept'));"
        "store._database._connection.execute('BEGIN');"
        "store._database._connection.execute(\"UPDATE turn SET text = 'torn'\"); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode != 0
    store = begin(path)
    assert [turn.text for turn in store.turns(1)] == ["kept"]
    store.close()


def test_the_same_command_finds_its_dialogues_again(tmp_path: Path) -> None:
    begin(tmp_path / "run.db").close()
    store = begin(tmp_path / "run.db")
    assert len(store.dialogues()) == 1
    store.close()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    begin(tmp_path / "run.db").close()
    with pytest.raises(StorageError, match="seed: 0 -> 1"):
        begin(tmp_path / "run.db", seed=1)


def test_a_second_writer_is_refused_while_the_first_works(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    with pytest.raises(StorageError, match="another process"):
        begin(tmp_path / "run.db")
    store.close()
    begin(tmp_path / "run.db").close()


def test_a_reader_may_look_while_a_writer_works(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    with Database.reader(tmp_path / "run.db") as database:
        assert len(RunStore.read(database).dialogues()) == 1
    store.close()


@pytest.mark.parametrize(
    ("before", "after"), [("pending", "complete"), ("complete", "speaking"), ("complete", "failed")]
)
def test_only_listed_state_changes_are_possible(tmp_path: Path, before: str, after: str) -> None:
    store = begin(tmp_path / "run.db")
    if before == "complete":
        store.set_state(1, "speaking")
        store.set_state(1, "complete")
    with pytest.raises(sqlite3.IntegrityError, match="cannot change"):
        store.set_state(1, after)  # type: ignore[arg-type]
    assert store.dialogues()[0].state == before
    store.close()


def test_a_final_failure_of_a_speaker_fails_its_dialogue(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.set_state(1, "speaking")
    store.add_failure(FailureRow(dialogue_id=1, position=2, error="ContextOverflowError", message="too long"))
    assert store.dialogues()[0].state == "failed"
    assert [failure.error for failure in store.failures()] == ["ContextOverflowError"]
    store.close()


def test_what_was_given_up_can_be_tried_again_and_stays_on_record(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.set_state(1, "speaking")
    store.add_failure(FailureRow(dialogue_id=1, position=2, error="EngineHungError", message="no sign of life"))
    store.retry_failed()
    assert store.dialogues()[0].state == "speaking"
    assert store.failures() == []
    store.close()
    with sqlite3.connect(tmp_path / "run.db") as connection:
        assert connection.execute("SELECT error, retried FROM failure").fetchall() == [("EngineHungError", 1)]
    connection.close()


def test_a_failed_reading_leaves_its_dialogue_complete(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.set_state(1, "speaking")
    store.set_state(1, "complete")
    judging = store.add_judging(JUDGING)
    failure = FailureRow(dialogue_id=1, dimension=Dimension.OVERALL, error="NonFiniteLogitsError", message="NaN")
    store.add_failure(failure, judging_id=judging)
    assert store.dialogues()[0].state == "complete"
    assert store.failures(judging) == [failure]
    assert store.failures() == []
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_everything_is_private_to_the_user(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = begin(tmp_path / "run.db")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in tmp_path.iterdir()] == [0] * len(
        list(tmp_path.iterdir())
    )
    store.close()


def test_a_symlink_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "run.db").symlink_to(victim)
    with pytest.raises(StorageError, match="not a plain file"):
        Database.writer(tmp_path / "run.db")
    assert victim.read_bytes() == b""


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not the file of an escl run"):
        Database.writer(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(StorageError, match="cannot be opened"):
        Database.writer(path)


def test_a_run_with_a_planted_trigger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    begin(path).close()
    with sqlite3.connect(path) as planted:
        planted.execute("CREATE TRIGGER evil AFTER INSERT ON turn BEGIN DELETE FROM turn; END")
    planted.close()
    with pytest.raises(StorageError, match="did not make"):
        Database.reader(path)


def test_a_missing_run_is_not_created_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not there"):
        Database.reader(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opened", [Database.reader, Database.writer])
def test_a_run_killed_in_the_middle_of_a_commit_can_be_looked_at_and_gone_on_with(
    tmp_path: Path, opened: Callable[[Path], Database]
) -> None:
    path = tmp_path / "run.db"
    script = (
        "import os, sys; from pathlib import Path; from tests.runs import begin;"
        "store = begin(Path(sys.argv[1])); connection = store._database._connection;"
        # A cache this small spills to the file before the commit, and leaves a journal to roll back.
        "connection.execute('PRAGMA cache_size = 1'); connection.execute('BEGIN');"
        "row = ('en', 'x' * 2000, '', '', '', '', '');"
        "[connection.execute('INSERT INTO card VALUES (' + '?,' * 7 + '?)', (str(at), *row)) for at in range(200)];"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, cwd=Path(__file__).parents[2])
    assert (tmp_path / "run.db-journal").exists()
    with opened(path) as database:
        assert RunStore.read(database).cards() == {CARD.id: CARD}


def test_the_judging_that_was_asked_for_last_is_the_one_shown(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    first = store.add_judging(JUDGING)
    second = store.add_judging(structs.replace(JUDGING, scorer="other"))
    assert results_of(store).scorer == "other"
    time.sleep(0.002)
    assert store.add_judging(JUDGING) == first != second
    assert results_of(store).scorer == "s"
    assert results_of(store, judging_id=second).scorer == "other"
    store.close()


class Odd(Struct):
    """A plan of another shape."""

    chosen: int | str | None = None
    candidates: list[dict[str, object]] = []


def planned(*kv_types: str, chosen: int = 0) -> Odd:
    """Return what matters of a plan: the scorer's and another engine's keys and values, for each candidate."""
    return Odd(
        chosen=chosen,
        candidates=[
            {"engines": [{"role": "seeker", "spec": {"kv_type": "q4_0"}}, {"role": "scorer", "spec": {"kv_type": kv}}]}
            for kv in kv_types
        ],
    )


def test_a_judging_knows_the_kv_types_that_its_readings_were_planned_with(tmp_path: Path) -> None:
    reading = Reading(
        dialogue_id=1,
        dimension=Dimension.EMPATHY,
        reply="",
        label=None,
        probabilities=None,
        off_label_mass=None,
        drafted=False,
        busy_s=0,
    )
    plans = [planned("f16", "q8_0", chosen=1), planned("f16"), planned("q4_0"), Odd(), Odd(chosen=3), None]
    for plan, dimension in zip(plans, Dimension, strict=False):
        store = begin(tmp_path / "run.db")
        if plan is not None:
            store.add_plan(plan)
        judging = store.add_judging(structs.replace(JUDGING, scorer="other" if plan is plans[2] else "s"))
        store.add_reading(judging, structs.replace(reading, dimension=dimension))
        store.close()
        # Readings and attempts are told apart by their time, in milliseconds.
        time.sleep(0.005)
    with Database.reader(tmp_path / "run.db") as database:
        store = RunStore.read(database)
        kv_types = {scorer: store.kv_types(number) for number, scorer in store.judgings()}
    assert kv_types == {"s": ("f16", "q8_0"), "other": ("q4_0",)}


def test_a_judging_that_is_not_to_be_shown_leaves_the_shown_one(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    shown = store.add_judging(JUDGING)
    hidden = store.add_judging(structs.replace(JUDGING, kv_type="q8_0"), is_shown=False)
    assert hidden != shown
    assert store.add_judging(JUDGING, is_shown=False) == shown
    assert [number for number, _ in store.judgings()] == [hidden, shown]
    assert store.judging_settings(hidden).kv_type == "q8_0"
    store.add_judging(structs.replace(JUDGING, kv_type="q8_0"))
    assert [number for number, _ in store.judgings()] == [shown, hidden]
    store.close()


@pytest.mark.parametrize("name", ["n" * 300, "run.db/below.db"])
def test_an_impossible_path_is_a_storage_error(tmp_path: Path, name: str) -> None:
    begin(tmp_path / "run.db").close()
    with pytest.raises(StorageError):
        Database.writer(tmp_path / name)


def test_a_file_that_is_no_run_gets_no_lock_beside_it(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("a text")
    with pytest.raises(StorageError):
        Database.writer(tmp_path / "README.md")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_load_is_kept_with_its_seconds_and_bytes_until_its_memory_is_free(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    ready = {"device": "CPU", "slots": 4, "load_s": 1.5}
    first = store.add_load("seeker", ready, peak_bytes=100)
    store.end_load(first, peak_bytes=250)
    store.add_load("supporter", ready, peak_bytes=70)
    gone, there = store.loads()
    assert (gone.name, gone.attempt, gone.device, gone.slots, gone.load_s) == ("seeker", 1, "CPU", 4, 1.5)
    assert gone.peak_bytes == 250
    assert gone.left_utc is not None
    assert (there.name, there.peak_bytes, there.left_utc) == ("supporter", 70, None)
