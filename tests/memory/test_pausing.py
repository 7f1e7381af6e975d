"""A paused pool begins nothing new, finishes what was begun, and goes on, or stops, as it was."""

from __future__ import annotations

import asyncio

import pytest

from escl.engine.wire import EngineSpec
from escl.errors import NotBegunError
from escl.memory import pool as pool_module
from escl.memory.pool import Pool, Room
from tests.fake_engine import SPEC, FakeStart, Log, ask


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch) -> FakeStart:
    start = FakeStart()
    monkeypatch.setattr(pool_module, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(pool_module, "Engine", start)
    return start


async def begun(start: FakeStart) -> None:
    while not start.engines or not start.engines[0].n_asked:
        await asyncio.sleep(0)


async def drained(start: FakeStart) -> None:
    while any(engine.n_asked for engine in start.engines):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_what_is_in_the_engine_is_answered_and_the_rest_waits(start: FakeStart, device: str | None) -> None:
    async def main() -> None:
        go = asyncio.Event()
        go.set()
        async with Pool(Log(), go=go) as pool:
            handle = pool.handle("m", EngineSpec(model="m", slots=4, device=device))
            asked = [asyncio.create_task(ask(handle, str(at))) for at in range(40)]
            await begun(start)
            go.clear()
            await drained(start)
            first = len(start.engines[0].answered)
            # Everybody who could has had the chance to begin.
            await asyncio.sleep(0.1)
            assert 0 < first <= 8
            assert len(start.engines[0].answered) == first
            go.set()
            assert await asyncio.gather(*asked) == [str(at) for at in range(40)]

    asyncio.run(main())
    assert len(start.engines) == 1


def test_a_pause_before_the_first_request_loads_nothing(start: FakeStart) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with Pool(Log(), go=go) as pool:
            asked = asyncio.create_task(ask(pool.handle("m", SPEC), "a"))
            await asyncio.sleep(0.05)
            assert start.engines == []
            go.set()
            assert await asked == "a"

    asyncio.run(main())


def test_a_stop_while_paused_turns_away_who_waits(start: FakeStart) -> None:
    async def main() -> list[object]:
        go, stop = asyncio.Event(), asyncio.Event()
        async with Pool(Log(), stop=stop, go=go) as pool:
            handle = pool.handle("m", SPEC)
            asked = [asyncio.create_task(ask(handle, str(at))) for at in range(3)]
            await asyncio.sleep(0.01)
            stop.set()
            await asyncio.sleep(0.01)
            go.set()
            return list(await asyncio.gather(*asked, return_exceptions=True))

    assert [type(answer) for answer in asyncio.run(main())] == [NotBegunError] * 3
    assert start.engines == []


def test_no_model_is_swapped_while_paused(start: FakeStart) -> None:
    async def main() -> None:
        go = asyncio.Event()
        go.set()
        async with Pool(Log(), Room(host=1), go=go) as pool:
            one, other = (pool.handle(name, EngineSpec(model=name), Room(host=1)) for name in ("one", "other"))
            asked = [asyncio.create_task(ask(one, str(at))) for at in range(3)]
            await begun(start)
            go.clear()
            late = asyncio.create_task(ask(other, "late"))
            await asyncio.gather(*asked)
            await asyncio.sleep(0.05)
            assert start.in_memory == ["one"]
            go.set()
            assert await late == "late"

    asyncio.run(main())


def test_engines_that_come_later_are_watched_too(start: FakeStart) -> None:
    async def main() -> None:
        async with Pool(Log()) as pool:
            first, second = pool.handle("a", EngineSpec(model="a")), pool.handle("b", EngineSpec(model="b"))
            await ask(first, "x")
            pool.watch(is_watched=True)
            asked = asyncio.gather(ask(first, "one"), ask(second, "two"))
            while len(pool.speaking()) < 2:
                await asyncio.sleep(0)
            assert pool.speaking() == {"one": "one", "two": "two"}
            await asked
            assert pool.speaking() == {}
            pool.watch(is_watched=False)
            assert [engine.is_watched for engine in start.engines] == [False, False]

    asyncio.run(main())
