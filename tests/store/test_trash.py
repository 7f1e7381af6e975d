"""A deleted run comes back whole; nothing is overwritten, no link is followed, and what is worked on stays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from escl.errors import StorageError
from escl.store import beside
from escl.store.beside import Now, Speech
from escl.store.database import Database
from escl.store.run import RunStore
from escl.store.trash import FOLDER, discard, discarded, restore
from tests.runs import begin


@pytest.fixture
def run(tmp_path: Path) -> Path:
    begin(tmp_path / "one.db").close()
    (tmp_path / "one.log").write_text("said", encoding="utf-8")
    (tmp_path / "one.txt").write_text("mine", encoding="utf-8")
    return tmp_path / "one.db"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {FOLDER}


def test_a_run_goes_with_what_is_beside_it_and_comes_back_whole(run: Path) -> None:
    before, content = names(run.parent), run.read_bytes()
    gone = discard(run)
    assert names(run.parent) == {"one.txt"}
    assert {"one.db", "one.log"} <= names(gone.entry)
    assert stat.S_IMODE(gone.entry.parent.stat().st_mode) == 0o700
    (found,) = discarded([run.parent])
    assert found.path == run
    restore(found)
    assert names(run.parent) == before
    assert run.read_bytes() == content
    assert discarded([run.parent]) == []


def test_what_a_killed_run_was_saying_does_not_stay_behind(run: Path) -> None:
    beside.tell(run, Now(attempt=1, n_evaluated=0, n_generated=0, speaking=(Speech(dialogue_id=1, text="mine"),)))
    beside.watch(run)
    beside.pause(run)
    discard(run)
    assert names(run.parent) == {"one.txt"}


def test_a_run_that_a_process_works_on_is_refused_and_stays(run: Path) -> None:
    with Database.writer(run), pytest.raises(StorageError, match="another process is working"):
        discard(run)
    assert run.exists()
    assert not (run.parent / FOLDER).exists()
    discard(run)
    assert not run.exists()


def test_a_half_commit_travels_with_its_run(run: Path) -> None:
    journal = run.with_name("one.db-journal")
    journal.write_bytes(b"x")
    restore(discard(run))
    assert journal.read_bytes() == b"x"


def test_the_last_one_deleted_comes_first_also_of_one_name(run: Path) -> None:
    discard(run)
    begin(run, seed=1).close()
    discard(run)
    last, first = discarded([run.parent])
    restore(last)
    with Database.reader(run) as database:
        settings = RunStore.read(database).settings
    assert getattr(settings, "seed", None) == 1
    with pytest.raises(StorageError, match="is there already"):
        restore(first)
    assert discarded([run.parent]) == [first]


@pytest.mark.parametrize("name", ["one.db", "one.db.lock"])
def test_a_link_is_neither_followed_nor_moved(run: Path, name: str) -> None:
    elsewhere = run.parent / "elsewhere"
    elsewhere.write_bytes(b"precious")
    at = run.with_name(name)
    at.unlink(missing_ok=True)
    at.symlink_to(elsewhere)
    with pytest.raises(StorageError, match="is no plain file"):
        discard(run)
    assert elsewhere.read_bytes() == b"precious"
    assert at.is_symlink()


def test_a_trash_that_is_a_link_is_refused(run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (run.parent / FOLDER).symlink_to(elsewhere)
    with pytest.raises(StorageError):
        discard(run)
    assert run.exists()
    assert list(elsewhere.iterdir()) == []
    assert discarded([run.parent]) == []


def test_a_log_that_is_a_link_stays_where_it_is(run: Path) -> None:
    log = run.with_suffix(".log")
    log.unlink()
    log.symlink_to(os.devnull)
    discard(run)
    assert log.is_symlink()
