"""A run's file as a screen reads it: in a thread of its own, so that no key ever waits for a query."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from escl.errors import StorageError

if TYPE_CHECKING:
    from escl.store.database import Database

T = TypeVar("T")

WAITS_S = 2.0
"""How long a file may be locked before it is said."""


class OpenRun:
    """One run file, opened for reading when it is first asked.

    Attributes:
        is_locked: Whether another program has it locked, when it was last asked; it is asked again and again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_locked = False
        self._queries: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._database: Database | None = None
        # SQLite's connection stays in the thread that made it. A daemon: who quits does not wait for a locked file.
        threading.Thread(target=self._answer, name=f"run {path.name}", daemon=True).start()

    async def ask(self, query: Callable[[Database], T]) -> T:
        """Return what `query` finds in the file; a query that nobody waits for any more is not begun.

        While another program has the file locked, it is asked again and again, and nobody hears an error.

        Raises:
            StorageError: The file is not there, is no run, or is damaged.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(found: T | None, error: Exception | None) -> None:
            if answer.cancelled():
                return
            if error is None:
                answer.set_result(found)  # type: ignore[arg-type]
            else:
                answer.set_exception(error)

        def asked() -> None:
            while not answer.cancelled():
                found, error = None, None
                try:
                    found = query(self._opened())
                except Exception as raised:  # noqa: BLE001 - the boundary of a thread: whatever it is, the asker hears it
                    error = raised
                self.is_locked = _is_of_lock(error)
                if self.is_locked:
                    continue
                # The app may have ended meanwhile, and its loop with it.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(tell, found, error)
                return

        self._queries.put(asked)
        return await answer

    def close(self) -> None:
        """Close the file once the query that is under way has ended."""
        self._queries.put(None)

    def _answer(self) -> None:
        while (asked := self._queries.get()) is not None:
            asked()
        self._closed()

    def _opened(self) -> Database:
        from escl.store.database import Database

        if self._database is None:
            self._database = Database.reader(self.path, waits_s=WAITS_S)
        elif not self.path.exists():
            self._closed()
            raise StorageError(f"{self.path} is not there any more", hint="it was moved or removed")
        return self._database

    def _closed(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _is_of_lock(error: Exception | None) -> bool:
    from escl.store.database import is_of_lock

    return isinstance(error, StorageError) and is_of_lock(error)
