"""A run's file as a screen reads it: in a thread of its own, so that no key ever waits for a query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from escl.errors import StorageError

if TYPE_CHECKING:
    from escl.store.database import Database

T = TypeVar("T")


class OpenRun:
    """One run file, opened for reading when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # SQLite's connection stays in the thread that made it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run")
        self._database: Database | None = None

    async def ask(self, query: Callable[[Database], T]) -> T:
        """Return what `query` finds in the file.

        Raises:
            StorageError: The file is not there, is no run, or is damaged.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, query)

    def close(self) -> None:
        """Close the file once the query that is under way has ended."""
        self._thread.submit(self._closed)
        self._thread.shutdown(wait=False)

    def _asked(self, query: Callable[[Database], T]) -> T:
        from escl.store.database import Database

        if self._database is None:
            self._database = Database.reader(self.path)
        elif not self.path.exists():
            self._closed()
            raise StorageError(f"{self.path} is not there any more", hint="it was moved or removed")
        return query(self._database)

    def _closed(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
