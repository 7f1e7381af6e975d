"""A plan becomes a pool: every model has its seat, and every stay in memory is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from escl.evaluation.engines import FROZEN_TIME, Engines
from escl.evaluation.run import Simulation, run_simulation
from escl.memory import pool as pool_module
from escl.memory.plan import make_plan
from escl.memory.workload import SUPPORTER_REPLY, typical_reply
from escl.shelf.manifest import Model
from escl.store.database import Database
from escl.store.run import RunStore
from escl.supporters.outside import EndpointSupporter
from tests.chat_server import completion, sends, serving
from tests.evaluation.test_simulate import Silent
from tests.fake_engine import FakeStart, ask
from tests.planning import cpu, models, workload
from tests.runs import CARD, PROTOCOL, begin


def test_one_model_in_two_seats_has_two_engines_and_two_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = FakeStart()
    monkeypatch.setattr(pool_module, "Engine", start)
    seeker, supporter, _ = models()
    twice = [seeker, msgspec.structs.replace(supporter, name=seeker.name)]
    plan = make_plan(twice, workload(), cpu(48))
    store = begin(tmp_path / "run.db")

    async def main() -> None:
        async with Engines(plan, store, observer=Silent(), stop=asyncio.Event()) as engines:
            for role in ("seeker", "supporter"):
                assert await ask(engines.handle(role, seeker.name), role) == role

    asyncio.run(main())
    loads = store.loads()
    assert [load.name for load in loads] == [f"{seeker.name} as seeker", f"{seeker.name} as supporter"]
    assert all(load.left_utc is not None for load in loads)
    assert {spec.frozen_time for spec in start.specs} == {FROZEN_TIME}
    store.close()


def test_where_models_swap_those_elsewhere_go_first_and_cost_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = FakeStart()
    monkeypatch.setattr(pool_module, "Engine", start)
    seeker, supporter, _ = models()
    work = msgspec.structs.replace(workload(), outside=(typical_reply(SUPPORTER_REPLY, 512),))
    plan = make_plan([seeker, supporter], work, cpu(10.5))
    assert plan.best().swaps

    def model(name: str) -> Model:
        return Model(name=name, path=Path(f"{name}.gguf"), sha256="0" * 64, size_bytes=1)

    with serving(sends(completion("I hear you."))) as server:
        elsewhere = EndpointSupporter(name="elsewhere", url=server.url, model="m")
        cards = [msgspec.structs.replace(CARD, id=f"c{number}") for number in range(6)]
        run = Simulation(
            protocol=PROTOCOL,
            cards=cards,
            seeker=model(seeker.name),
            supporters=[model(supporter.name), elsewhere],
            rounds=3,
        )
        store = RunStore.begin(
            Database.writer(tmp_path / "run.db"), run.settings("0" * 64), PROTOCOL, command="test", versions={}
        )

        async def main() -> None:
            stop = asyncio.Event()
            async with Engines(plan, store, observer=Silent(), stop=stop, outside=[elsewhere]) as engines:
                await run_simulation(run, store, engines=engines, observer=Silent(), stop=stop)

        asyncio.run(main())
    assert {dialogue.state for dialogue in store.dialogues()} == {"complete"}
    assert len(store.requests()) == 6 * 3
    assert [load.name for load in store.loads()] == [seeker.name, supporter.name] * 3
    store.close()
