"""The fast path to a label gives what plain greedy generation gives, whoever else is scored beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import llama_cpp.llama_cpp as lib
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine import labels
from escl.engine.chat import Chat
from escl.engine.label_tokens import LabelTokens, find_label
from escl.engine.labels import DEFAULT_SYSTEM_KEY, LabelReader
from escl.engine.llama import Model
from escl.engine.wire import EngineSpec, Failed, Generate, LabelRead, ReadLabel
from escl.errors import ContextOverflowError, EngineError
from tests.engine.conftest import MAX_PROMPT, WriteModel
from tests.tiny_gguf import N_VOCAB, Script, chain, token_id, write_adapter

LABELS = {f" {label}": 20.0 for label in range(5)}

SCORER = Script(
    chain("\n", "The", " score", " is")
    | {"The": {" score": 20.0, " rating": 19.6}, " rating": {" is": 20.0}}
    | {" is": LABELS | {" very": 19.5}, " very": LABELS}
    | {label: {".": 20.0, "!": 19.6} for label in LABELS}
    | {".": {"<|im_end|>": 20.0, " I": 19.6}, "!": {"<|im_end|>": 20.0}, " I": chain(" I", "!")[" I"]},
    context_weight=1.2,
)
NAN_SCORER = Script(SCORER.table, context_weight=1.2, nan_after=["Z"])
WORDY = Script(
    chain("\n", "The", "user", " I", " am", " very", " sad", " today", "in", "th", "er", " about", "on", " is")
    | {" is": LABELS}
    | {label: {"<|im_end|>": 30.0} for label in LABELS},
    context_weight=1.0,
)
SILENT = Script(chain("\n", "The", " score", " is", " fine", "<|im_end|>"))
TEN = Script(chain("\n", "The", " score", " is", " 1") | {" 1": {"0": 30.0}, "0": {"<|im_end|>": 30.0}})

MakeReader = Callable[..., LabelReader]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: write_adapter(folder / f"{name}.gguf", scale=0.25, seed=ord(name)) for name in "ab"}


@pytest.fixture
def reader(model_file: WriteModel, adapters: dict[str, Path]) -> Iterator[MakeReader]:
    made: list[tuple[Model, LabelReader]] = []

    def make(name: str = "scorer", script: Script = SCORER, *, n_ctx: int = 512, **spec: object) -> LabelReader:
        model = Model(model_file(name, script), gpu_layers=0)
        model.add_adapters(adapters)
        chat = Chat(model, frozen_time=0, max_tokens=MAX_PROMPT)
        settings = {"model": "", "slots": 4, "n_batch": 128, "purpose": "labels", **spec}
        made.append((model, LabelReader(model, chat, EngineSpec(**settings), n_ctx=n_ctx, threads=1)))  # type: ignore[arg-type]
        return made[-1][1]

    yield make
    for model, one in made:
        one.close()
        model.close()


def ask(
    number: int, said: str, *, adapter: str | None = None, prefix: str = "Rate this: ", **more: object
) -> ReadLabel:
    return ReadLabel(id=number, adapter=adapter, system=None, prefix=prefix, rest=said, **more)  # type: ignore[arg-type]


def run(reader: LabelReader, *requests: ReadLabel) -> dict[int, LabelRead | Failed]:
    for request in requests:
        reader.submit(request)
    answers: dict[int, LabelRead | Failed] = {}
    for _ in range(5000):
        if reader.n_active + reader.n_waiting == 0:
            break
        for answer in reader.step():
            assert answer.id is not None
            assert answer.id not in answers
            answers[answer.id] = answer
    assert reader.n_active + reader.n_waiting == 0
    return answers


def read(reader: LabelReader, *requests: ReadLabel) -> dict[int, LabelRead]:
    answers = run(reader, *requests)
    assert all(isinstance(answer, LabelRead) for answer in answers.values()), answers
    return {number: answer for number, answer in answers.items() if isinstance(answer, LabelRead)}


def dialogues(count: int) -> list[str]:
    return [f"{number} " + chr(33 + 7 * number % 90) * (20 + 5 * (number % 7)) for number in range(count)]


def same(one: dict[int, LabelRead], other: dict[int, LabelRead], numbers: Iterable[int]) -> bool:
    return all((one[n].reply, one[n].label) == (other[n].reply, other[n].label) for n in numbers)


NEAR_TIE = 0.05
"""Batches of another shape move logits by about 0.001; a choice closer than this may fall either way."""


def read_plainly(
    reader: LabelReader, monkeypatch: pytest.MonkeyPatch, *requests: ReadLabel
) -> tuple[dict[int, LabelRead], set[int]]:
    """Return what token-by-token generation gives, and which of the requests had no near tie on the way."""
    take, margins = reader._take, [np.inf]
    answers: dict[int, LabelRead] = {}

    def watch(job: Any, row: npt.NDArray[np.float32]) -> None:  # noqa: ANN401
        top = np.partition(row, -2)[-2:]
        margins[0] = min(margins[0], float(top[1] - top[0]))
        take(job, row)

    monkeypatch.setattr(reader, "_take", watch)
    clear = set()
    for request in requests:
        margins[0] = np.inf
        answers |= read(reader, msgspec.structs.replace(request, use_draft=False))
        if margins[0] > NEAR_TIE:
            clear.add(request.id)
    return answers, clear


@pytest.mark.model
def test_drafts_give_the_reply_and_label_of_plain_greedy_generation(
    reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [ask(number, said) for number, said in enumerate(dialogues(60))]
    drafted = read(reader(), *requests)
    plain, clear = read_plainly(reader(slots=1), monkeypatch, *requests)
    assert len(clear) > 40
    assert same(drafted, plain, clear)
    for number in clear:
        assert drafted[number].probabilities == pytest.approx(plain[number].probabilities, abs=0.01)
    used = [answer.drafted for answer in drafted.values()]
    assert 10 < sum(used) < 56, "the script must both follow and leave the draft"
    assert not any(answer.drafted for answer in plain.values())
    assert len({answer.label for answer in drafted.values()}) > 1
    assert len({answer.reply for answer in drafted.values()}) > 4


@pytest.mark.model
def test_a_reply_like_the_latest_takes_no_step_of_its_own(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reader("three", Script(chain("\n", "The", " score", " is", " 3", ".", "<|im_end|>")))
    extend = Mock(side_effect=one._extend)
    monkeypatch.setattr(one, "_extend", extend)
    read(one, ask(1, "hello"))
    assert extend.call_count == 5
    answers = read(one, *[ask(number, said) for number, said in enumerate(dialogues(6))])
    assert extend.call_count == 5
    assert {(answer.reply, answer.label) for answer in answers.values()} == {("The score is 3.", 3)}


@pytest.mark.model
def test_an_adapters_first_readings_follow_what_another_replied(
    reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reader("three", Script(chain("\n", "The", " score", " is", " 3", ".", "<|im_end|>")))
    read(one, ask(1, "hello"))
    extend = Mock(side_effect=one._extend)
    monkeypatch.setattr(one, "_extend", extend)
    answers = read(one, *[ask(number, said, adapter="a") for number, said in enumerate(dialogues(6))])
    assert all(answer.drafted for answer in answers.values())
    assert extend.call_count == 0


@pytest.mark.model
def test_the_distribution_is_over_the_whole_vocabulary(reader: MakeReader) -> None:
    answers = read(reader(), *[ask(number, said) for number, said in enumerate(dialogues(16))])
    labelled = [answer for answer in answers.values() if answer.label is not None]
    assert len(labelled) > 8
    for answer in labelled:
        assert answer.probabilities is not None
        assert answer.off_label_mass is not None
        assert sum(answer.probabilities) + answer.off_label_mass == pytest.approx(1, abs=1e-9)
        assert answer.off_label_mass > 1e-9
        assert answer.label == int(np.argmax(answer.probabilities))


@pytest.mark.model
def test_the_distribution_is_that_of_a_dialogue_engine_at_that_place(reader: MakeReader) -> None:
    one = reader(slots=1, strict=True)
    answer = read(one, ask(1, "hello"))[1]
    prompt = one._chat.encode([Message("user", "Rate this: hello")])
    opening = prompt.tolist() + [token_id(text) for text in ("The", " score", " is")]
    context = one._context
    context.clear()
    context.tokens[: len(opening)] = opening
    context.positions[: len(opening)] = np.arange(len(opening))
    context.sequences[: len(opening)] = 0
    context.wanted[: len(opening)] = 0
    context.wanted[len(opening) - 1] = 1
    context.decode(len(opening))
    row = context.logits(1)[0].astype(np.float64)
    expected = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    assert answer.reply.startswith("The score is")
    assert answer.probabilities == pytest.approx([expected[token_id(f" {label}")] for label in range(5)], abs=1e-5)


@pytest.mark.model
def test_a_long_opening_beside_many_others_stays_within_what_one_decode_may_return(
    reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reader("wordy", WORDY, slots=8, n_batch=512)
    requests = [ask(number, said[:9]) for number, said in enumerate(dialogues(24))]
    answers = read(one, *requests)
    plain, clear = read_plainly(reader("wordy", WORDY), monkeypatch, *requests)
    assert len(clear) > 15
    assert same(answers, plain, clear)
    assert [answers[number].drafted for number in (0, 1, 23)] == [False, True, True]
    assert len(one._drafts[None]) >= 13


@pytest.mark.model
def test_the_prefix_is_evaluated_once(reader: MakeReader) -> None:
    prefix = "A rubric of some length, in many words. " * 6
    one = reader()
    answers = read(one, *[ask(number, said, prefix=prefix) for number, said in enumerate(dialogues(12))])
    assert answers[0].n_reused == 0
    assert all(answers[number].n_reused > len(prefix) - 30 for number in range(1, 12))
    total = sum(answer.n_prompt for answer in answers.values())
    assert one.totals.n_prompt_evaluated < total - 10 * (len(prefix) - 30)


@pytest.mark.model
def test_packing_saves_decodes(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    for slots in (1, 8):
        one = reader(slots=slots, n_batch=512)
        decode = Mock(side_effect=one._context.decode)
        monkeypatch.setattr(one._context, "decode", decode)
        read(one, *[ask(number, said[:9]) for number, said in enumerate(dialogues(24))])
        counts[slots] = decode.call_count
    assert counts[8] * 2 < counts[1]


@pytest.mark.model
@pytest.mark.parametrize("n_ubatch", [48, 128, 512])
def test_on_a_cpu_a_pack_is_what_one_computation_takes(
    reader: MakeReader, monkeypatch: pytest.MonkeyPatch, n_ubatch: int
) -> None:
    monkeypatch.setattr(labels, "device_names", lambda *_: "CPU")
    one = reader(slots=8, n_batch=512, n_ubatch=n_ubatch)
    choose, packs = one._choose, []

    def watch() -> list[Any]:
        packs.append(choose())
        return packs[-1]

    monkeypatch.setattr(one, "_choose", watch)
    requests = [ask(number, said, prefix="A rubric of some length. " * 4) for number, said in enumerate(dialogues(25))]
    answers = read(one, *requests)
    parked = len(one._parked)
    sizes = [sum(job.prompt.size - parked for job in pack) for pack in packs if pack]
    assert all(size <= n_ubatch or len(pack) == 1 for size, pack in zip(sizes, filter(None, packs), strict=True))
    assert max(len(pack) for pack in packs) == {48: 1, 128: 3, 512: 8}[n_ubatch]
    assert len(answers) == 25


@pytest.mark.model
def test_on_a_gpu_a_pack_has_all_slots(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "device_names", lambda *_: "Some GPU")
    one = reader(slots=8, n_batch=512, n_ubatch=48)
    for number, said in enumerate(dialogues(9)):
        one.submit(ask(number, said))
    assert [len(one._choose()) for _ in range(2)] == [1, 8]


@pytest.mark.model
def test_each_adapter_reads_as_if_it_were_alone(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (None, "a", "b")
    asked = {name: [ask(number + 10 * at, said, adapter=name) for number, said in enumerate(dialogues(9))]
             for at, name in enumerate(names)}  # fmt: skip
    alone = {name: read_plainly(reader(), monkeypatch, *requests) for name, requests in asked.items()}
    one = reader()
    for name in ("a", "b", None, "a", "b", "a"):
        expected, clear = alone[name]
        again = read(one, *asked[name])
        assert len(clear) >= 3
        assert same(again, expected, clear)
        for number in clear:
            assert again[number].probabilities == pytest.approx(expected[number].probabilities, abs=0.01)
    first = [alone[name][0][10 * at].probabilities for at, name in enumerate(names)]
    assert first[0] != pytest.approx(first[1], abs=0.02), "the adapters must differ for this test to mean anything"
    assert first[1] != pytest.approx(first[2], abs=0.02)


@pytest.mark.model
def test_mixed_requests_are_grouped_by_adapter(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reader()
    use_adapter = Mock(side_effect=one._context.use_adapter)
    monkeypatch.setattr(one._context, "use_adapter", use_adapter)
    read(one, *[ask(number, "hello", adapter="ab"[number % 2]) for number in range(12)])
    assert use_adapter.call_args_list == [call("a"), call("b")]


@pytest.mark.model
def test_no_sequence_keeps_cells_after_its_answer(reader: MakeReader) -> None:
    one = reader()
    read(one, *[ask(number, said) for number, said in enumerate(dialogues(9))])
    lengths = [lib.llama_memory_seq_pos_max(one._context._memory, sequence) for sequence in range(4)]
    assert lengths == [-1] * 4


@pytest.mark.model
def test_nan_fails_only_the_request_that_meets_it(reader: MakeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reader("nan-scorer", NAN_SCORER)
    spy = Mock(side_effect=one._context.clear)
    monkeypatch.setattr(one._context, "clear", spy)
    answers = run(one, *[ask(number, "Z" if number == 2 else said) for number, said in enumerate(dialogues(9))])
    assert isinstance(answers[2], Failed)
    assert answers[2].error == "NonFiniteLogitsError"
    # Some backends multiply masked cells by 0, and 0 times NaN is NaN: the cells must not stay as they are.
    assert spy.call_args_list == [call(wipe=True)] * 2
    good = {number: answer for number, answer in answers.items() if isinstance(answer, LabelRead)}
    assert sorted(good) == [0, 1, 3, 4, 5, 6, 7, 8]
    requests = [ask(number, said) for number, said in enumerate(dialogues(9)) if number != 2]
    expected, clear = read_plainly(reader(), monkeypatch, *requests)
    assert same(good, expected, clear)


@pytest.mark.model
def test_a_reply_without_a_label_keeps_its_text(reader: MakeReader) -> None:
    for name, script, reply in (("silent", SILENT, "The score is fine"), ("ten", TEN, "The score is 10")):
        answer = read(reader(name, script), ask(1, "hello"))[1]
        assert (answer.reply, answer.label, answer.probabilities, answer.off_label_mass) == (reply, None, None, None)


@pytest.mark.model
@pytest.mark.parametrize("max_tokens", [1, 2, 4, 5])
def test_a_short_budget_cuts_the_reply_at_the_same_place(
    reader: MakeReader, monkeypatch: pytest.MonkeyPatch, max_tokens: int
) -> None:
    one = reader()
    read(one, *[ask(number, said) for number, said in enumerate(dialogues(9))])
    requests = [ask(number, said, max_tokens=max_tokens) for number, said in enumerate(dialogues(9))]
    drafted = read(one, *requests)
    plain, clear = read_plainly(reader(), monkeypatch, *requests)
    assert same(drafted, plain, clear)
    assert {answer.n_generated for answer in drafted.values()} == {max_tokens}


@pytest.mark.model
def test_strict_repeats_byte_for_byte_whatever_came_before(reader: MakeReader) -> None:
    fresh, used = reader(strict=True), reader(strict=True)
    read(used, *[ask(number, said) for number, said in enumerate(dialogues(7))])
    first, second = read(fresh, ask(50, "hello"))[50], read(used, ask(50, "hello"))[50]
    assert (first.reply, first.probabilities, first.off_label_mass) == (
        second.reply,
        second.probabilities,
        second.off_label_mass,
    )


@pytest.mark.model
def test_the_scorers_own_system_prompt_is_used_unless_one_is_given(reader: MakeReader) -> None:
    own = "You are the judge."
    script = Script(SCORER.table, context_weight=1.2, metadata={DEFAULT_SYSTEM_KEY: own})
    with_key, without_key = reader("own-system", script), reader()
    request = ask(1, "hello")
    assert without_key._prompt(request, "x").tolist() != with_key._prompt(request, "x").tolist()
    given = ReadLabel(id=2, adapter=None, system=own, prefix=request.prefix, rest=request.rest)
    assert without_key._prompt(given, "x").tolist() == with_key._prompt(request, "x").tolist()


@pytest.mark.model
def test_what_cannot_be_answered_is_refused_at_once(reader: MakeReader) -> None:
    one = reader(n_ctx=300)
    with pytest.raises(EngineError, match="no adapter named c is loaded; loaded: a, b"):
        one.submit(ask(1, "x", adapter="c"))
    with pytest.raises(ContextOverflowError, match="has 300"):
        one.submit(ask(1, "x" * 300))
    with pytest.raises(EngineError, match="max_tokens"):
        one.submit(ask(1, "x", max_tokens=0))
    with pytest.raises(EngineError, match="loaded for labels"):
        one.submit(Generate(id=1, session="s", messages=[Message("user", "x")], sampling=Sampling(), seed=1))


@pytest.mark.model
def test_a_cancelled_request_is_not_answered(reader: MakeReader) -> None:
    one = reader()
    for number in range(6):
        one.submit(ask(number, "hello"))
    one.step()
    one.cancel(0)
    one.cancel(5)
    assert sorted(run(one)) == [1, 2, 3, 4]


@pytest.mark.model
def test_only_tokens_with_the_same_space_before_the_digit_count(reader: MakeReader) -> None:
    tokens = LabelTokens(reader()._chat.vocabulary, N_VOCAB)
    row = np.zeros(N_VOCAB, dtype=np.float32)
    row[token_id(" 3")], row[token_id("3")], row[token_id(" 1")] = 10, 9, 8
    odds = tokens.odds(row, token_id(" 3"))
    assert odds is not None
    total = np.exp(10) + np.exp(9) + np.exp(8) + N_VOCAB - 3
    assert odds.label == 3
    assert odds.probabilities == pytest.approx([1 / total, np.exp(8) / total, 1 / total, np.exp(10) / total, 1 / total])
    assert odds.off_label_mass == pytest.approx(1 - sum(odds.probabilities))
    assert tokens.odds(row, token_id("The")) is None
    assert tokens.odds(row, token_id("10")) is None


@pytest.mark.parametrize(
    ("pieces", "candidates", "expected"),
    [
        (["The", " score", " is", " 3", "."], [3], 3),
        (["3"], [0], 0),
        (["1", "5"], [0], None),
        (["1", "0"], [0, 1], None),
        (["3", ".", "5"], [0], None),
        (["0", ".", "3"], [0, 2], None),
        (["3", ".", " 5"], [0], 0),
        (["3", ". It", " 4"], [0, 2], 0),
        (["9", "3", " or", " 2"], [1, 3], 3),
        (["4", "/", "4"], [0, 2], 0),
        (["dim", " 2", "0", " 1"], [1, 2, 3], 3),
        (["分", "3", "分"], [1], 1),
        (["fine"], [], None),
    ],
)
def test_a_label_is_a_digit_that_stands_alone(pieces: list[str], candidates: list[int], expected: int | None) -> None:
    assert find_label([piece.encode() for piece in pieces], candidates) == expected


@given(st.lists(st.sampled_from(["0", "3", "7", "12", ".", " ", "a", " 4", "分"]), max_size=8))
def test_a_label_never_touches_a_digit(pieces: list[str]) -> None:
    candidates = [index for index, piece in enumerate(pieces) if piece.strip() in {"0", "3", "4"}]
    at = find_label([piece.encode() for piece in pieces], candidates)
    if at is not None:
        before, after = "".join(pieces[:at]) + pieces[at][:-1], "".join(pieces[at + 1 :])
        assert not before[-1:].isdigit()
        assert not after[:1].isdigit()
