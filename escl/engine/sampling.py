"""Draws one sequence's tokens: repetition penalty, top-k, temperature, top-p, then the dice.

The order is Hugging Face's. llama.cpp's own penalty looks every token of the vocabulary up in a hash table (0.4 ms a
token at 152,000); here the few tokens already seen are penalised in llama.cpp's logits themselves, with the same
arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from escl.core.sampling import Sampling
from escl.engine.llama import RANDOM_SEED, Context
from escl.errors import EngineError, NonFiniteLogitsError

Tokens = npt.NDArray[np.int32]
Row = npt.NDArray[np.float32]


class Sampler:
    """The sampler of one request. Free it before its context."""

    def __init__(self, sampling: Sampling, *, seed: int, prompt: Tokens, n_vocab: int) -> None:
        """Build the chain and take note of the prompt.

        Args:
            sampling: How to draw; temperature 0 is greedy.
            seed: Of this request's dice, 0 to 2^32 - 2.
            prompt: Its tokens are penalised as those of the reply are.
            n_vocab: Size of the vocabulary.

        Raises:
            EngineError: Settings or seed that llama.cpp would take for something else.
        """
        _check(sampling, seed)
        self._penalty = np.float32(sampling.repeat_penalty)
        self._chain = None if sampling.temperature == 0 else _chain(sampling, seed)
        self._seen = np.zeros(0, dtype=np.int32)
        self._n_seen = 0
        if self._penalty != 1:
            unique = np.unique(prompt)
            self._seen = np.concatenate([unique, np.zeros(sampling.max_tokens, dtype=np.int32)])
            self._n_seen = unique.size
            self._is_seen = np.zeros(n_vocab, dtype=bool)
            self._is_seen[unique] = True

    def draw(self, context: Context, row: Row, batch_index: int) -> int:
        """Return the next token.

        Args:
            context: Whose latest decode gave the logits.
            row: These logits, llama.cpp's own memory; they are changed.
            batch_index: Where in the batch the row's token was.

        Raises:
            NonFiniteLogitsError: The row holds NaN or infinity, or nothing but minus infinity.
        """
        if self._n_seen:
            seen = self._seen[: self._n_seen]
            logits = row[seen]
            row[seen] = np.where(logits <= 0, logits * self._penalty, logits / self._penalty)
        # The maximum of a row with a NaN is NaN, and numpy's argmax points there.
        if self._chain is None:
            token = int(row.argmax())
            check_finite(float(row[token]))
        else:
            check_finite(float(row.max()))
            token = int(lib.llama_sampler_sample(self._chain, context.pointer, batch_index))
        if self._n_seen and not self._is_seen[token]:
            self._is_seen[token] = True
            self._seen[self._n_seen] = token
            self._n_seen += 1
        return token

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            lib.llama_sampler_free(self._chain)
            self._chain = None


def check_finite(highest: float) -> None:
    """Raise NonFiniteLogitsError when the highest logit of a row is NaN or infinite."""
    if not math.isfinite(highest):
        raise NonFiniteLogitsError(f"the model returned {highest} as a logit; its weights or its numerics are broken")


def _check(sampling: Sampling, seed: int) -> None:
    if not 0 <= seed < RANDOM_SEED:
        raise EngineError(f"seed {seed} is not between 0 and {RANDOM_SEED - 1}")
    if not (0 <= sampling.temperature < float("inf") and 0 < sampling.repeat_penalty < float("inf")):
        raise EngineError("temperature must be 0 or more and repeat_penalty more than 0")
    if not 0 < sampling.top_p <= 1 or not 0 <= sampling.top_k < 2**31 or sampling.max_tokens < 1:
        raise EngineError("top_p must be in (0, 1], top_k 0 or more, max_tokens 1 or more")


def _chain(sampling: Sampling, seed: int) -> Any:  # noqa: ANN401
    params = lib.llama_sampler_chain_default_params()
    params.no_perf = True
    chain = lib.llama_sampler_chain_init(params)
    # Top-k first: the steps after it then see a few tokens, not the whole vocabulary.
    if sampling.top_k > 0:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_k(sampling.top_k))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(sampling.temperature))
    if sampling.top_p < 1:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(sampling.top_p, 1))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(seed))
    return chain
