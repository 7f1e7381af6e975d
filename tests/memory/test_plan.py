"""A plan fits, is the fastest that does, and says what would fit when nothing does."""

from __future__ import annotations

import itertools
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.errors import NothingFitsError
from escl.memory.devices import Budget
from escl.memory.plan import Candidate, Fixed, Plan, chosen_line, make_plan
from escl.memory.search import largest_without
from escl.memory.workload import Reply
from tests.planning import GIB, choice, cpu, gpu, models, named_only, need_of, sets_in_memory, shared, workload

BUDGETS = [cpu(12), cpu(48), gpu(6), gpu(12), gpu(24), shared(24)]


@cache
def plan(budget: Budget, *, supporters: int = 1, fixed: Fixed | None = None, cards: int = 32, rounds: int = 5) -> Plan:
    chosen = models(on_gpu=budget.device is not None, supporters=supporters)
    return make_plan(chosen, workload(cards, rounds=rounds), budget, fixed=fixed)


def fastest(made: Plan) -> float:
    return min(candidate.seconds.total for candidate in made.candidates if candidate.fits)


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_every_candidate_that_is_said_to_fit_does_so_at_every_moment(budget: Budget) -> None:
    made = plan(budget)
    for candidate in [made.best(), *(one for one in made.candidates if one.fits)]:
        for engines in sets_in_memory(candidate):
            needs = [need_of(engine) for engine in engines]
            host, device = sum(need[0] for need in needs), sum(need[1] for need in needs)
            assert device <= (budget.device_bytes or 0)
            assert host + (device if budget.shares_ram else 0) <= budget.host_bytes
            assert host <= candidate.peak_host_bytes
            assert device <= candidate.peak_device_bytes


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_the_chosen_one_is_the_fastest_that_fits_or_as_fast_with_less_memory(budget: Budget) -> None:
    made = plan(budget)
    best = made.best()
    assert best.fits
    assert best.seconds.total <= 1.05 * fastest(made)
    for other in made.candidates:
        if other.fits and other.seconds.total <= 1.05 * fastest(made):
            own = best.peak_host_bytes + best.peak_device_bytes
            assert own <= 1.05 * (other.peak_host_bytes + other.peak_device_bytes)


@settings(max_examples=10, deadline=None)
@given(small=st.floats(10.5, 64), more=st.floats(0, 32))
def test_with_more_main_memory_the_fastest_way_is_never_slower(small: float, more: float) -> None:
    assert fastest(plan(cpu(small + more))) <= fastest(plan(cpu(small)))


def test_with_a_larger_device_the_fastest_way_is_never_slower() -> None:
    times = [fastest(plan(gpu(size))) for size in (11, 12, 24, 48)]
    assert times == sorted(times, reverse=True)


def test_with_more_main_memory_beside_a_small_device_the_fastest_way_is_not_slower_either() -> None:
    times = [fastest(plan(gpu(8, host=host))) for host in (8, 16, 32)]
    # Keys and values are not quantized for a gain of less than 5 %.
    assert all(later <= 1.05 * earlier for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("rounds", [1, 5])
@pytest.mark.parametrize("supporters", [1, 2])
def test_loads_are_what_the_pools_rule_allows(supporters: int, rounds: int) -> None:
    made = plan(cpu(64), supporters=supporters, rounds=rounds)
    loads = {candidate.strategy: candidate.loads for candidate in made.candidates}
    assert loads["one at a time"] == (1 + supporters) * rounds + 1
    assert loads["seeker and supporter"] == loads["all resident"] == supporters + 2


def test_only_what_swaps_reads_histories_again() -> None:
    by_strategy = {candidate.strategy: candidate for candidate in plan(cpu(64)).candidates}
    assert by_strategy["one at a time"].seconds.prefill > 2 * by_strategy["seeker and supporter"].seconds.prefill


def test_files_that_do_not_stay_in_the_page_cache_are_read_at_every_load() -> None:
    def alone(budget: Budget) -> Candidate:
        return next(one for one in plan(budget).candidates if one.strategy == "one at a time")

    kept, not_kept = alone(cpu(64)), alone(cpu(12))
    assert kept.read_bytes == kept.disk_bytes
    seeker, supporter = (models()[at].files[0].header.size_bytes for at in (0, 1))
    assert not_kept.read_bytes - kept.read_bytes == 4 * (seeker + supporter)


@pytest.mark.parametrize("budget", [cpu(8), gpu(2, host=8), shared(8)], ids=str)
def test_where_nothing_fits_the_stated_budget_does_and_less_does_not(budget: Budget) -> None:
    made = plan(budget)
    assert made.chosen is None
    with pytest.raises(NothingFitsError, match="GiB of main memory would do"):
        made.best()
    assert made.least is not None
    assert plan(made.least).best().fits
    less = msgspec.structs.replace(made.least, host_bytes=made.least.host_bytes - 1)
    assert plan(less).chosen is None


@pytest.mark.parametrize("budget", [cpu(12), gpu(8)], ids=str)
def test_with_what_a_candidate_is_short_by_it_fits(budget: Budget) -> None:
    misfits = [candidate for candidate in plan(budget).candidates if not candidate.fits]
    assert misfits
    for candidate in misfits:
        grown = msgspec.structs.replace(
            budget,
            host_bytes=budget.host_bytes + candidate.short_host_bytes,
            device_bytes=None if budget.device_bytes is None else budget.device_bytes + candidate.short_device_bytes,
        )
        again = next(one for one in plan(grown).candidates if one.strategy == candidate.strategy)
        assert again.fits


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_keys_and_values_are_quantized_only_where_f16_does_not_fit(budget: Budget) -> None:
    best = plan(budget).best()
    for engine in best.engines:
        if engine.spec.kv_type == "f16":
            continue
        assert engine.spec.slots <= 4
        assert engine.spec.flash_attention is True
        host, device = need_of(engine, msgspec.structs.replace(engine.spec, kv_type="f16"))
        beside = [engines for engines in sets_in_memory(best) if engine in engines]
        others = [need_of(other) for engines in beside for other in engines if other is not engine]
        in_all = host + sum(need[0] for need in others), device + sum(need[1] for need in others)
        assert in_all[0] > budget.host_bytes or in_all[1] > (budget.device_bytes or 0)
        assert "KV in q8_0" in best.why


def test_slots_are_powers_of_two_up_to_the_dialogues_there_are() -> None:
    few = plan(cpu(200), cards=6).best()
    assert {engine.role: engine.spec.slots for engine in few.engines} == {"seeker": 4, "supporter": 4, "scorer": 4}
    many = next(one for one in plan(cpu(400), cards=500).candidates if one.strategy == "seeker and supporter")
    for engine in many.engines:
        assert 8 <= engine.spec.slots <= (8 if engine.role == "scorer" else 32)
        assert engine.spec.slots.bit_count() == 1


def test_what_the_user_fixed_stays_as_it_is() -> None:
    fixed = Fixed(parallel=3, ctx=2048, threads=5)
    for candidate in plan(cpu(48), fixed=fixed).candidates:
        for spec in (engine.spec for engine in candidate.engines):
            assert (spec.slots, spec.ctx_per_slot, spec.threads) == (3, 2048, 5)


def test_layers_that_the_user_fixed_are_not_divided_further() -> None:
    made = plan(gpu(48), fixed=Fixed(gpu_layers=10))
    assert "partial offload" not in {candidate.strategy for candidate in made.candidates}
    assert {engine.spec.gpu_layers for candidate in made.candidates for engine in candidate.engines} == {10}
    on_cpu = plan(gpu(48, host=48), fixed=Fixed(gpu_layers=0)).best()
    assert {engine.spec.device for engine in on_cpu.engines} == {"cpu"}
    assert on_cpu.peak_device is None


@pytest.mark.parametrize("gib", [6, 8, 12, 16, 24])
def test_no_bit_of_a_strict_run_hangs_on_what_is_free(gib: int) -> None:
    for budget in (cpu(gib), gpu(gib)):
        made = plan(budget, fixed=Fixed(strict=True))
        for candidate in made.candidates:
            speakers = [engine.spec for engine in candidate.engines if engine.role != "scorer"]
            assert {spec.kv_type for spec in speakers} == {"f16"}
            assert {(spec.repack, spec.n_ubatch, spec.threads) for spec in speakers} == {(False, 512, None)}
            assert {spec.gpu_layers for spec in speakers} == ({0} if budget.device is None else {-1})


def test_strict_runs_speak_one_dialogue_at_a_time_and_read_every_history_whole() -> None:
    best = plan(cpu(48), fixed=Fixed(strict=True)).best()
    assert {engine.role: (engine.spec.slots, engine.spec.strict) for engine in best.engines} == {
        "seeker": (1, True),
        "supporter": (1, True),
        "scorer": (8, False),
    }
    assert best.seconds.prefill > 2 * plan(cpu(48), fixed=Fixed(parallel=1)).best().seconds.prefill


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_every_engine_has_all_cores(budget: Budget) -> None:
    engines = [engine for candidate in plan(budget).candidates for engine in candidate.engines]
    assert {engine.spec.threads for engine in engines} == {None}


def decoding_s(budget: Budget, *, gpu_layers: int | None = None) -> tuple[float, float]:
    """Return the seconds of decoding with seeker and supporter in memory together, and with one at a time."""
    made = plan(budget, fixed=Fixed(parallel=8, gpu_layers=gpu_layers))
    by_strategy = {candidate.strategy: candidate.seconds.decode for candidate in made.candidates}
    return by_strategy["seeker and supporter"], by_strategy["one at a time"]


def test_engines_that_take_turns_on_the_processor_have_all_dialogues_when_they_work() -> None:
    together, alone = decoding_s(cpu(64))
    assert together == pytest.approx(alone)
    # With some layers elsewhere they take turns too.
    divided, divided_alone = decoding_s(gpu(48, host=48), gpu_layers=20)
    assert divided == pytest.approx(divided_alone)


def test_engines_that_work_at_once_on_a_device_have_half_of_the_dialogues_each() -> None:
    together, alone = decoding_s(gpu(48, host=48))
    assert together > 1.2 * alone
    # All 33 of the supporter's layers, but not all 41 of the seeker's: neither waits for the other.
    one_of_them, one_of_them_alone = decoding_s(gpu(48, host=48), gpu_layers=33)
    assert one_of_them > 1.2 * one_of_them_alone
    seeker, supporter = (file.on_device for file in (chosen.files[0] for chosen in models(on_gpu=True)[:2]))
    assert seeker is not None
    assert supporter is not None
    seeks, answers = Reply(typical=45, longest=512), Reply(typical=250, longest=512)
    asked = workload().seeker(seeks, answers, whole=False)
    answered = workload().supporter(seeks, answers, whole=False)
    expected = seeker.rates.decode_s(asked, 4) + supporter.rates.decode_s(answered, 4)
    assert together == pytest.approx(expected)


def test_context_is_the_default_unless_nothing_fits_with_it() -> None:
    roomy = plan(cpu(12)).best()
    assert {engine.spec.ctx_per_slot for engine in roomy.engines} == {4096}
    tight = plan(cpu(10.3)).best()
    seeker = tight.engines[0]
    assert 3328 <= seeker.spec.ctx_per_slot < 4096
    assert need_of(seeker, msgspec.structs.replace(seeker.spec, ctx_per_slot=seeker.spec.ctx_per_slot + 256))[0] > (
        cpu(10.3).host_bytes
    )
    assert "tokens of context, because more does not fit" in tight.why
    assert plan(cpu(10.3), fixed=Fixed(ctx=4096)).chosen is None


def test_long_dialogues_get_the_context_that_they_need() -> None:
    for engine in plan(cpu(64), rounds=20).best().engines:
        assert engine.spec.ctx_per_slot > 1.5 * 20 * (45 + 250)


def test_a_model_that_does_not_fit_alone_gets_as_many_layers_on_the_device_as_fit() -> None:
    budget = gpu(8)
    best = plan(budget).best()
    assert best.strategy == "partial offload"
    seeker = best.engines[0]
    assert best.swaps
    assert 0 < seeker.spec.gpu_layers < 41
    assert need_of(seeker)[1] <= (budget.device_bytes or 0)
    one_more = msgspec.structs.replace(seeker.spec, gpu_layers=seeker.spec.gpu_layers + 1)
    assert need_of(seeker, one_more)[1] > (budget.device_bytes or 0)
    assert f"{seeker.spec.gpu_layers} of 41 layers on CUDA0" in best.why


def test_layers_on_the_processor_cost_time_there() -> None:
    whole, divided = (
        next(one for one in plan(gpu(48), fixed=Fixed(gpu_layers=n, parallel=4)).candidates if one.strategy == name)
        for n, name in ((-1, "one at a time"), (20, "one at a time"))
    )
    assert divided.seconds.decode > 2 * whole.seconds.decode


def test_another_quantization_is_taken_only_when_the_named_file_fits_nowhere() -> None:
    seeker = choice("seeker", "esc-role-Q4_K_M.gguf")
    supporter, scorer = models()[1:]
    assert {file.path.name for file in seeker.files} == {f"esc-role-{q}.gguf" for q in ("Q4_K_M", "Q3_K_M")}
    roomy = make_plan([seeker, supporter, scorer], workload(), cpu(12)).best()
    assert roomy.engines[0].path.endswith("Q4_K_M.gguf")
    tight = make_plan([seeker, supporter, scorer], workload(), cpu(9))
    assert plan(cpu(9)).chosen is None
    assert tight.best().engines[0].path.endswith("Q3_K_M.gguf")
    assert "because the named file does not fit" in tight.best().why


def test_a_strict_run_keeps_to_the_named_file() -> None:
    choices = [choice("seeker", "esc-role-Q4_K_M.gguf"), *models()[1:]]
    made = make_plan(choices, workload(), cpu(8.5), fixed=Fixed(strict=True))
    assert make_plan(choices, workload(), cpu(8.5)).best().engines[0].path.endswith("Q3_K_M.gguf")
    assert made.chosen is None
    assert "esc-role-Q4_K_M.gguf" in made.reason


def test_where_only_the_named_file_will_do_none_stands_in() -> None:
    choices = [choice("seeker", "esc-role-Q4_K_M.gguf"), *models()[1:]]
    assert make_plan(choices, workload(), cpu(8.5), fixed=Fixed(named_only=True)).chosen is None


def test_a_kv_type_that_the_user_fixed_is_every_engines() -> None:
    made = make_plan([choice("scorer", "rank.gguf")], workload(), cpu(12), fixed=Fixed(kv_type="q8_0")).best()
    assert [(engine.spec.kv_type, engine.spec.flash_attention) for engine in made.engines] == [("q8_0", True)]
    assert "KV in q8_0, as asked" in made.why


def test_any_quantization_is_used_where_it_is_faster_when_the_user_allows_it() -> None:
    choices = [choice("seeker", "esc-role-Q4_K_M.gguf"), *models()[1:]]
    named = make_plan(choices, workload(), cpu(24))
    free = make_plan(choices, workload(), cpu(24), fixed=Fixed(any_quant=True))
    assert named.best().engines[0].path.endswith("Q4_K_M.gguf")
    assert free.best().engines[0].path.endswith("Q3_K_M.gguf")
    assert free.best().seconds.total < named.best().seconds.total


def test_a_run_that_only_scores_loads_the_scorer_once() -> None:
    made = make_plan([choice("scorer", "rank.gguf")], workload(), cpu(12))
    best = made.best()
    assert (best.strategy, best.loads, len(best.engines)) == ("one at a time", 1, 1)
    assert best.seconds.decode == best.seconds.prefill == 0
    assert chosen_line(made).startswith("plan: the scorer: ")


def test_a_run_that_is_not_scored_has_no_scorer() -> None:
    best = make_plan(models()[:2], workload(), cpu(24)).best()
    assert {engine.role for engine in best.engines} == {"seeker", "supporter"}
    assert best.seconds.scoring == 0


def test_one_file_may_be_seeker_and_supporter() -> None:
    seeker = named_only(choice("seeker", "esc-role-Q4_K_M.gguf"))
    same = named_only(choice("supporter", "esc-role-Q4_K_M.gguf"))
    best = make_plan([seeker, same], workload(), cpu(14)).best()
    assert [engine.role for engine in best.engines] == ["seeker", "supporter"]


def test_a_plan_is_read_back_from_json_as_it_was() -> None:
    made = plan(gpu(12))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_the_line_says_what_is_together_how_full_it_gets_and_how_long_it_takes() -> None:
    line = chosen_line(plan(cpu(40)))
    assert line.startswith("plan: seeker and supporter together, then the scorer: ")
    assert "of 40.0 GiB, " in line
    assert line.endswith(" h (assumed rates)")
    assert "on CUDA0 and" in chosen_line(plan(gpu(8)))
    assert GIB < plan(cpu(40)).best().peak_host_bytes < 40 * GIB


@given(
    per_layer=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    first=st.integers(0, 300),
    room=st.integers(0, 2000),
)
def test_the_search_for_layers_finds_the_last_that_fits(per_layer: list[int], first: int, room: int) -> None:
    def excess(n: int) -> int:
        return (first + sum(per_layer[:n]) if n else 0) - room

    expected = max(n for n in range(len(per_layer) + 1) if excess(n) <= 0)
    assert largest_without(excess, len(per_layer)) == expected


def test_what_holds_for_several_engines_is_said_once() -> None:
    best = plan(cpu(12), supporters=2).best()
    assert best.engines[1].spec.kv_type == best.engines[2].spec.kv_type == "q8_0"
    assert best.why.count("warm, warm again: KV in q8_0, because 4 x 4,096 tokens in f16 do not fit") == 1
