"""A plan becomes a pool: every model has its seat, and every stay in memory is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from escl.evaluation.engines import FROZEN_TIME, Engines
from escl.memory import pool as pool_module
from escl.memory.plan import make_plan
from tests.evaluation.test_simulate import Silent
from tests.fake_engine import FakeStart, ask
from tests.planning import cpu, models, workload
from tests.runs import begin


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
