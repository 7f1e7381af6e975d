"""A run's or an arena's file: opened or created safely, locked by one writer, every fact committed when it exists.

Rollback journal with synchronous=EXTRA: a turn that was acknowledged survives power loss, and the WAL-reset bug of
SQLite 3.7.0 to 3.51.2 (https://sqlite.org/changes.html, 3.53.0) cannot bite.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self, TypeVar

import filelock
import msgspec

from escl.errors import StorageError
from escl.store import upgrade

T = TypeVar("T")

OLDEST_SQLITE = (3, 38, 0)
"""The first with both STRICT tables (3.37) and the JSON functions always built in."""
WAL_RESET_FIXED = (3, 51, 3)
APPLICATION_ID = 0x6573636C  # "escl"
SCHEMA_VERSION = 5
_MAGIC = b"SQLite format 3\0"
_WAITS_S = 30.0
_LOCKED_WITHIN_S = 0.5
"""Whoever asks whether a file is held (`escl.store.watch.is_held`) holds it for an instant."""
_ROUNDED = 0.001
"""By how much a probability may be off for its arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a file holds.

    Attributes:
        name: "run".
        what: The same with its article, "a run".
        made_by: The command that makes such files.
        schema: The file in this package with its tables.
        application_id: By which a file is recognized.
        version: Of the tables.
    """

    name: str
    what: str
    made_by: str
    schema: str
    application_id: int
    version: int


RUN = Layout(
    name="run",
    what="a run",
    made_by="escl run",
    schema="schema.sql",
    application_id=APPLICATION_ID,
    version=SCHEMA_VERSION,
)


class Database:
    """An open file. `writer` holds the file's lock until `close`; a reader never blocks the writer for long."""

    def __init__(self, connection: sqlite3.Connection, path: Path, lock: filelock.FileLock | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def writer(cls, path: Path, layout: Layout = RUN) -> Self:
        """Open `path` for writing, creating it with mode 0600 when it is not there.

        Raises:
            StorageError: Another process works on it, it is not such a file, it is damaged, or the disk refuses.
        """
        _refuse_odd_files(path)
        _refuse_foreign_files(path, layout)
        lock = _lock(path)
        try:
            if _has_half_commit(path):
                # What follows reads it, which a reader may not before that is taken back.
                _take_back(path)
            if layout is RUN and _has_earlier_layout(path):
                _upgrade(path)
            connection = _connect(path, layout, create=True)
            return cls(connection, path, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def reader(cls, path: Path, layout: Layout = RUN, *, waits_s: float = _WAITS_S) -> Self:
        """Open `path` read-only; where another program has it locked, every question waits so long for it.

        Raises:
            StorageError: It is not there, is not such a file, or is locked (`is_of_lock`).
        """
        _refuse_odd_files(path)
        if not path.is_file():
            hint = f"the file of {layout.what} is what `{layout.made_by} --out` names"
            raise StorageError(f"{path} is not there", hint=hint)
        if _has_half_commit(path):
            # A writer was killed while it committed: SQLite takes the half commit back, which a reader may not.
            # While a writer is at work it holds its locks, and this changes nothing.
            _take_back(path, waits_s=waits_s)
        if layout is RUN and _has_earlier_layout(path, waits_s=waits_s):
            return cls(_upgraded_copy(path), path, None)
        return cls(_connect(path, layout, create=False, waits_s=waits_s), path, None)

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what happens inside, durably, or none of it.

        Raises:
            StorageError: The disk is full or failing; what was committed before is safe.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except sqlite3.IntegrityError:
            self._rollback()
            raise
        except sqlite3.DatabaseError as error:
            self._rollback()
            raise StorageError(
                f"{self.path}: {error}",
                hint="what was committed is safe; see to the disk and run the same command again",
            ) from error
        except BaseException:
            self._rollback()
            raise

    def rows(self, query: str, *parameters: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self.path}: {error}") from error

    def taken(self, row: Mapping[str, object], kind: type[T]) -> T:
        """Return a stored row as a value of its kind.

        Raises:
            StorageError: The file holds something there that escl does not write.
        """
        try:
            return msgspec.convert(row, kind)
        except msgspec.ValidationError as error:
            names = (str(row[name]) for name in ("id", "card_id") if name in row)
            where = f"{kind.__name__.removesuffix('Row')} {' '.join(names)}".rstrip()
            raise self.damaged(where, str(error)) from error

    def decoded(self, text: str, kind: type[T], *, where: str) -> T:
        """Return stored JSON as a value of its kind; `where` names it in the error.

        Raises:
            StorageError: The file holds something there that escl does not write.
        """
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            raise self.damaged(where, str(error)) from error

    def refuse_odd_labels(self, table: str, among: str = "TRUE", *values: object) -> None:
        """Refuse what no reader of labels has said, for those who then read many rows without a look at each.

        Args:
            table: One with a label and its probabilities.
            among: The SQL condition on its rows, with `values`.

        Raises:
            StorageError: A label is none, or what stands for a probability cannot be one.
        """
        shares = (*(f"p{label}" for label in range(5)), "off_label_mass")
        bounded = " AND ".join(f"{one} BETWEEN -{_ROUNDED} AND 1 + {_ROUNDED}" for one in shares)
        none = " AND ".join(f"{one} IS NULL" for one in ("label", *shares))
        odd = f"NOT coalesce(({none}) OR (label BETWEEN 0 AND 4 AND {bounded}), FALSE)"
        rows = self.rows(f"SELECT * FROM {table} WHERE {among} AND {odd} LIMIT 1", *values)
        if rows:
            (row,) = rows
            found = ", ".join(f"{one} {row[one]}" for one in ("label", *shares))
            raise self.damaged(f"a {table} of {row['dimension'] if 'dimension' in row.keys() else row['step']}", found)  # noqa: SIM118 - a Row

    def damaged(self, where: str, why: str) -> StorageError:
        """Return the error of something in this file that escl does not write."""
        return StorageError(
            f"{self.path} is damaged: {where}: {why}",
            hint="escl wrote no such thing: take another copy of the file, or begin the run anew",
        )

    def version(self) -> int:
        """Return a number that another one takes the place of when somebody else has written to the file."""
        (row,) = self.rows("PRAGMA data_version")
        found: int = row[0]
        return found

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process from working on the run at `path` meanwhile.

    Raises:
        StorageError: One works on it already.
    """
    lock = _lock(path)
    try:
        yield
    finally:
        lock.release()


def is_of_lock(error: StorageError) -> bool:
    """Return whether a file could not be read because another program has locked it."""
    cause = error.__cause__
    # The low byte is the kind of error, what is above it the occasion (https://sqlite.org/rescode.html).
    code = getattr(cause, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF == sqlite3.SQLITE_BUSY


def sqlite_version() -> tuple[int, int, int]:
    """Return the version of the SQLite library that Python brings."""
    major, minor, patch = sqlite3.sqlite_version_info
    return major, minor, patch


def _refuse_odd_files(path: Path) -> None:
    """Refuse a symlink (it could point at someone else's file) and anything that is not a plain file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise StorageError(f"the folder of {path} is not there", hint="create it first") from None
        return
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="name another --out") from error
    if not stat.S_ISREG(mode):
        raise StorageError(f"{path} is not a plain file", hint="name a new file or an earlier run's file")


def _refuse_foreign_files(path: Path, layout: Layout) -> None:
    """Refuse a file that is no database before anything is made beside it."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise StorageError(f"{path} cannot be opened as {layout.what}: it is no database", hint="name a new file")


def _lock(path: Path) -> filelock.FileLock:
    lock = filelock.FileLock(path.with_name(path.name + ".lock"), mode=0o600)
    try:
        lock.acquire(timeout=_LOCKED_WITHIN_S)
    except filelock.Timeout:
        raise StorageError(f"another process is working on {path}", hint="wait for it, or name another --out") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be locked: {error}") from error
    return lock


def _connect(path: Path, layout: Layout, *, create: bool, waits_s: float = _WAITS_S) -> sqlite3.Connection:
    try:
        if create and not path.exists():
            # O_EXCL and O_NOFOLLOW: never write through a link that appeared meanwhile. 0600: transcripts are private.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))
        mode = "rw" if create else "ro"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=waits_s
        )
        connection.row_factory = sqlite3.Row
        _configure(connection, writable=create)
        _check_or_create_schema(connection, path, layout, writable=create)
        return connection
    except (sqlite3.DatabaseError, OSError) as error:
        raise StorageError(
            f"{path} cannot be opened as {layout.what}: {error}", hint=f"is it a file that `{layout.made_by}` made?"
        ) from error


def _has_half_commit(path: Path) -> bool:
    """Return whether a writer was killed while it committed, or is about to commit."""
    return path.exists() and path.with_name(path.name + "-journal").exists()


def _take_back(path: Path, *, waits_s: float = _WAITS_S) -> None:
    """Open a file for writing, which makes SQLite take a half commit back."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=waits_s)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path} cannot be opened as a run: {error}") from error
    finally:
        connection.close()


def _has_earlier_layout(path: Path, *, waits_s: float = _WAITS_S) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=waits_s)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"{path} cannot be opened as a run: {error}", hint="is it a file that `escl run` made?"
        ) from error
    return bool(application == APPLICATION_ID) and upgrade.OLDEST <= version < SCHEMA_VERSION


def _upgrade(path: Path) -> None:
    """Replace a run of an earlier layout by the same facts in the present one; killed halfway, nothing has changed."""
    _take_back(path)
    made = path.with_name(path.name + ".upgrade")
    made.unlink(missing_ok=True)
    try:
        connection = _connect(made, RUN, create=True)
        try:
            upgrade.copy_facts(path, connection)
        finally:
            connection.close()
        upgrade.put_in_place(made, path)
    except (sqlite3.DatabaseError, OSError) as error:
        made.unlink(missing_ok=True)
        raise StorageError(
            f"{path} has an earlier layout and cannot be brought up to date: {error}",
            hint="use the escl version that made it",
        ) from error


def _upgraded_copy(path: Path) -> sqlite3.Connection:
    """Return the facts of a run of an earlier layout in the present one, in memory; the file stays as it is."""
    connection = sqlite3.connect("file::memory:", uri=True, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        _configure(connection, writable=False)
        _check_or_create_schema(connection, path, RUN, writable=True)
        upgrade.copy_facts(path, connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StorageError(f"{path} has an earlier layout and cannot be read: {error}") from error
    return connection


def _configure(connection: sqlite3.Connection, *, writable: bool) -> None:
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "foreign_keys=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    if not writable:
        return
    for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    if sys.platform == "darwin":
        # Only F_FULLFSYNC empties the drive's own cache there.
        connection.execute("PRAGMA fullfsync=ON")


def _check_or_create_schema(connection: sqlite3.Connection, path: Path, layout: Layout, *, writable: bool) -> None:
    schema = resources.files("escl.store").joinpath(layout.schema).read_text(encoding="utf-8")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == 0 and tables == 0 and writable:
        marks = f"PRAGMA application_id={layout.application_id};PRAGMA user_version={layout.version}"
        connection.executescript(f"BEGIN IMMEDIATE;{schema};{marks};COMMIT")
        return
    if application != layout.application_id:
        raise StorageError(f"{path} is not the file of an escl {layout.name}", hint="name a new file")
    if version != layout.version:
        raise StorageError(
            f"{path} has the layout {version}, this escl knows {layout.version}",
            hint="use the escl version that made it",
        )
    if _declared(connection) != _declared_by(schema):
        raise StorageError(f"{path} has tables or triggers that escl did not make", hint="do not trust this file")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StorageError(f"{path} is damaged: {verdict}", hint="restore a copy")


def _declared(connection: sqlite3.Connection) -> list[tuple[str, str, str | None]]:
    return sorted((row[0], row[1], row[2]) for row in connection.execute("SELECT type, name, sql FROM sqlite_schema"))


def _declared_by(schema: str) -> list[tuple[str, str, str | None]]:
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(schema)
        return _declared(memory)
    finally:
        memory.close()
