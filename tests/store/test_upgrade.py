"""A run of an earlier layout is read as it is, and brought up to date when it is worked on."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from escl.core.dialogue import Speaker, Turn
from escl.errors import StorageError
from escl.store.database import APPLICATION_ID, SCHEMA_VERSION, Database
from escl.store.records import FailureRow, TurnRow
from escl.store.run import RunStore
from tests.runs import begin

LAYOUT_2 = Path(__file__).with_name("layout_2.sql")


def earlier(path: Path) -> Path:
    """Return a run in layout 2 with two turns and a failure that was given up."""
    now = path.parent / "now" / "run.db"
    now.parent.mkdir()
    store = begin(now)
    store.plan_dialogues([("c1", "en", "supporter", 1)])
    for dialogue in (1, 2):
        store.set_state(dialogue, "speaking")
    store.add_turn(1, 0, TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text="Hello.")))
    store.add_turn(1, 1, TurnRow(turn=Turn(speaker=Speaker.SEEKER, text="Hi."), finish="stop", seed=7, busy_s=0.5))
    store.add_failure(FailureRow(dialogue_id=2, error="EngineHungError", message="no sign of life", position=1))
    store.finish("interrupted")
    store.close()
    with sqlite3.connect(path) as old:
        old.executescript(LAYOUT_2.read_text(encoding="utf-8"))
        old.execute(f"PRAGMA application_id={APPLICATION_ID}")
        old.execute("PRAGMA user_version=2")
        old.execute("ATTACH DATABASE ? AS now", (str(now),))
        for (table,) in old.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            if table != "dialogue_change":
                old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
    old.close()
    shutil.rmtree(now.parent)
    return path


def check(store: RunStore) -> None:
    assert [turn.text for turn in store.turns(1)] == ["Hello.", "Hi."]
    assert [dialogue.state for dialogue in store.dialogues()] == ["speaking", "failed"]
    assert [failure.error for failure in store.failures()] == ["EngineHungError"]
    assert store.requests() == []
    assert store.connections() == 0
    assert store.cards().keys() == {"c1"}


def test_a_reader_sees_every_fact_and_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = earlier(tmp_path / "run.db")
    before = path.read_bytes()
    with Database.reader(path) as database:
        check(RunStore.read(database))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["run.db"]


def test_the_same_command_goes_on_with_it_in_the_present_layout(tmp_path: Path) -> None:
    path = earlier(tmp_path / "run.db")
    store = begin(path)
    check(store)
    row = TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text="I see."), reasoning="He is sad.")
    store.add_turn(1, 2, row)
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT reasoning FROM turn ORDER BY position").fetchall() == [
        (None,),
        (None,),
        ("He is sad.",),
    ]
    assert connection.execute("SELECT seed, busy_s FROM turn WHERE position = 1").fetchone() == (7, 0.5)
    connection.close()
    assert path.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.upgrade*"))


def test_an_upgrade_that_was_killed_begins_anew(tmp_path: Path) -> None:
    path = earlier(tmp_path / "run.db")
    path.with_name("run.db.upgrade").write_bytes(b"half a file")
    store = begin(path)
    check(store)
    store.close()


def test_a_damaged_run_of_an_earlier_layout_is_refused_and_kept(tmp_path: Path) -> None:
    path = earlier(tmp_path / "run.db")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DELETE FROM attempt")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="failure refers to nothing"):
        begin(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.upgrade*"))


def test_a_later_layout_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="layout"):
        begin(tmp_path / "run.db")
