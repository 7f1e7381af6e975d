"""Who is in memory, what their bytes hold, and who came and went is asked of the run's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from escl.memory.plan import make_plan
from escl.store.database import Database
from escl.store.residents import Memory, Share, memories, swaps
from escl.store.run import RunStore
from escl.store.watch import Watcher
from tests.fake_engine import ready
from tests.planning import cpu, models, workload
from tests.runs import begin


def engine(name: str, *, role: str = "supporter", device: bool = False) -> dict[str, object]:
    host = {"weights": 100, "adapters": 10, "kv": 20, "compute": 3, "output": 2, "process": 1}
    return {"role": role, "name": name, "need": {"host": host, "device": {"weights": 50, "kv": 5} if device else None}}


def plan(*engines: object, device: str | None = None, shares_ram: bool = False, chosen: int | None = 0) -> object:
    limit = None if device is None else 500
    budget = {"host_bytes": 1000, "device_bytes": limit, "device": device, "shares_ram": shares_ram}
    return {"budget": budget, "candidates": [{"engines": engines}], "chosen": chosen}


def found(tmp_path: Path, stored: object, *names: str) -> list[Memory]:
    store = begin(tmp_path / "run.db")
    store.add_plan(stored)
    store.close()
    with Database.reader(tmp_path / "run.db") as database:
        return memories(database, names)


HOST = Share(weights=110, kv=20, buffers=6)


def test_only_what_is_loaded_counts_under_the_name_of_its_seat(tmp_path: Path) -> None:
    stored = plan(engine("twice", role="seeker"), engine("twice"), engine("other"))
    (memory,) = found(tmp_path, stored, "twice as seeker", "twice as supporter", "nobody")
    assert memory == Memory(device=None, limit_bytes=1000, taken=Share(weights=220, kv=40, buffers=12))


def test_a_device_has_a_bar_of_its_own(tmp_path: Path) -> None:
    host, device = found(tmp_path, plan(engine("a", device=True), device="CUDA0"), "a")
    assert host.taken == HOST
    assert device == Memory(device="CUDA0", limit_bytes=500, taken=Share(weights=50, kv=5))


def test_a_device_that_shares_main_memory_is_counted_there(tmp_path: Path) -> None:
    (memory,) = found(tmp_path, plan(engine("a", device=True), device="MTL0", shares_ram=True), "a")
    assert memory.taken == Share(weights=160, kv=25, buffers=6)


@pytest.mark.parametrize("stored", [{}, [], plan(chosen=None), plan(chosen=7), {"budget": "x"}])
def test_a_plan_that_nobody_knows_has_no_bars(tmp_path: Path, stored: object) -> None:
    assert found(tmp_path, stored, "a") == []


def test_the_plan_of_a_real_run_is_known(tmp_path: Path) -> None:
    seeker, supporter, scorer = models()
    made = make_plan([seeker, supporter, scorer], workload(), cpu(48))
    (memory,) = found(tmp_path, made, *(one.name for one in made.best().engines))
    assert memory.limit_bytes == made.budget.host_bytes
    assert memory.taken.total == sum(one.need.host.total for one in made.best().engines)


def load(store: RunStore, name: str, *, at: str, left: str | None = None) -> None:
    number = store.add_load(name, ready(), peak_bytes=5)
    with store.database.transaction() as connection:
        connection.execute("UPDATE load SET loaded_utc = ?, left_utc = ? WHERE id = ?", (at, left, number))


def test_what_came_and_went_is_told_the_latest_first_and_a_lost_engine_is_no_resident(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = begin(path)
    load(store, "earlier", at="2026-01-01T09:00:00.000+00:00")
    store.close()
    store = begin(path)
    load(store, "seeker", at="2026-01-01T10:00:00.000+00:00")
    load(store, "warm", at="2026-01-01T10:00:01.000+00:00", left="2026-01-01T10:01:31.500+00:00")
    load(store, "seeker", at="2026-01-01T10:00:20.000+00:00")
    with Database.reader(path) as database:
        assert [(one.what, one.name, round(one.seconds, 1)) for one in swaps(database, 9)] == [
            ("left", "warm", 90.5),
            ("loaded", "seeker", 0.0),
            ("lost", "seeker", 20.0),
            ("loaded", "warm", 0.0),
            ("loaded", "seeker", 0.0),
        ]
        assert len(swaps(database, 2)) == 2
        assert [stay.name for stay in Watcher(database).in_memory()] == ["seeker"]
    store.close()
