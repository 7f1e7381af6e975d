"""How far a run is can be asked of its file while another process works on it."""

from __future__ import annotations

import threading
from pathlib import Path

import filelock

from escl.core.dialogue import Speaker, Turn
from escl.store.database import Database
from escl.store.records import FailureRow, TurnRow
from escl.store.watch import Watcher, is_held, is_run
from tests.runs import begin, card, rated


def test_progress_counts_what_was_committed_while_the_writer_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    store.add_cards([card("c2")])
    store.plan_dialogues([("c2", "en", "supporter", 0)])
    with Database.reader(path) as database:
        watcher = Watcher(database)
        assert watcher.progress().n_turns == 0
        store.set_state(1, "speaking")
        for position, text in enumerate(("hello", "oh", "yes")):
            store.add_turn(1, position, TurnRow(turn=Turn(speaker=Speaker.SEEKER, text=text)))
        now = watcher.progress()
        assert (now.n_turns, now.n_turns_asked, now.n_readings) == (2, 8, None)
        assert now.dialogues == {"pending": 1, "speaking": 1, "complete": 0, "failed": 0}
        assert now.work(is_held=is_held(path)) == "running"
        assert [(said.position, said.text) for said in watcher.latest()] == [(2, "yes")]
        store.add_failure(FailureRow(dialogue_id=1, error="GaveUpError", message="three times", position=3))
        assert [trouble.message for trouble in watcher.troubles()] == ["three times"]
        assert watcher.progress().n_failures == 1
        store.set_state(1, "failed")
        failed = watcher.progress()
        assert (failed.n_turns, failed.n_turns_asked) == (2, 6)
        store.finish("interrupted")
        store.close()
        assert watcher.progress().work(is_held=is_held(path)) == "interrupted"


def test_a_writer_waits_for_those_who_only_look_whether_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    begin(path).close()
    looking = filelock.FileLock(path.with_name("run.db.lock"), thread_local=False)
    looking.acquire()
    threading.Timer(0.1, looking.release, (True,)).start()
    Database.writer(path).close()


def test_a_command_that_never_ended_and_holds_nothing_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    begin(path).close()
    with Database.reader(path) as database:
        assert Watcher(database).progress().work(is_held=is_held(path)) == "killed"


def test_a_finished_run_is_whole(tmp_path: Path) -> None:
    path = rated(tmp_path / "run.db", {"warm": {"a": [3.0], "b": [None]}})
    with Database.reader(path) as database:
        now = Watcher(database).progress()
    assert (now.n_readings, now.n_readings_asked) == (14, 14)
    assert now.work(is_held=False) == "finished"


def test_only_the_file_of_a_run_is_taken_for_one(tmp_path: Path) -> None:
    run = rated(tmp_path / "run.db", {"warm": {"a": [3.0]}})
    other = tmp_path / "other.db"
    other.write_bytes(b"SQLite format 3\0" + bytes(100))
    link = tmp_path / "link.db"
    link.symlink_to(run)
    assert [is_run(path) for path in (run, other, link, tmp_path, tmp_path / "none.db")] == [True, *[False] * 4]
