"""A run tells those who watch what it says, tells nobody else, and pauses when it is asked to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from escl.engine.wire import Progress
from escl.evaluation import aside as aside_module
from escl.evaluation.aside import Aside, Tokens
from escl.evaluation.engines import Engines
from escl.memory import pool as pool_module
from escl.memory.plan import make_plan
from escl.memory.pool import Pool
from escl.store import beside
from escl.store.beside import Speech
from tests.evaluation.test_simulate import Silent
from tests.fake_engine import SPEC, FakeStart, Log, ask
from tests.planning import cpu, models, workload
from tests.runs import begin


class Heard(Silent):
    """Remembers pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[bool] = []

    def paused(self, *, is_paused: bool) -> None:
        self.pauses.append(is_paused)


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch) -> FakeStart:
    start = FakeStart()
    monkeypatch.setattr(pool_module, "Engine", start)
    monkeypatch.setattr(aside_module, "_EVERY_S", 0.005)
    return start


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)


def test_only_those_who_watch_are_told_what_is_being_said(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    # Left by whoever watched an earlier command: no sign of anybody.
    beside.watch(path)

    async def main() -> None:
        async with Pool(Log()) as pool:
            aside = Aside(store, pool, tokens=Tokens(), observer=Silent(), stop=asyncio.Event())
            handle = pool.handle("m", SPEC)
            aside.look()
            assert not pool.is_watched
            assert beside.told(path) is None
            beside.unwatch(path)
            aside.look()
            beside.watch(path)
            aside.look()
            async with aside.looking():
                said = asyncio.create_task(ask(handle, "7"))
                await until(lambda: any(now.speaking for now in [beside.told(path)] if now))
                now = beside.told(path)
                await said
            assert now is not None
            assert (now.attempt, now.speaking) == (store.attempt, (Speech(dialogue_id=7, text="7"),))
            assert beside.told(path) is None

    asyncio.run(main())
    store.close()


def test_who_no_longer_says_to_watch_is_told_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    async def main() -> None:
        async with Pool(Log()) as pool:
            aside = Aside(store, pool, tokens=Tokens(), observer=Silent(), stop=asyncio.Event())
            beside.watch(path)
            aside.look()
            assert beside.told(path) is not None
            clock[0] += 60
            aside.look()
            assert beside.told(path) is None
            assert not pool.is_watched

    asyncio.run(main())
    store.close()


def test_a_pause_holds_new_requests_and_a_stop_ends_it(tmp_path: Path, start: FakeStart) -> None:
    path = tmp_path / "run.db"
    store, heard = begin(path), Heard()

    async def main() -> None:
        stop, go = asyncio.Event(), asyncio.Event()
        go.set()
        async with Pool(Log(), go=go) as pool:
            handle = pool.handle("m", SPEC)
            aside = Aside(store, pool, tokens=Tokens(), observer=heard, stop=stop)
            beside.pause(path)
            aside.look()
            asked = asyncio.create_task(ask(handle, "7"))
            async with aside.looking():
                await asyncio.sleep(0.05)
                assert start.engines == []
                beside.resume(path)
                assert await asked == "7"
                beside.pause(path)
                await until(lambda: not go.is_set())
                stop.set()
                await until(go.is_set)

    asyncio.run(main())
    assert heard.pauses == [True, False, True, False]
    store.close()


def test_the_engines_of_a_run_are_watched_and_paused_from_beside_its_file(tmp_path: Path, start: FakeStart) -> None:
    path = tmp_path / "run.db"
    store, heard = begin(path), Heard()
    seeker, supporter, _ = models()
    plan = make_plan([seeker, supporter], workload(), cpu(48))

    async def main() -> None:
        async with Engines(plan, store, observer=heard, stop=asyncio.Event()) as engines:
            handle = engines.handle("seeker", seeker.name)
            beside.watch(path)
            await until(lambda: beside.told(path) is not None)
            asked = [asyncio.create_task(ask(handle, str(at))) for at in range(1, 4)]
            await until(lambda: any(now.speaking for now in [beside.told(path)] if now))
            assert await asyncio.gather(*asked) == ["1", "2", "3"]
            beside.pause(path)
            await until(lambda: bool(heard.pauses))
            late = asyncio.create_task(ask(handle, "4"))
            await asyncio.sleep(0.05)
            assert not late.done()
            beside.resume(path)
            assert await late == "4"

    asyncio.run(main())
    assert heard.pauses == [True, False]
    assert beside.told(path) is None
    store.close()


def test_tokens_are_counted_over_engines_that_left_and_came_again() -> None:
    tokens = Tokens()

    def progress(evaluated: int, generated: int) -> Progress:
        return Progress(
            n_prompt_evaluated=evaluated,
            n_reused=0,
            n_generated=generated,
            n_active=1,
            n_waiting=0,
            peak_rss_bytes=0,
        )

    tokens.loaded("a")
    tokens.progressed("a", progress(10, 1))
    tokens.progressed("a", progress(30, 4))
    tokens.loaded("b")
    tokens.progressed("b", progress(5, 5))
    tokens.loaded("a")
    tokens.progressed("a", progress(7, 2))
    assert (tokens.n_evaluated, tokens.n_generated) == (42, 11)
