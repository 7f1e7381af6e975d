"""Many small jobs, some at a time, until done or stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from escl.errors import EsclError

T = TypeVar("T")


async def side_by_side(
    job: Callable[[T], Awaitable[None]], items: Iterable[T], *, parallel: int, stop: asyncio.Event
) -> None:
    """Run `job` on every item, `parallel` at a time; once `stop` is set, jobs that have not begun never do.

    Raises:
        EsclError: The first that a job raised; the other jobs are cancelled.
    """
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            if stop.is_set():
                break
            await job(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(work())
    except* EsclError as errors:
        raise errors.exceptions[0] from None
