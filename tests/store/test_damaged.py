"""A run file that somebody has written into: escl reads what it would have written itself, or refuses it by name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escl.cli.main import app as escl
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.settings import ArenaSettings
from escl.errors import StorageError
from escl.store.arena import ARENA, ArenaStore, ComparisonRow, Question
from escl.store.browse import Browser
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import rated

_DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rated(tmp_path_factory.mktemp("run") / "run.db", {"warm": {"a": [3.0], "b": [2.0]}})


def _written_into(whole: Path, folder: Path, statement: str, *values: object) -> Path:
    path = Path(shutil.copy(whole, folder / "run.db"))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA foreign_keys = OFF")
    assert connection.execute(statement, values).rowcount
    connection.close()
    return path


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"seed": "x", "escl": 1}', _DEEP])
@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("run SET settings", lambda store: store.settings),
        ("run SET protocol", lambda store: store.protocol),
        ("attempt SET versions", lambda store: store.attempts()),
        ("attempt SET host", lambda store: store.attempts()),
        ("judging SET settings", lambda store: store.judging_settings(1)),
    ],
)
def test_json_of_another_kind_is_refused(
    whole: Path, tmp_path: Path, column: str, text: str, read: Callable[[RunStore], object]
) -> None:
    path = _written_into(whole, tmp_path, f"UPDATE {column} = ?", text)
    with Database.reader(path) as database, pytest.raises(StorageError, match="is damaged") as raised:
        read(RunStore.read(database))
    assert str(path) in raised.value.message


@pytest.mark.parametrize(
    "change",
    [
        "label = 5",
        "label = -1",
        "label = NULL",
        "p1 = NULL",
        "p0 = NULL",
        "p1 = 9e999",
        "p0 = -0.5",
        "p2 = 1e308",
        "off_label_mass = 2",
        "off_label_mass = NULL",
    ],
)
def test_labels_and_probabilities_that_can_be_none_are_refused(whole: Path, tmp_path: Path, change: str) -> None:
    path = _written_into(whole, tmp_path, f"UPDATE reading SET {change} WHERE dialogue_id = 2 AND dimension = 'tech'")
    with Database.reader(path) as database:
        store = RunStore.read(database)
        with pytest.raises(StorageError, match="a reading of tech"):
            store.readings(1)
        with pytest.raises(StorageError, match="a reading of tech"):
            Browser(database).whole(2)
        assert len(store.readings(1, dialogue_id=1)) == len(Dimension)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE reading SET dimension = 'x' WHERE dimension = 'tech'", "there is no dimension x"),
        ("UPDATE reading SET p1 = 9e999", "p1 inf"),
        ("UPDATE run SET settings = '{'", "the run's settings"),
    ],
)
@pytest.mark.parametrize("command", ["report", "compare", "power"])
def test_commands_say_so_and_alter_nothing(
    whole: Path, tmp_path: Path, command: str, statement: str, said: str
) -> None:
    path = _written_into(whole, tmp_path, statement)
    before = path.read_bytes()
    done = CliRunner().invoke(escl, [command, str(path)])
    assert isinstance(done.exception, StorageError)
    assert said in done.exception.message
    assert done.exception.hint is not None
    assert path.read_bytes() == before


def test_an_arena_of_another_language_or_label_is_refused(tmp_path: Path) -> None:
    settings = ArenaSettings(judge="j", sha256="0", rubric="open", rubric_sha256="0", llama_cpp="0")
    for change, said in (("language = 'xx'", "'xx' is not a valid Language"), ("p4 = 7", "p4 7.0")):
        path = tmp_path / f"{said}.db"
        store = ArenaStore.begin(Database.writer(path, ARENA), settings, load_rubric("open"), command="", versions={})
        row = ComparisonRow(reply="4", label=4, probabilities=(0, 0, 0, 0, 1), off_label_mass=0, busy_s=0)
        store.add(Question(Language.ENGLISH, Dimension.OVERALL, "a", "b"), row)
        assert len(store.comparisons()) == 1
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("DROP TRIGGER comparison_is_final")
        connection.execute(f"UPDATE comparison SET {change}")
        connection.close()
        with pytest.raises(StorageError, match=said):
            store.comparisons()
        store.close()


def test_a_speaker_who_is_neither_is_refused(whole: Path, tmp_path: Path) -> None:
    path = _written_into(
        whole, tmp_path, "INSERT INTO turn (dialogue_id, position, speaker, text, said_utc) VALUES (1, 0, 'x', '', '')"
    )
    with Database.reader(path) as database:
        with pytest.raises(StorageError, match="Turn: Invalid enum value 'x'"):
            RunStore.read(database).turns(1)
        with pytest.raises(StorageError, match="Turn: Invalid enum value 'x'"):
            Browser(database).whole(1)


def test_a_page_is_written_where_a_plan_or_a_time_is_none(whole: Path, tmp_path: Path) -> None:
    plan = '{"a":' * 900 + "1" + "}" * 900
    path = _written_into(whole, tmp_path, "UPDATE attempt SET plan = ?", plan)
    connection = sqlite3.connect(path, isolation_level=None)
    for loaded_utc in ("", "2026-01-01T00:00:00"):
        connection.execute(
            "INSERT INTO load (attempt_id, name, ready, peak_bytes, loaded_utc, left_utc)"
            " VALUES (1, 'm', ?, 1, ?, '2026-01-01T00:00:00+00:00')",
            ('{"device": "CPU", "slots": 1, "load_s": 1.5}', loaded_utc),
        )
    connection.close()
    page = tmp_path / "page.html"
    done = CliRunner().invoke(escl, ["report", str(path), "--html", str(page)])
    assert (done.exit_code, done.exception) == (0, None)
    assert "</html>" in page.read_text(encoding="utf-8")
