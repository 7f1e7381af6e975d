"""Requests side by side get what each would get alone; what was evaluated is reused; one request's fault is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from unittest.mock import Mock, call

import numpy as np
import numpy.typing as npt
import pytest

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.batcher import Batcher
from escl.engine.llama import Context
from escl.engine.sampling import Sampler
from escl.engine.wire import EngineSpec, Failed, Generate, Generated, ReadLabel
from escl.errors import ContextOverflowError, EngineError, KVExhaustedError
from tests.engine.conftest import LoadModel
from tests.tiny_gguf import CHATML, CHATML_CONTROL, OTHER_CONTROL, Script, as_bpe, bpe_vocabulary, chain

pytestmark = pytest.mark.model

GREEDY = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=24)
WANDERING = Script(
    {
        "\n": {"The": 9.0, " I": 9.0, " very": 9.0},
        "The": {" score": 9.0, " rating": 9.0, " happy": 9.0},
        " I": {" am": 9.0, " very": 9.0},
        " am": {" fine": 9.0, " sad": 9.0, " happy": 9.0, " very": 9.0},
        " very": {" fine": 9.0, " sad": 9.0, " happy": 9.0, " very": 8.0},
        " score": {" is": 9.0},
        " rating": {" is": 9.0},
        " is": {" fine": 9.0, " very": 9.0, " 3": 9.0},
        " fine": {".": 9.0, " today": 9.0, " I": 8.0},
        " sad": {".": 9.0, " today": 9.0, " I": 8.0},
        " happy": {".": 9.0, " today": 9.0, " I": 8.0},
        " today": {".": 9.0, "!": 9.0, " I": 9.0},
        " 3": {".": 9.0},
        ".": {"<|im_end|>": 9.0, " I": 8.5},
        "!": {"<|im_end|>": 9.0},
    },
    context_weight=1.0,
)
EXACT = Script(WANDERING.table)
ENDLESS = Script({"\n": {"ha": 30.0}, "ha": {"ha": 30.0}})
SPOILED_BY_Z = Script(chain("\n", "The", " score", " is", " 3", "<|im_end|>"), nan_after=["Z"])

MakeBatcher = Callable[..., Batcher]


@pytest.fixture
def batcher(loaded: LoadModel) -> Iterator[MakeBatcher]:
    made: list[Batcher] = []

    def make(name: str = "wandering", script: Script = WANDERING, *, n_ctx: int = 512, **spec: object) -> Batcher:
        model, chat = loaded(name, script)
        settings = {"model": "", "slots": 4, "n_batch": 64, **spec}
        made.append(Batcher(model, chat, EngineSpec(**settings), n_ctx=n_ctx, threads=1))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(number: int, said: str | Sequence[str], *, session: str | None = None, sampling: Sampling = GREEDY) -> Generate:
    texts = [said] if isinstance(said, str) else said
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    return Generate(id=number, session=session or f"s{number}", messages=messages, sampling=sampling, seed=number)


def run(batcher: Batcher, *requests: Generate) -> dict[int, Generated | Failed]:
    for request in requests:
        batcher.submit(request)
    answers: dict[int, Generated | Failed] = {}
    for _ in range(5000):
        if batcher.n_active + batcher.n_waiting == 0:
            break
        for answer in batcher.step():
            assert answer.id is not None
            answers[answer.id] = answer
    assert batcher.n_active + batcher.n_waiting == 0
    return answers


def replies(answers: dict[int, Generated | Failed]) -> dict[int, Generated]:
    assert all(isinstance(answer, Generated) for answer in answers.values()), answers
    return {number: answer for number, answer in answers.items() if isinstance(answer, Generated)}


def sayings(count: int) -> list[str]:
    return [" ".join(["I", "am", str(7919 * number)] * (1 + number % 9)) for number in range(count)]


NEAR_TIE = 0.05
"""Batches of another shape move logits by about 0.001; a choice closer than this may fall either way."""


def run_alone(batcher: Batcher, monkeypatch: pytest.MonkeyPatch, request: Generate) -> tuple[Generated, bool]:
    """Return the reply to a lone request, and whether none of its tokens was chosen from a near tie."""
    draw, margins = Sampler.draw, [np.inf]

    def watch(self: Sampler, context: Context, row: npt.NDArray[np.float32], batch_index: int) -> int:
        top = np.partition(row, -2)[-2:]
        margins[0] = min(margins[0], float(top[1] - top[0]))
        return draw(self, context, row, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "draw", watch)
        return replies(run(batcher, request))[request.id], margins[0] > NEAR_TIE


def test_side_by_side_is_as_alone(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [ask(number, said) for number, said in enumerate(sayings(24))]
    together = replies(run(batcher(), *requests))
    n_clear = 0
    for request in requests:
        alone, clear = run_alone(batcher(slots=1), monkeypatch, request)
        n_clear += clear
        assert not clear or (together[request.id].text, together[request.id].finish) == (alone.text, alone.finish)
    assert n_clear > 12
    assert len({one.text for one in together.values()}) > 5


def test_sampled_replies_depend_on_their_own_seed_only(batcher: MakeBatcher) -> None:
    # Without a part that depends on the context, logits do not even move by rounding with the shape of the batch.
    hot = Sampling(temperature=1.5, max_tokens=24)
    requests = [ask(number, "hello", sampling=hot) for number in range(12)]
    there = replies(run(batcher("exact", EXACT), *requests))
    back = replies(run(batcher("exact", EXACT), *reversed(requests)))
    assert {number: one.text for number, one in there.items()} == {number: one.text for number, one in back.items()}
    assert len({one.text for one in there.values()}) > 8


def test_a_dialogue_reuses_its_kv_and_says_the_same(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    history, kept, n_clear = ["I am sad today " * 8], batcher(), 0
    for turn in range(6):
        request = ask(turn, history, session="dialogue")
        reply = replies(run(kept, request))[turn]
        fresh, clear = run_alone(batcher(), monkeypatch, request)
        n_clear += clear
        assert not clear or reply.text == fresh.text
        assert fresh.n_reused == 0
        assert (reply.n_reused > 100) == (turn > 0)
        history += [reply.text, "and you?"]
    assert n_clear > 2


def test_a_newcomer_takes_the_slot_that_was_idle_longest(batcher: MakeBatcher) -> None:
    one, said = batcher(slots=2), "I am sad today " * 8
    for number, session in enumerate(("mine", "other", "mine", "third")):
        run(one, ask(number, said if session == "mine" else session, session=session))
    again = replies(run(one, ask(9, said, session="mine")))[9]
    assert again.n_reused == again.n_prompt - 1


def test_with_more_dialogues_than_slots_the_resident_ones_go_first(batcher: MakeBatcher) -> None:
    one = batcher(slots=2)
    said = [f"{number} sad today " * 12 for number in range(5)]
    for wave in range(3):
        answers = replies(run(one, *[ask(10 * wave + i, said[i], session=f"d{i}") for i in range(5)]))
        assert sum(answer.n_reused > 100 for answer in answers.values()) == (2 if wave else 0)


def test_nobody_waits_for_ever_behind_sessions_at_home(batcher: MakeBatcher) -> None:
    one = batcher(slots=1)
    run(one, ask(0, "x", session="home"))
    one.submit(ask(1, "y", session="stranger"))
    answered: list[int] = []
    for number in range(2, 30):
        one.submit(ask(number, "x", session="home"))
        while len(answered) < number - 1 and 1 not in answered:
            answered += [answer.id for answer in one.step() if answer.id is not None]
    assert 1 in answered


@pytest.fixture
def sequences(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sequence ids of every batch that is decoded from now on."""
    decode, batches = Context.decode, []

    def watch(self: Context, n_tokens: int) -> None:
        batches.append(self.sequences[:n_tokens].tolist())
        decode(self, n_tokens)

    monkeypatch.setattr(Context, "decode", watch)
    return batches


def test_prompts_are_evaluated_before_anyone_speaks_on(batcher: MakeBatcher, sequences: list[list[int]]) -> None:
    one = batcher("endless", ENDLESS)
    one.submit(ask(0, "hi"))
    for _ in range(3):
        one.step()
    sequences.clear()
    one.submit(ask(1, "I am sad " * 40))
    while one.n_active + one.n_waiting == 2:
        one.step()
    n_prompt_batches = sum(batch.count(1) > 1 for batch in sequences)
    assert n_prompt_batches > 1
    assert all(set(batch) == {1} for batch in sequences[:n_prompt_batches])
    assert all(batch == [0, 1] for batch in sequences[n_prompt_batches:])


@pytest.mark.parametrize(("speaking", "decoded"), [((0, 2, 5), [0, 1, 2, 3, 4, 5]), ((1, 6), [1, 6]), ((7,), [7])])
def test_small_gaps_between_speakers_are_filled(
    batcher: MakeBatcher, sequences: list[list[int]], speaking: tuple[int, ...], decoded: list[int]
) -> None:
    one = batcher("endless", ENDLESS, slots=8)
    run(one, *[ask(number, "hi", session=f"d{number}") for number in range(8)])
    sequences.clear()
    run(one, *[ask(10 + number, ["hi", "ha", "well"], session=f"d{number}") for number in speaking])
    assert sequences[-1] == decoded


def test_a_filled_gap_leaves_no_trace(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    n_clear = 0
    for text in sayings(9):
        one = batcher(slots=3)
        first = replies(run(one, *[ask(number, text, session=f"d{number}") for number in range(3)]))
        run(one, *[ask(10 + number, "hello", session=f"d{number}") for number in (0, 2)])
        history = ask(20, [text, first[1].text, "and you?"], session="d1")
        reply = replies(run(one, history))[20]
        alone, clear = run_alone(batcher(), monkeypatch, history)
        n_clear += clear
        assert not clear or reply.text == alone.text
        assert reply.n_reused >= first[1].n_prompt
    assert n_clear > 2


def test_a_long_prompt_is_evaluated_in_chunks(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        request = ask(number, "I am sad " * (30 + number))
        small, large = batcher(n_batch=32), batcher(n_batch=512)
        reply = replies(run(small, request))[number]
        whole, clear = run_alone(large, monkeypatch, request)
        assert not clear or reply.text == whole.text
        assert small.totals.n_prompt_evaluated == large.totals.n_prompt_evaluated == reply.n_prompt > 200


def test_an_endless_reply_is_cut_and_says_so(batcher: MakeBatcher) -> None:
    answer = replies(run(batcher("endless", ENDLESS), ask(0, "hi")))[0]
    assert (answer.text, answer.finish, answer.n_generated) == ("ha" * 24, "length", 24)


def test_the_whole_context_can_be_used_and_not_one_token_more(batcher: MakeBatcher) -> None:
    one = batcher("endless", ENDLESS, n_ctx=300)
    n_prompt = replies(run(one, ask(0, "x")))[0].n_prompt
    fits = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=300 - n_prompt)
    assert replies(run(one, ask(1, "x", sampling=fits)))[1].n_generated == 300 - n_prompt
    with pytest.raises(ContextOverflowError, match=f"{n_prompt} prompt tokens .* need 301 tokens .* has 300"):
        one.submit(ask(2, "x", sampling=Sampling(max_tokens=301 - n_prompt)))


def test_nan_fails_only_the_request_that_meets_it(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    one = batcher("spoiled", SPOILED_BY_Z, slots=3)
    answers = run(one, *[ask(number, "Z" if number % 3 == 1 else "fine") for number in range(9)])
    for number, answer in answers.items():
        if number % 3 == 1:
            assert isinstance(answer, Failed)
            assert answer.error == "NonFiniteLogitsError"
        else:
            assert isinstance(answer, Generated)
            assert answer.text == "The score is 3"
    # Some backends multiply masked cells by 0, and 0 times NaN is NaN: the cells must not stay as they are.
    clear = Mock(side_effect=one._context.clear)
    monkeypatch.setattr(one._context, "clear", clear)
    after = replies(run(one, *[ask(number, "fine") for number in range(20, 26)]))
    assert clear.call_args_list == [call(wipe=True)]
    assert {answer.text for answer in after.values()} == {"The score is 3"}


def test_a_full_kv_cache_fails_only_what_does_not_fit(batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    one = batcher(slots=2)
    decode = one._context.decode

    def full_for_long(n_tokens: int) -> None:
        if (one._context.positions[:n_tokens] > 100).any():
            raise KVExhaustedError("no room")
        decode(n_tokens)

    monkeypatch.setattr(one._context, "decode", full_for_long)
    answers = run(one, ask(0, "I am sad " * 40), ask(1, "I am"), ask(2, "hi"))
    assert isinstance(answers[0], Failed)
    assert answers[0].error == "KVExhaustedError"
    assert {type(answers[number]) for number in (1, 2)} == {Generated}


def test_llama_cpp_reports_a_full_cache_as_such(batcher: MakeBatcher) -> None:
    one = batcher(slots=1, n_ctx=256, n_batch=512)
    for start in (0, 256):
        one._context.tokens[:256] = 7
        one._context.positions[:256] = np.arange(start, start + 256)
        one._context.sequences[:256] = 0
        one._context.wanted[:256] = 0
        if start == 0:
            one._context.decode(256)
        else:
            with pytest.raises(KVExhaustedError):
                one._context.decode(256)


def test_strict_repeats_byte_for_byte_whatever_came_before(batcher: MakeBatcher) -> None:
    hot = Sampling(temperature=1.2, max_tokens=40)
    wanted = ask(7, ["I am sad " * 20, "hm", "today"], session="a", sampling=hot)
    fresh, used = batcher(strict=True), batcher(strict=True)
    run(used, *[ask(number, said, session="a", sampling=hot) for number, said in enumerate(sayings(5))])
    first, second = replies(run(fresh, wanted))[7], replies(run(used, wanted))[7]
    assert (first.text, first.n_generated) == (second.text, second.n_generated)
    assert first.n_reused == second.n_reused == 0


def test_a_cancelled_request_leaves_no_trace(batcher: MakeBatcher) -> None:
    one = batcher("endless", ENDLESS, slots=1)
    for number in range(3):
        one.submit(ask(number, "x"))
    one.step()
    one.cancel(0)
    one.cancel(2)
    answers: list[int | None] = []
    while one.n_active + one.n_waiting:
        answers += [answer.id for answer in one.step()]
    assert answers == [1]


def test_broken_utf8_and_control_tokens_of_a_reply_are_shown_as_text(batcher: MakeBatcher) -> None:
    script = Script(chain("\n", "ä", "The", "<|object|>", " is", "<|im_end|>"))
    assert replies(run(batcher("broken-utf8", script), ask(0, "x")))[0].text == "\ufffdThe is"


def test_a_reply_is_told_while_it_grows_and_never_half_a_character(batcher: MakeBatcher) -> None:
    one = batcher("growing", Script(chain("\n", "The", *as_bpe("你"), " is", *as_bpe("睡"), "<|im_end|>")))
    one.submit(ask(0, "x", session="seven"))
    assert one.speaking() == {}
    told: list[str] = []
    while not (done := one.step()):
        told += one.speaking().values()
    assert told == ["The", "The", "The", "The你", "The你 is", "The你 is", "The你 is", "The你 is睡"]
    assert isinstance(done[0], Generated)
    assert done[0].text == told[-1]
    assert one.speaking() == {}


def test_watching_changes_no_reply(batcher: MakeBatcher) -> None:
    requests = [ask(number, said) for number, said in enumerate(sayings(6))]
    alone, watched = batcher(), batcher()
    expected = replies(run(alone, *requests))
    for request in requests:
        watched.submit(request)
    found: dict[int, str] = {}
    while watched.n_active + watched.n_waiting:
        found |= {answer.id: answer.text for answer in watched.step() if isinstance(answer, Generated)}
        watched.speaking()
    assert found == {number: reply.text for number, reply in expected.items()}


def test_a_label_request_is_refused(batcher: MakeBatcher) -> None:
    with pytest.raises(EngineError, match="loaded for dialogue"):
        batcher().submit(ReadLabel(id=1, adapter=None, system=None, prefix="a", rest="b"))


THINKING = bpe_vocabulary(control=(*CHATML_CONTROL, *OTHER_CONTROL, "</think>"))
"""A vocabulary in which one marker of reasoning is a control token, as in some files, and the other is not."""


def test_reasoning_is_told_from_the_reply_where_its_markers_are_control_tokens(batcher: MakeBatcher) -> None:
    table = chain("\n", "<think>", " sad", "</think>", " I", " am", "<|im_end|>")
    one = batcher("thinks", Script(table, vocabulary=THINKING))
    (answer,) = replies(run(one, ask(1, "hello"))).values()
    assert (answer.reasoning, answer.text, answer.finish) == ("sad", "I am", "stop")


def test_what_is_thought_aloud_is_not_told_as_said(batcher: MakeBatcher) -> None:
    table = chain("\n", "<think>", " sad", "</think>", " I", " am", "<|im_end|>")
    one = batcher("thinks", Script(table, vocabulary=THINKING))
    one.submit(ask(0, "x"))
    told: list[str] = []
    while not one.step():
        told += one.speaking().values()
    assert told[-2:] == ["I", "I am"]
    assert not any("sad" in text for text in told)


@pytest.mark.parametrize(("max_tokens", "said"), [(1, ""), (24, "I am")])
def test_reasoning_that_the_template_opens_is_told_from_the_reply(
    batcher: MakeBatcher, max_tokens: int, said: str
) -> None:
    template = CHATML.replace("assistant\n'", "assistant\n<think>'")
    script = Script(
        chain("<think>", " sad", "</think>", " I", " am", "<|im_end|>"), vocabulary=THINKING, template=template
    )
    one = batcher("opened", script)
    sampling = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=max_tokens)
    (answer,) = replies(run(one, ask(1, "hello", sampling=sampling))).values()
    assert (answer.reasoning, answer.text) == ("sad", said)


def test_a_template_that_closes_its_reasoning_at_once_opens_none(batcher: MakeBatcher) -> None:
    template = CHATML.replace("assistant\n'", "assistant\n<think>\n\n</think>\n'")
    script = Script(chain("\n", " I", " am", "<|im_end|>"), vocabulary=THINKING, template=template)
    (answer,) = replies(run(batcher("closed", script), ask(1, "hello"))).values()
    assert (answer.reasoning, answer.text) == (None, "I am")
