"""A run stays within its budget: what its engines have resident is sampled while models of half a gigabyte swap."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from pathlib import Path

import msgspec
import psutil
import pytest

from benchmarks.random_weights import Speaks, write_random
from benchmarks.shapes import SHAPES
from escl.core.card import RoleCard
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from escl.core.sampling import Sampling
from escl.core.wording import Rubric, Wording
from escl.evaluation.engines import Engines
from escl.evaluation.run import Simulation, run_scoring, run_simulation
from escl.memory.devices import Budget, Hardware
from escl.memory.parts import Fixed
from escl.memory.plan import Plan, plan_for
from escl.memory.workload import workload_of
from escl.shelf.manifest import Model
from escl.store.database import Database
from escl.store.records import LoadRow
from escl.store.run import RunStore
from tests.evaluation.test_simulate import Silent
from tests.runs import CARD

# Every letter is a token to these models, so the words are few.
WORDING = Wording(
    seeker_prompt="You are: {card}",
    greeting="Hello.",
    supporter_prompt="Help.",
    seeker_label="S: ",
    supporter_label="H: ",
    scorer_prompt="{rubric} {name} {dialogue}",
    rubrics={
        dimension: Rubric(name="it", definition="How?", levels=("a", "b", "c", "d", "e")) for dimension in Dimension
    },
)
PROTOCOL = Protocol(name="short", version=1, languages={Language.ENGLISH: WORDING})
ROUNDS = 2
CARDS = [msgspec.structs.replace(CARD, id=name, text="a nurse") for name in ("a", "b")]
HARDWARE = Hardware(
    devices=(), ram_total_bytes=None, ram_available_bytes=None, physical_cores=2, processor="", llama_build=""
)
GENEROUS = Budget(host_bytes=1 << 40, device_bytes=None, device=None, shares_ram=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")

    def written(name: str, shape: str, quant: str, speaks: Speaks, seed: int) -> Model:
        path = write_random(folder / f"{name}.gguf", SHAPES[shape], quant, speaks=speaks, seed=seed)
        size = path.stat().st_size
        assert 300e6 < size < 600e6
        return Model(name=name, path=path, sha256=name, size_bytes=size, sampling=Sampling(max_tokens=4))

    return {
        "seeker": written("seeker", "0.5B", "Q4_K_M", "letters", 1),
        "supporter": written("supporter", "0.5B", "Q4_K_M", "letters", 2),
        "scorer": written("scorer", "scorer-0.3B", "Q8_0", "label", 3),
    }


def simulation(models: dict[str, Model], cards: list[RoleCard]) -> Simulation:
    return Simulation(
        protocol=PROTOCOL,
        cards=cards,
        seeker=models["seeker"],
        supporters=[models["supporter"]],
        rounds=ROUNDS,
    )


def plan_within(models: dict[str, Model], budget: Budget) -> Plan:
    return plan_for(
        models["seeker"],
        [models["supporter"]],
        models["scorer"],
        workload=workload_of(CARDS, PROTOCOL, rounds=ROUNDS),
        budget=budget,
        hardware=HARDWARE,
        fixed=Fixed(parallel=2, ctx=512, threads=2),
    )


class ResidentBytes:
    """Samples in a thread what all processes that begin meanwhile have resident."""

    def __init__(self) -> None:
        self.peak = 0
        self.at_peak: list[tuple[int, str]] = []
        self._before = {child.pid for child in psutil.Process().children(recursive=True)}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.01):
            found = []
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    words = child.cmdline()
                    # Between fork and exec a child shows its parent's memory, which it shares.
                    if child.pid not in self._before and words != me.cmdline():
                        found.append((child.memory_info().rss, " ".join(words[-2:])))
            total = sum(rss for rss, _ in found)
            if total > self.peak:
                self.peak, self.at_peak = total, found

    def __enter__(self) -> ResidentBytes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def evaluate(models: dict[str, Model], plan: Plan, path: Path) -> tuple[int, list[LoadRow]]:
    """Run the whole evaluation under `plan` and return the peak that was sampled, and the loads."""
    run = simulation(models, CARDS)
    store = RunStore.begin(Database.writer(path), run.settings("0" * 64), PROTOCOL, command="test", versions={})

    async def main() -> None:
        stop = asyncio.Event()
        async with Engines(plan, store, observer=Silent(), stop=stop) as engines:
            await run_simulation(run, store, engines=engines, observer=Silent(), stop=stop)
            await run_scoring(models["scorer"], store, engines=engines, observer=Silent(), stop=stop)

    with ResidentBytes() as resident:
        asyncio.run(main())
    assert [dialogue.state for dialogue in store.dialogues()] == ["complete"] * len(CARDS)
    assert len(store.readings(store.judgings()[0][0])) == 7 * len(CARDS)
    loads = store.loads()
    store.close()
    assert resident.peak <= plan.budget.host_bytes, resident.at_peak
    return resident.peak, loads


@pytest.fixture(scope="module")
def needs(models: dict[str, Model]) -> list[int]:
    """What each engine needs, the largest first."""
    engines = plan_within(models, GENEROUS).best().engines
    return sorted((engine.need.host.total for engine in engines), reverse=True)


@pytest.mark.model
def test_a_budget_for_one_model_is_never_exceeded_and_loads_go_by_rounds(
    models: dict[str, Model], needs: list[int], tmp_path: Path
) -> None:
    budget = msgspec.structs.replace(GENEROUS, host_bytes=round(1.1 * needs[0]))
    peak, loads = evaluate(models, plan_within(models, budget), tmp_path / "run.db")
    assert peak > 300e6
    assert Counter(load.name for load in loads) == {"seeker": ROUNDS, "supporter": ROUNDS, "scorer": 1}
    assert all(load.peak_bytes > 300e6 and load.load_s > 0 and load.left_utc for load in loads)


@pytest.mark.model
def test_a_budget_for_two_models_is_never_exceeded_and_loads_each_once(
    models: dict[str, Model], needs: list[int], tmp_path: Path
) -> None:
    budget = msgspec.structs.replace(GENEROUS, host_bytes=round(1.05 * (needs[0] + needs[1])))
    peak, loads = evaluate(models, plan_within(models, budget), tmp_path / "run.db")
    assert needs[0] < peak
    # Seeker and supporter start side by side: which of the two is ready first is chance.
    assert Counter(load.name for load in loads[:2]) == {"seeker": 1, "supporter": 1}
    assert [load.name for load in loads[2:]] == ["scorer"]
