"""What a run tells those who watch is bounded, checked, and never more than a courtesy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.errors import StorageError
from escl.store import beside
from escl.store.beside import MAX_BYTES, MOST_CHARS, MOST_SPEAKING, Now, Speech
from escl.store.database import Database
from escl.store.watch import Watcher
from tests.runs import begin

NOW = Now(attempt=1, n_evaluated=70, n_generated=7, speaking=(Speech(dialogue_id=3, text="I hear 睡不着"),))


def live(path: Path) -> Path:
    return path.with_name(path.name + ".live")


def test_what_is_told_is_read_back_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    assert beside.told(path) is None
    beside.tell(path, NOW)
    assert beside.told(path) == NOW
    assert live(path).stat().st_mode & 0o077 == 0
    beside.tell(path, msgspec.structs.replace(NOW, n_generated=8))
    assert beside.told(path) == msgspec.structs.replace(NOW, n_generated=8)
    beside.hush(path)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_that_may_be_told_fits(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for worst in ("\U0001f319", "\x01"):
        speech = Speech(dialogue_id=2**53 - 1, text=worst * MOST_CHARS)
        now = msgspec.structs.replace(NOW, speaking=(speech,) * MOST_SPEAKING)
        beside.tell(path, now)
        assert live(path).stat().st_size <= MAX_BYTES
        assert beside.told(path) == now


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"{",
        b"[]",
        b'{"attempt": -1, "n_evaluated": 0, "n_generated": 0, "speaking": []}',
        b'{"attempt": 1, "n_evaluated": 1e300, "n_generated": 0, "speaking": []}',
        b'{"attempt": 1, "n_evaluated": 0, "n_generated": 0, "speaking": [{"dialogue_id": 1, "text": 5}]}',
        b'{"attempt": 1, "n_evaluated": 0, "n_generated": 0, "speaking": [{"dialogue_id": 1, "text": "\xff"}]}',
        msgspec.json.encode({**msgspec.to_builtins(NOW), "speaking": [{"dialogue_id": 1, "text": "x"}] * 17}),
        msgspec.json.encode({**msgspec.to_builtins(NOW), "speaking": [{"dialogue_id": 1, "text": "x" * 2001}]}),
        msgspec.json.encode(NOW) + b" " * MAX_BYTES,
        b"[" * 100_000,
    ],
)
def test_hostile_content_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.db"
    live(path).write_bytes(content)
    assert beside.told(path) is None


@given(content=st.binary(max_size=200), cut=st.integers(0, 200))
def test_no_bytes_and_no_part_of_what_was_told_raise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.db"
    for written in (content, msgspec.json.encode(NOW)[:cut]):
        live(path).write_bytes(written)
        assert beside.told(path) in (None, NOW)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
@pytest.mark.parametrize("odd", ["link", "pipe", "folder"])
def test_neither_links_nor_pipes_nor_folders_are_followed(tmp_path: Path, odd: str) -> None:
    path, other = tmp_path / "run.db", tmp_path / "other"
    other.write_bytes(msgspec.json.encode(NOW))
    make: dict[str, Callable[[Path], object]] = {
        "link": lambda at: at.symlink_to(other),
        "pipe": os.mkfifo,
        "folder": lambda at: (at / "in").mkdir(parents=True),
    }
    for ending in (".live", ".live.new", ".watched", ".paused"):
        make[odd](path.with_name(path.name + ending))
    before = other.stat().st_mtime_ns
    assert beside.told(path) is None
    assert beside.watched_at(path) is None
    assert not beside.is_paused(path)
    beside.watch(path)
    with pytest.raises(StorageError):
        beside.pause(path)
    beside.tell(path, msgspec.structs.replace(NOW, n_generated=9))
    assert other.read_bytes() == msgspec.json.encode(NOW)
    assert other.stat().st_mtime_ns == before


def test_watching_is_seen_by_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    beside.watch(path)
    first = beside.watched_at(path)
    os.utime(path.with_name("run.db.watched"), (5, 5))
    beside.watch(path)
    assert first is not None
    assert beside.watched_at(path) not in (None, 5_000_000_000)
    beside.unwatch(path)
    assert beside.watched_at(path) is None


def test_where_nothing_can_be_written_a_run_says_nothing_and_a_person_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "run.db"
    beside.tell(path, NOW)
    beside.watch(path)
    beside.clear(path)
    with pytest.raises(StorageError):
        beside.pause(path)
    beside.resume(path)
    assert not beside.is_paused(path)


def test_a_pause_ends_with_the_command_it_was_meant_for(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    beside.pause(path)
    beside.watch(path)
    beside.tell(path, NOW)
    # Killed: nothing was cleared.
    store.close()
    assert beside.is_paused(path)
    again = begin(path)
    assert not beside.is_paused(path)
    beside.pause(path)
    again.finish("finished")
    again.close()
    assert {one.name for one in tmp_path.iterdir()} <= {"run.db", "run.db.lock"}


def test_what_an_earlier_command_told_is_not_of_this_moment(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    begin(path).close()
    store = begin(path)
    with Database.reader(path) as database:
        watcher = Watcher(database)
        beside.tell(path, NOW)
        assert watcher.now() is None
        beside.tell(path, msgspec.structs.replace(NOW, attempt=store.attempt))
        assert watcher.now() is not None
    store.close()
