"""A plan counts the dialogues with supporters that run elsewhere, and gives them no memory."""

from __future__ import annotations

import msgspec

from escl.memory.plan import Plan, chosen_line, make_plan
from escl.memory.workload import SUPPORTER_REPLY, Reply, Workload, typical_reply
from tests.planning import cpu, models, workload

ELSEWHERE = typical_reply(SUPPORTER_REPLY, 512)
SEEKER, WARM, SCORER = models()


def with_outside(*replies: Reply) -> Workload:
    return msgspec.structs.replace(workload(), outside=replies)


def test_a_run_with_no_model_to_test_here_loads_seeker_and_scorer_once_each() -> None:
    for gib in (12, 48):
        best = make_plan([SEEKER, SCORER], with_outside(ELSEWHERE), cpu(gib)).best()
        assert [engine.role for engine in best.engines] == ["seeker", "scorer"]
        assert (best.swaps, best.loads) == (False, 2)


def test_a_supporter_elsewhere_takes_no_memory() -> None:
    least = [
        make_plan([SEEKER, WARM, SCORER], work, cpu(2)).least
        for work in (workload(), with_outside(ELSEWHERE, ELSEWHERE))
    ]
    assert least[0] is not None
    assert least[0] == least[1]


def test_its_dialogues_are_the_seekers_and_the_scorers_work() -> None:
    def seconds(*replies: Reply) -> tuple[float, float]:
        found = make_plan([SEEKER, WARM, SCORER], with_outside(*replies), cpu(48)).best().seconds
        return found.prefill + found.decode, found.scoring

    (alone, scored), (both, both_scored) = seconds(), seconds(ELSEWHERE)
    assert alone < both < 2 * alone
    assert 1.9 * scored < both_scored < 2.1 * scored


def test_the_seekers_context_holds_its_longest_reply() -> None:
    def context(longest: int) -> int:
        made = make_plan([SEEKER, SCORER], with_outside(typical_reply(SUPPORTER_REPLY, longest)), cpu(48))
        return made.best().engines[0].spec.ctx_per_slot

    assert context(512) < 8000 < context(8000)


def test_where_models_swap_the_seeker_stays_for_the_dialogues_with_those_elsewhere() -> None:
    small = cpu(12)
    alone = make_plan([SEEKER, WARM, SCORER], workload(), small).best()
    both = make_plan([SEEKER, WARM, SCORER], with_outside(ELSEWHERE), small).best()
    assert alone.swaps
    assert both.swaps
    assert alone.loads == both.loads


def test_the_plans_line_says_whose_time_it_does_not_know() -> None:
    def line(made: Plan) -> str:
        return chosen_line(made)

    assert "elsewhere" not in line(make_plan([SEEKER, WARM, SCORER], workload(), cpu(48)))
    one = line(make_plan([SEEKER, SCORER], with_outside(ELSEWHERE), cpu(12)))
    assert one.startswith("plan: the seeker, then the scorer: ")
    assert one.endswith("and what 1 supporter elsewhere will take")
    two = line(make_plan([SEEKER], with_outside(ELSEWHERE, ELSEWHERE), cpu(48)))
    assert two.startswith("plan: the seeker: ")
    assert two.endswith("and what 2 supporters elsewhere will take")
