"""Drawing gives exactly what llama.cpp's own chain gives, and refuses what cannot be drawn from."""

from __future__ import annotations

from collections.abc import Iterator

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from escl.core.sampling import Sampling
from escl.engine.llama import RANDOM_SEED, Context, Model
from escl.engine.sampling import Sampler, top_candidates
from escl.errors import EngineError, NonFiniteLogitsError
from tests.engine.conftest import LoadModel
from tests.tiny_gguf import N_VOCAB, Script

pytestmark = pytest.mark.model

PROMPT = np.array([5, 9, 40, 9, 77, 200], dtype=np.int32)
DEFAULT = Sampling()


@pytest.fixture(scope="module")
def model(loaded: LoadModel) -> Model:
    return loaded("mild", Script(context_weight=0.5))[0]


@pytest.fixture
def context(model: Model) -> Iterator[Context]:
    context = Context(model, n_ctx=256, n_batch=64, n_sequences=1, n_outputs=1, unified=False, threads=1)
    yield context
    context.close()


def evaluate(context: Context, token: int, position: int) -> npt.NDArray[np.float32]:
    context.tokens[0], context.positions[0], context.sequences[0], context.wanted[0] = token, position, 0, 1
    context.decode(1)
    row: npt.NDArray[np.float32] = context.logits(1)[0]
    return row


def draw_with_llama_cpp(context: Context, sampling: Sampling, seed: int, n_tokens: int) -> list[int]:
    """Return what llama.cpp's own penalties -> top-k -> temperature -> top-p -> dice gives."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for sampler in (
        lib.llama_sampler_init_penalties(N_VOCAB, 256, sampling.repeat_penalty, 0.0, 0.0),
        lib.llama_sampler_init_top_k(sampling.top_k),
        lib.llama_sampler_init_temp(sampling.temperature),
        lib.llama_sampler_init_top_p(sampling.top_p, 1),
        lib.llama_sampler_init_dist(seed),
    ):
        lib.llama_sampler_chain_add(chain, sampler)
    for token in PROMPT.tolist():
        lib.llama_sampler_accept(chain, token)
    drawn = [int(PROMPT[-1])]
    for position in range(n_tokens):
        evaluate(context, drawn[-1], position)
        drawn.append(lib.llama_sampler_sample(chain, context.pointer, 0))
    lib.llama_sampler_free(chain)
    return drawn[1:]


def draw(context: Context, sampling: Sampling, seed: int, n_tokens: int) -> list[int]:
    sampler = Sampler(sampling, seed=seed, prompt=PROMPT, n_vocab=N_VOCAB)
    drawn = [int(PROMPT[-1])]
    for position in range(n_tokens):
        row = evaluate(context, drawn[-1], position)
        drawn.append(sampler.draw(context, row, 0))
    sampler.close()
    return drawn[1:]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("penalty", [1.0, 1.05, 1.9])
@pytest.mark.parametrize("top_k", [0, 3, 40])
def test_a_draw_is_llama_cpps(context: Context, seed: int, penalty: float, top_k: int) -> None:
    sampling = Sampling(repeat_penalty=penalty, temperature=2.3, top_p=0.98, top_k=top_k, max_tokens=40)
    ours = draw(context, sampling, seed, 40)
    context.clear()
    assert ours == draw_with_llama_cpp(context, sampling, seed, 40)
    assert len(set(ours)) > (2 if top_k == 3 else 5)


@given(
    hnp.arrays(np.float32, st.integers(96, 300), elements=st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 1.5, 1.5, 7.0])),
    st.integers(1, 3),
)
def test_the_candidates_hold_the_top_k_and_all_that_ties_with_them(row: npt.NDArray[np.float32], k: int) -> None:
    assume(row.max() > -np.inf)
    found = top_candidates(row, k)
    assume(found is not None)  # Too many are equal.
    assert found is not None
    lowest = np.sort(row)[-k]
    assert set(np.flatnonzero(row >= lowest)) <= set(found["id"])
    assert found["logit"].tolist() == row[found["id"]].tolist()
    assert found["id"].tolist() == sorted(set(found["id"].tolist()))


def test_of_a_large_vocabulary_few_candidates_are_left() -> None:
    row = np.random.default_rng(1).standard_normal(150_000).astype(np.float32)
    found = top_candidates(row, 20)
    assert found is not None
    assert 20 <= found.size < 100


def test_a_row_of_equals_is_left_to_llama_cpp() -> None:
    row = np.zeros(150_000, dtype=np.float32)
    assert top_candidates(row, 20) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 17, 95, 99])
def test_a_candidate_that_is_no_number_is_refused_wherever_it_is(bad: float, place: int) -> None:
    row = np.zeros(100, dtype=np.float32)
    row[place] = bad
    with pytest.raises(NonFiniteLogitsError):
        top_candidates(row, 2)


def test_a_seed_gives_the_same_tokens_again_and_another_seed_others(context: Context) -> None:
    runs = []
    for seed in (3, 3, 4):
        context.clear()
        runs.append(draw(context, Sampling(temperature=2.0, top_k=0, top_p=1.0), seed, 30))
    assert runs[0] == runs[1] != runs[2]


def test_greedy_with_a_penalty_avoids_what_was_said(context: Context) -> None:
    row = np.zeros(N_VOCAB, dtype=np.float32)
    row[[9, 10, 11]] = 2.0, 1.9, 1.8
    plain = Sampler(Sampling(temperature=0, repeat_penalty=1.0), seed=1, prompt=PROMPT, n_vocab=N_VOCAB)
    penalised = Sampler(Sampling(temperature=0, repeat_penalty=1.5), seed=1, prompt=PROMPT, n_vocab=N_VOCAB)
    assert plain.draw(context, row.copy(), 0) == 9
    assert [penalised.draw(context, row.copy(), 0) for _ in range(2)] == [10, 11]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(context: Context, temperature: float, bad: float) -> None:
    sampler = Sampler(Sampling(temperature=temperature), seed=1, prompt=PROMPT, n_vocab=N_VOCAB)
    row = evaluate(context, 5, 0)
    row[17] = bad
    with pytest.raises(NonFiniteLogitsError):
        sampler.draw(context, row, 0)
    sampler.close()


def test_logits_that_exclude_everything_are_refused(context: Context) -> None:
    sampler = Sampler(Sampling(temperature=0, repeat_penalty=1.0), seed=1, prompt=PROMPT, n_vocab=N_VOCAB)
    with pytest.raises(NonFiniteLogitsError):
        sampler.draw(context, np.full(N_VOCAB, -np.inf, dtype=np.float32), 0)


@pytest.mark.parametrize(
    ("sampling", "seed"),
    [
        (DEFAULT, RANDOM_SEED),
        (DEFAULT, -1),
        (Sampling(temperature=-0.1), 1),
        (Sampling(temperature=float("nan")), 1),
        (Sampling(repeat_penalty=0), 1),
        (Sampling(top_p=0), 1),
        (Sampling(top_p=1.1), 1),
        (Sampling(top_k=-1), 1),
        (Sampling(max_tokens=0), 1),
    ],
)
def test_settings_that_llama_cpp_would_misread_are_refused(sampling: Sampling, seed: int) -> None:
    with pytest.raises(EngineError):
        Sampler(sampling, seed=seed, prompt=PROMPT, n_vocab=N_VOCAB)
