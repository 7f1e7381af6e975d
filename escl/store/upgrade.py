"""Brings runs of earlier layouts up to the present one, by copying their facts into a new database.

Nothing of the old file is executed: only its plain tables are read, column by column. Columns that are new get their
defaults. Knows no layout by heart; `escl.store.database` says which it takes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

OLDEST: Final = 2
"""The first layout whose facts can be carried over."""


def copy_facts(old: Path, new: sqlite3.Connection) -> None:
    """Fill the empty tables of `new` with the rows that `old` has for them.

    Raises:
        sqlite3.DatabaseError: The old file is damaged, or holds rows that the present layout does not allow.
    """
    new.execute("ATTACH DATABASE ? AS old", (f"{old.absolute().as_uri()}?mode=ro",))
    new.execute("PRAGMA foreign_keys=OFF")
    new.execute("BEGIN IMMEDIATE")
    there = {row[0] for row in new.execute("SELECT name FROM old.sqlite_schema WHERE type = 'table'")}
    for (table,) in new.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
        # The allowed changes of state are the layout's own, no facts.
        if table not in there or table == "dialogue_change":
            continue
        common = ", ".join(name for name in _columns(new, "main", table) if name in _columns(new, "old", table))
        new.execute(f"INSERT INTO main.{table} ({common}) SELECT {common} FROM old.{table}")
    broken = new.execute("PRAGMA main.foreign_key_check").fetchone()
    if broken is not None:
        raise sqlite3.DatabaseError(f"a row of {broken[0]} refers to nothing")
    new.execute("COMMIT")
    new.execute("DETACH DATABASE old")
    new.execute("PRAGMA foreign_keys=ON")


def put_in_place(made: Path, path: Path) -> None:
    """Replace `path` by `made`, whose content is on the disk already, and wait until the folder knows it."""
    made.replace(path)
    with contextlib.suppress(OSError, AttributeError):
        # Windows opens no folders and needs none.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _columns(connection: sqlite3.Connection, database: str, table: str) -> list[str]:
    # Table names come from our own schema only.
    return [row[1] for row in connection.execute(f"PRAGMA {database}.table_info({table})")]
