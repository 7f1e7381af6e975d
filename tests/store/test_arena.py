"""An arena's file: what was said is found again by what was read, and belongs to one judge."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest

from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.settings import ArenaSettings
from escl.errors import StorageError
from escl.store.arena import ARENA, ArenaStore, ComparisonFailure, ComparisonRow, Question
from escl.store.database import Database
from tests.runs import begin

OPEN = load_rubric("open")
SETTINGS = ArenaSettings(judge="j", sha256="0" * 64, rubric="open", rubric_sha256=OPEN.sha256(), llama_cpp="0")
QUESTION = Question(Language.ENGLISH, Dimension.OVERALL, "a" * 64, "b" * 64)
SAID = ComparisonRow(
    reply="The verdict is 1.", label=1, probabilities=(0.1, 0.6, 0.1, 0.1, 0.05), off_label_mass=0.05, busy_s=0.2
)
UNLABELLED = ComparisonRow(reply="Both.", label=None, probabilities=None, off_label_mass=None, busy_s=0.2)


def opened(path: Path, settings: ArenaSettings = SETTINGS) -> ArenaStore:
    return ArenaStore.begin(Database.writer(path, ARENA), settings, OPEN, command="test", versions={})


def test_what_was_committed_is_there_for_the_next_command(tmp_path: Path) -> None:
    path = tmp_path / "arena.db"
    turned = QUESTION._replace(first_sha256="b" * 64, second_sha256="a" * 64)
    store = opened(path)
    store.add(QUESTION, SAID)
    store.add(turned, UNLABELLED)
    store.close()
    with Database.reader(path, ARENA) as database:
        found = ArenaStore.read(database)
        assert found.settings == SETTINGS
        assert found.comparisons() == {QUESTION: SAID, turned: UNLABELLED}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_comparison_is_made_once_and_never_changed(tmp_path: Path) -> None:
    path = tmp_path / "arena.db"
    store = opened(path)
    store.add(QUESTION, SAID)
    with pytest.raises(sqlite3.IntegrityError):
        store.add(QUESTION, UNLABELLED)
    store.close()
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="never changed"):
        connection.execute("UPDATE comparison SET label = 4")


def test_what_failed_is_given_up_until_it_is_to_be_retried(tmp_path: Path) -> None:
    store = opened(tmp_path / "arena.db")
    failure = ComparisonFailure(error="ContextOverflowError", message="too long")
    store.add_failure(QUESTION, failure)
    assert store.failures() == {QUESTION: failure}
    store.retry_failed()
    assert store.failures() == {}
    store.close()


@pytest.mark.parametrize("field", ["judge", "sha256", "rubric_sha256", "llama_cpp"])
def test_another_judge_or_rubric_is_refused_and_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "arena.db"
    opened(path).close()
    with pytest.raises(StorageError, match=f"{field}: .* -> other"):
        opened(path, msgspec.structs.replace(SETTINGS, **{field: "other"}))


def test_one_command_at_a_time_works_on_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "arena.db")
    with pytest.raises(StorageError, match="another process"):
        opened(tmp_path / "arena.db")
    store.close()


def test_a_run_is_no_arena_and_an_arena_is_no_run(tmp_path: Path) -> None:
    begin(tmp_path / "run.db").close()
    opened(tmp_path / "arena.db").close()
    with pytest.raises(StorageError, match="not the file of an escl arena"):
        opened(tmp_path / "run.db")
    with pytest.raises(StorageError, match="not the file of an escl run"):
        begin(tmp_path / "arena.db")
