"""Within limited room the pool swaps by waves: engines drain, leave whole, and come back as seldom as can be."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from escl.engine.wire import EngineSpec
from escl.errors import GaveUpError, ModelLoadError, NotBegunError, OutOfMemoryError
from escl.memory import pool as pool_module
from escl.memory.pool import Handle, Pool, Room
from tests.fake_engine import FakeStart, Log, ask

ONE = Room(host=10)
Body = Callable[[Pool], Awaitable[object]]


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch) -> FakeStart:
    start = FakeStart()
    monkeypatch.setattr(pool_module, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(pool_module, "Engine", start)
    return start


def add(pool: Pool, name: str, *, slots: int = 4, size: Room = ONE, device: str | None = None) -> Handle:
    return pool.handle(name, EngineSpec(model=name, slots=slots, device=device), size)


def play(room: Room | None, body: Body, *, stop: asyncio.Event | None = None) -> object:
    async def main() -> object:
        async with Pool(Log(), room, stop=stop) as pool:
            return await body(pool)

    return asyncio.run(main())


async def talk(seeker: Handle, supporter: Handle, *, rounds: int) -> None:
    for _ in range(rounds):
        await ask(seeker, "s")
        await ask(supporter, "t")


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("n_dialogues", [1, 5, 23])
@pytest.mark.parametrize("n_supporters", [1, 3])
def test_one_at_a_time_loads_each_model_once_in_a_round_however_many_dialogues(
    start: FakeStart, n_dialogues: int, n_supporters: int, device: str | None
) -> None:
    rounds = 3

    async def body(pool: Pool) -> None:
        seeker = add(pool, "seeker", device=device)
        supporters = [add(pool, f"supporter {at}", device=device) for at in range(n_supporters)]
        talks = (talk(seeker, supporter, rounds=rounds) for supporter in supporters for _ in range(n_dialogues))
        await asyncio.gather(*talks)

    play(Room(host=10), body)
    assert len(start.specs) == (1 + n_supporters) * rounds
    loads = [spec.model for spec in start.specs]
    assert loads[:: 1 + n_supporters] == ["seeker"] * rounds
    assert Counter(loads) == dict.fromkeys(["seeker", *(f"supporter {at}" for at in range(n_supporters))], rounds)


@pytest.mark.parametrize("room", [Room(host=10), Room(host=20), Room(host=29)])
def test_the_room_is_never_exceeded_and_a_model_that_leaves_is_gone_before_the_next_comes(
    start: FakeStart, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    really_start = start.start

    async def watched(spec: EngineSpec, **options: object) -> object:
        nonlocal most
        most = max(most, len(start.in_memory) + 1)
        return await really_start(spec, **options)

    monkeypatch.setattr(start, "start", watched)

    async def body(pool: Pool) -> None:
        seeker, supporters = add(pool, "seeker"), [add(pool, "a"), add(pool, "b")]
        await asyncio.gather(*(talk(seeker, supporters[at % 2], rounds=2) for at in range(9)))

    play(room, body)
    assert most == room.host // 10


def test_what_fits_together_is_never_swapped(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        seeker, supporter = add(pool, "seeker"), add(pool, "supporter")
        await asyncio.gather(*(talk(seeker, supporter, rounds=4) for _ in range(6)))

    play(Room(host=20), body)
    assert [spec.model for spec in start.specs] == ["seeker", "supporter"]


def test_an_engine_leaves_only_when_its_queue_is_drained(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        first, second = add(pool, "first", slots=1), add(pool, "second")
        early = [asyncio.create_task(ask(first, str(at))) for at in range(5)]
        await asyncio.sleep(0)
        await ask(second, "x")
        assert all(task.done() for task in early)

    play(Room(host=10), body)
    assert start.engines[0].answered == ["0", "1", "2", "3", "4"]


def test_the_accelerators_memory_is_counted_apart(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        size = Room(host=1, device=8)
        first, second = add(pool, "first", size=size), add(pool, "second", size=size)
        await ask(first, "a")
        await ask(second, "b")
        assert start.in_memory == ["second"]

    play(Room(host=100, device=15), body)


def test_an_engine_that_was_given_up_leaves_its_room_to_others(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        first, second = add(pool, "first"), add(pool, "second")
        with contextlib.suppress(GaveUpError):
            await ask(first, "poison")
        assert await ask(second, "b") == "b"

    play(Room(host=10), body)


def test_a_model_that_cannot_be_loaded_leaves_its_room_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: EngineSpec) -> None:
        if spec.model == "broken":
            raise ModelLoadError("no")

    monkeypatch.setattr(pool_module, "Engine", FakeStart(fail))

    async def body(pool: Pool) -> None:
        broken, sound = add(pool, "broken"), add(pool, "sound")
        with pytest.raises(ModelLoadError):
            await ask(broken, "a")
        assert await ask(sound, "b") == "b"

    play(Room(host=10), body)


def test_what_does_not_fit_even_alone_is_refused_at_once() -> None:
    async def body(pool: Pool) -> None:
        with pytest.raises(OutOfMemoryError, match="large alone"):
            add(pool, "large", size=Room(host=11))

    play(Room(host=10), body)


def test_a_stop_answers_what_was_begun_and_turns_away_the_rest(start: FakeStart) -> None:
    stop = asyncio.Event()

    async def body(pool: Pool) -> list[object]:
        here, absent = add(pool, "here", slots=1), add(pool, "absent")
        asked = [asyncio.create_task(ask(here, str(at))) for at in range(6)]
        asked.append(asyncio.create_task(ask(absent, "never")))
        await asyncio.sleep(0.005)
        stop.set()
        return list(await asyncio.gather(*asked, return_exceptions=True))

    answers = play(Room(host=10), body, stop=stop)
    assert isinstance(answers, list)
    # One in the slot and one behind it were with the engine.
    assert answers[:2] == ["0", "1"]
    assert all(isinstance(answer, NotBegunError) for answer in answers[2:])
    assert [spec.model for spec in start.specs] == ["here"]


def test_requests_after_a_stop_load_nothing(start: FakeStart) -> None:
    stop = asyncio.Event()

    async def body(pool: Pool) -> None:
        handle = add(pool, "m")
        stop.set()
        await asyncio.sleep(0)
        with pytest.raises(NotBegunError):
            await ask(handle, "a")

    play(None, body, stop=stop)
    assert start.specs == []


def test_who_stops_waiting_is_in_nobodys_way(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        here, absent, third = add(pool, "here"), add(pool, "absent"), add(pool, "third")
        holding = asyncio.create_task(ask(here, "a"))
        await asyncio.sleep(0.005)
        waiting = asyncio.create_task(ask(absent, "b"))
        await asyncio.sleep(0)
        waiting.cancel()
        assert await ask(third, "c") == "c"
        await holding

    play(Room(host=10), body)
    assert [spec.model for spec in start.specs] == ["here", "third"]


@pytest.mark.parametrize("room", [None, Room(host=20), Room(host=30)])
def test_engines_on_the_processor_take_turns_and_stay_in_memory(start: FakeStart, room: Room | None) -> None:
    at_once = 0

    async def body(pool: Pool) -> None:
        nonlocal at_once
        names = ("seeker", "supporter") if room == Room(host=20) else ("seeker", "supporter", "third")
        handles = [add(pool, name, device="cpu") for name in names]
        talks = [
            asyncio.create_task(talk(handles[0], handles[1 + at % (len(handles) - 1)], rounds=3)) for at in range(9)
        ]
        while not all(task.done() for task in talks):
            at_once = max(at_once, sum(engine.n_asked > 0 for engine in start.engines))
            await asyncio.sleep(0.001)

    play(room, body)
    assert at_once == 1
    assert len(start.specs) == (2 if room == Room(host=20) else 3)


def test_engines_on_an_accelerator_work_side_by_side(start: FakeStart) -> None:
    at_once = 0

    async def body(pool: Pool) -> None:
        nonlocal at_once
        first, second = add(pool, "first", device="CUDA0"), add(pool, "second", device="CUDA0")
        asked = asyncio.gather(ask(first, "a"), ask(second, "b"))
        await asyncio.sleep(0.005)
        at_once = sum(engine.n_asked > 0 for engine in start.engines)
        await asked

    play(None, body)
    assert at_once == 2


def test_who_waits_for_a_turn_keeps_no_room_from_who_has_it(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        first, second = add(pool, "first", device="cpu"), add(pool, "second", device="cpu")
        await ask(first, "a")
        # Both are asked at once: the second gets the turn first, while the first is still in memory and wanted.
        answers = await asyncio.wait_for(asyncio.gather(ask(second, "b"), ask(first, "c")), 2)
        assert list(answers) == ["b", "c"]

    play(Room(host=10), body)
    assert [spec.model for spec in start.specs] == ["first", "second", "first"]


def test_a_preloaded_engine_is_there_before_it_is_asked(start: FakeStart) -> None:
    async def body(pool: Pool) -> None:
        handle = add(pool, "m", device="cpu")
        await handle.preload()
        assert start.in_memory == ["m"]
        assert await ask(handle, "a") == "a"

    play(Room(host=10), body)
    assert len(start.specs) == 1


def test_an_engine_that_is_being_loaded_is_nobodys_to_send_away(
    start: FakeStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_start = start.start

    async def slow(spec: EngineSpec, **options: object) -> object:
        await asyncio.sleep(0.01)
        return await really_start(spec, **options)

    monkeypatch.setattr(start, "start", slow)

    async def body(pool: Pool) -> None:
        first, second = add(pool, "first", device="cpu"), add(pool, "second", device="cpu")
        await asyncio.wait_for(asyncio.gather(first.preload(), second.preload()), 2)
        assert start.in_memory == ["second"]

    play(Room(host=10), body)
    assert [spec.model for spec in start.specs] == ["first", "second"]
