"""Every comparison measures the same work on both sides. Whether escl is fast is no business of a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.models import SMALLEST, cast
from escl.bench import evaluate, tuning
from escl.bench.adapters import measure_adapter_cost
from escl.bench.batching import compare_batching
from escl.bench.estimates import check_estimates
from escl.bench.evaluate import Casting, MachineUse
from escl.bench.growth import measure_growth
from escl.bench.loading import measure_loading
from escl.bench.result import Table
from escl.bench.scoring import compare_scoring
from escl.bench.simulation import compare_simulation
from escl.bench.tuning import best_prefill_tps, show_tuning, tuned_spec, tuning_of
from escl.engine.wire import EngineSpec
from escl.memory.devices import Hardware, budget_of
from escl.memory.plan import Plan
from escl.store.database import Database

HARDWARE = Hardware(
    devices=(),
    ram_total_bytes=8 << 30,
    ram_available_bytes=4 << 30,
    physical_cores=1,
    processor="a processor",
    llama_build="a build",
)
USE = MachineUse(
    hardware=HARDWARE,
    budget=budget_of(HARDWARE, memory=None, device="cpu"),
    ctx=1536,
    threads=1,
    gpu_layers=0,
    slots=4,
    tune_s=4.0,
)
DIALOGUES, ENGLISH = 4, 2

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", autouse=True)
def _own_tunings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("ESCL_HOME", str(tmp_path_factory.mktemp("home")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def casting(tmp_path_factory: pytest.TempPathFactory) -> Casting:
    return cast(tmp_path_factory.mktemp("models"), SMALLEST, dialogues=DIALOGUES, say=lambda line: None)


def assert_measured(table: Table) -> None:
    for row in table.rows:
        assert row.escl is not None, row
        assert row.escl > 0, row
        if table.other is not None:
            assert row.ratio is not None, row


def test_both_sides_of_a_simulation_say_the_same_number_of_turns_and_tokens(casting: Casting) -> None:
    table = compare_simulation(casting, USE, rounds=2, max_tokens=6, pairs=1, goal=3.5)
    assert_measured(table)
    facts = table.facts
    assert facts["turns, escl"] == facts["turns, script"] == DIALOGUES * 4
    assert facts["generated tokens, escl"] == facts["generated tokens, script"] == DIALOGUES * 4 * 6
    assert facts["prompt tokens, escl"] == facts["prompt tokens, script"]
    assert float(facts["bare llama.cpp by the script"]) > 0


def test_both_sides_of_scoring_read_the_same_labels(casting: Casting) -> None:
    english = msgspec.structs.replace(casting, cards=casting.cards[:ENGLISH])
    table = compare_scoring(english, USE, rounds=1, pairs=1, goal=1.8, best_prefill_tps=None, with_reuse=True)
    (prefill,) = [row for row in table.rows if row.why_missing]
    assert_measured(msgspec.structs.replace(table, rows=tuple(row for row in table.rows if row is not prefill)))
    assert prefill.why_missing == "the prefill rate was not measured"
    facts = table.facts
    assert 0 < int(facts["prompt tokens that must be evaluated"]) < int(facts["prompt tokens, script"])
    assert facts["readings, escl"] == facts["readings, script"] == ENGLISH * 7
    # Random weights may leave a near tie that one batch shape breaks otherwise than another.
    assert int(facts["readings with the same label"]) >= ENGLISH * 7 - 1


def threads_of(run: Path) -> list[int | None]:
    """Return the threads of the engines that were planned last."""
    with Database.reader(run) as database:
        ((plan,),) = database.rows("SELECT plan FROM attempt")
    return [engine.spec.threads for engine in msgspec.json.decode(plan, type=Plan).best().engines]


def test_engines_take_as_many_threads_as_what_they_are_compared_with(casting: Casting, tmp_path: Path) -> None:
    use = msgspec.structs.replace(USE, threads=2)
    english = msgspec.structs.replace(casting, cards=casting.cards[:1])
    simulation = evaluate.simulation_of(english, rounds=1, max_tokens=2)
    store = evaluate.begin(tmp_path / "run.db", simulation)
    try:
        evaluate.speak(simulation, store, use)
        speaking = threads_of(tmp_path / "run.db")
        evaluate.read(casting.scorer, store, use)
        reading = threads_of(tmp_path / "run.db")
    finally:
        store.close()
    assert (speaking, reading) == ([2, 2], [2])


@pytest.mark.parametrize(("found", "threads"), [(None, 2), (3, 3)])
def test_an_engine_by_itself_has_the_tuned_threads_or_those_of_the_other_side(
    casting: Casting, monkeypatch: pytest.MonkeyPatch, found: int | None, threads: int
) -> None:
    tuned = tuning_of(casting.supporter, USE)
    settings = msgspec.structs.replace(tuned.settings, threads=found)
    monkeypatch.setattr(tuning, "tuning_of", lambda model, use: msgspec.structs.replace(tuned, settings=settings))
    assert tuned_spec(casting.supporter, msgspec.structs.replace(USE, threads=2)).threads == threads


def test_the_batcher_is_measured_at_each_size(casting: Casting) -> None:
    table = compare_batching(casting.supporter, USE, sequences=(1, 2), prompt_tokens=32, steps=4, rounds=1)
    assert_measured(table)
    assert [row.what for row in table.rows] == [
        f"{part}, {count} sequences" for count in (1, 2) for part in ("prefill", "decode")
    ]


def test_tuning_is_measured_once_and_shown(casting: Casting) -> None:
    table = show_tuning([casting.scorer], USE)
    (row,) = table.rows
    assert row.escl is not None
    # Settings that were tried at another length than llama.cpp's own have nothing beside them.
    assert (row.ratio is None) == (row.other is None)
    tuned = tuning_of(casting.scorer, USE)
    assert table.facts[f"{casting.scorer.name}, seconds"] == round(tuned.seconds, 1)
    assert best_prefill_tps(tuned) >= row.escl > 0


def test_estimates_stand_beside_what_llama_cpp_says(casting: Casting) -> None:
    spec = EngineSpec(model=str(casting.supporter.path), slots=2, ctx_per_slot=256, gpu_layers=0, device="cpu")
    table = check_estimates([spec], [spec])
    assert_measured(table)
    assert [row.what.rpartition(": ")[2] for row in table.rows][-1] == "whole process, measured"


def test_loading_names_every_model_and_the_swap(casting: Casting) -> None:
    table = measure_loading([casting.supporter, casting.scorer], USE)
    assert_measured(table)
    assert len(table.rows) == 2 * 4 + 1


def test_an_adapter_has_a_cost_and_a_scorer_without_one_says_so(casting: Casting) -> None:
    assert_measured(measure_adapter_cost(casting.scorer, USE, prompts=2, pairs=1))
    bare = msgspec.structs.replace(casting.scorer, adapters={})
    (row,) = measure_adapter_cost(bare, USE, prompts=2, pairs=1).rows
    assert row.why_missing == "the scorer has no adapters"


def test_growth_runs_more_dialogues_than_there_are_cards(casting: Casting) -> None:
    one_card = msgspec.structs.replace(casting, cards=casting.cards[:1])
    table = measure_growth(one_card, USE, sizes=(3,), rounds=1, max_tokens=2)
    assert_measured(table)
    assert len(table.rows) == 2
