"""The pool starts engines when asked, outlives their deaths, and gives up only the request that killed them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from escl.engine.wire import EngineSpec
from escl.errors import (
    ContextOverflowError,
    EngineCrashedError,
    EngineKilledError,
    GaveUpError,
    ModelLoadError,
    OutOfMemoryError,
)
from escl.memory import pool as pool_module
from escl.memory.pool import Handle, Pool
from tests.fake_engine import SPEC, FakeStart, Log, ask


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_BACKOFF_S", 0.0)


def run(
    monkeypatch: pytest.MonkeyPatch, start: FakeStart, body: Callable[[Handle], Awaitable[object]]
) -> tuple[object, Log]:
    monkeypatch.setattr(pool_module, "Engine", start)
    log = Log()

    async def main() -> object:
        async with Pool(log) as pool:
            return await body(pool.handle("m", SPEC))

    return asyncio.run(main()), log


def test_an_engine_is_loaded_once_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    start = FakeStart()

    async def body(handle: Handle) -> list[str]:
        return list(await asyncio.gather(*(ask(handle, str(at)) for at in range(5))))

    texts, log = run(monkeypatch, start, body)
    assert texts == ["0", "1", "2", "3", "4"]
    assert log.events == ["loaded", "unloaded"]


def test_nothing_is_loaded_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(handle: Handle) -> None:
        await handle.release()

    _, log = run(monkeypatch, FakeStart(), body)
    assert log.events == []


def test_only_the_request_that_kills_its_engine_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(handle: Handle) -> list[object]:
        names = ["a", "poison", "b", "poison", "c"]
        return list(await asyncio.gather(*(ask(handle, name) for name in names), return_exceptions=True))

    answers, log = run(monkeypatch, FakeStart(), body)
    assert isinstance(answers, list)
    assert [answer for answer in answers if isinstance(answer, str)] == ["a", "b", "c"]
    assert [type(answer) for answer in answers if not isinstance(answer, str)] == [GaveUpError, GaveUpError]
    # Five requests died with the first engine; then each "poison" took down the engine of its own two lone tries.
    assert log.events.count("EngineCrashedError") == 1 + 2 * 2


def test_an_error_of_one_request_is_its_own_and_restarts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(handle: Handle) -> list[object]:
        return list(await asyncio.gather(ask(handle, "long"), ask(handle, "a"), return_exceptions=True))

    answers, log = run(monkeypatch, FakeStart(), body)
    assert isinstance(answers, list)
    assert isinstance(answers[0], ContextOverflowError)
    assert answers[1] == "a"
    assert log.events == ["loaded", "unloaded"]


def test_out_of_memory_halves_the_slots_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: EngineSpec) -> None:
        if spec.slots > 2:
            raise OutOfMemoryError("no room")

    start = FakeStart(fail)
    text, log = run(monkeypatch, start, lambda handle: ask(handle, "a"))
    assert text == "a"
    assert [spec.slots for spec in start.specs] == [8, 4, 2]
    assert log.events == ["OutOfMemoryError", "OutOfMemoryError", "loaded", "unloaded"]


def test_out_of_memory_that_stays_ends_in_the_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: EngineSpec) -> None:
        raise OutOfMemoryError("no room")

    start = FakeStart(fail)
    with pytest.raises(OutOfMemoryError):
        run(monkeypatch, start, lambda handle: ask(handle, "a"))
    assert [spec.slots for spec in start.specs] == [8, 4, 2]


def test_an_engine_that_was_killed_from_outside_comes_back_with_half_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    start = FakeStart()

    async def body(handle: Handle) -> list[str]:
        return list(await asyncio.gather(ask(handle, "a"), ask(handle, "kill once"), ask(handle, "b")))

    texts, log = run(monkeypatch, start, body)
    assert texts == ["a", "kill once", "b"]
    assert [spec.slots for spec in start.specs] == [8, 4]
    assert log.events == ["loaded", "EngineKilledError", "loaded", "unloaded"]


def test_memory_that_runs_out_while_computing_halves_the_slots_too(monkeypatch: pytest.MonkeyPatch) -> None:
    start = FakeStart()
    text, _ = run(monkeypatch, start, lambda handle: ask(handle, "no memory once"))
    assert text == "no memory once"
    assert [spec.slots for spec in start.specs] == [8, 4]


def test_memory_that_always_runs_out_ends_the_run_instead_of_failing_its_dialogues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = FakeStart()
    with pytest.raises(OutOfMemoryError, match="3 times"):
        run(monkeypatch, start, lambda handle: ask(handle, "killed"))
    assert [spec.slots for spec in start.specs] == [8, 4, 2]


def test_a_model_that_the_system_kills_while_loading_comes_with_fewer_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: EngineSpec) -> None:
        if spec.slots > 2:
            raise EngineKilledError("was killed by SIGKILL")

    start = FakeStart(fail)
    text, _ = run(monkeypatch, start, lambda handle: ask(handle, "a"))
    assert text == "a"
    assert [spec.slots for spec in start.specs] == [8, 4, 2]


def test_a_model_that_dies_while_loading_is_a_load_error_and_no_requests_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: EngineSpec) -> None:
        raise EngineCrashedError("was killed by SIGKILL")

    start = FakeStart(fail)
    with pytest.raises(ModelLoadError, match="SIGKILL"):
        run(monkeypatch, start, lambda handle: ask(handle, "a"))
    assert len(start.specs) == 1


def test_who_waits_to_go_alone_is_not_kept_waiting_by_newcomers(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def one(handle: Handle, text: str) -> None:
        with contextlib.suppress(GaveUpError):
            await ask(handle, text)
        done.append(text)

    async def body(handle: Handle) -> None:
        async def worker(number: int) -> None:
            for at in range(6):
                await one(handle, f"{number}-{at}")

        await asyncio.gather(one(handle, "poison"), *(worker(number) for number in range(3)))

    run(monkeypatch, FakeStart(), body)
    assert done.index("poison") < len(done) - 3
