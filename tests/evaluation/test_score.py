"""Readings are asked for adapter by adapter, and the scorer never waits for the next question while one is left."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import cast

from escl.core.dimension import Dimension, Language, adapter_name
from escl.core.wording import ScorerPrompt
from escl.engine.wire import LabelRead
from escl.evaluation.run import judging_settings
from escl.evaluation.score import Bench, score
from escl.memory.pool import Handle
from escl.shelf.manifest import Model
from escl.store.database import Database
from escl.store.run import RunStore
from tests.evaluation.test_own_dimensions import Answers
from tests.evaluation.test_simulate import Silent
from tests.runs import PROTOCOL, card, rated

ADAPTERS = {pair: (Path("a.gguf"), "1" * 64) for pair in itertools.product(Language, Dimension)}
SCORER = Model(name="other", path=Path("o.gguf"), sha256="3" * 64, size_bytes=1, adapters=ADAPTERS)
LABELS = {"warm": {"c1": [3.0], "c2": [3.0], "z1": [3.0]}, "curt": {"c1": [1.0], "c2": [1.0], "z1": [1.0]}}
PARALLEL = 3


class Counted(Answers):
    """Takes a moment for each answer, and counts who else is waiting then."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight: list[int] = []
        self._now = 0

    async def read_label(self, *, adapter: str | None, prompt: ScorerPrompt) -> LabelRead:
        self._now += 1
        await asyncio.sleep(0)
        self.in_flight.append(self._now)
        self._now -= 1
        return await super().read_label(adapter=adapter, prompt=prompt)


def test_adapters_change_once_each_and_no_change_leaves_the_scorer_without_a_question(tmp_path: Path) -> None:
    run = rated(tmp_path / "run.db", LABELS, cards=[card("z1", language=Language.CHINESE)])
    with Database.reader(run) as database:
        before = RunStore.read(database).settings
    store = RunStore.begin(Database.writer(run), before, PROTOCOL, command="test", versions={})
    judging_id = store.add_judging(judging_settings(store, SCORER))
    answers = Counted()
    bench = Bench(
        store=store,
        judging_id=judging_id,
        protocol=PROTOCOL,
        handle=cast(Handle, answers),
        adapters=frozenset(adapter_name(*key) for key in ADAPTERS),
        parallel=PARALLEL,
        observer=Silent(),
        stop=asyncio.Event(),
    )
    asyncio.run(score(bench, store.dialogues()))
    n_readings = len(store.readings(judging_id))
    store.close()
    asked = [adapter for adapter, _ in answers.asked]
    assert n_readings == len(asked) == 6 * len(Dimension)
    assert len([adapter for adapter, _ in itertools.groupby(asked)]) == len(ADAPTERS)
    assert answers.in_flight[: 1 - PARALLEL] == [PARALLEL] * (n_readings - PARALLEL + 1)
