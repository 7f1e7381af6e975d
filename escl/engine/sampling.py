"""Draws one sequence's tokens: repetition penalty, top-k, temperature, top-p, then the dice.

The order is Hugging Face's. llama.cpp's own penalty looks every token of the vocabulary up in a hash table (0.4 ms a
token at 152,000); here the few tokens already seen are penalised in llama.cpp's logits themselves, with the same
arithmetic. llama.cpp's sampler also copies the whole vocabulary for each token (0.17 ms at 152,000); its chain is given
the few tokens that can be among the top k, so the draws are the same in a third of the time.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, Final

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from escl.core.sampling import Sampling
from escl.engine.llama import RANDOM_SEED, Context
from escl.errors import EngineError, NonFiniteLogitsError

Tokens = npt.NDArray[np.int32]
Row = npt.NDArray[np.float32]

_PARTS: Final = 32
"""A row of logits is searched as this many parts laid side by side."""
# struct llama_token_data of llama.h.
_CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


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
        # Where the parts have few columns, the search would leave nearly everything in.
        self._top_k = sampling.top_k if 4 * sampling.top_k <= n_vocab // _PARTS else 0
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
            token = self._roll(context, row, batch_index)
        if self._n_seen and not self._is_seen[token]:
            self._is_seen[token] = True
            self._seen[self._n_seen] = token
            self._n_seen += 1
        return token

    def _roll(self, context: Context, row: Row, batch_index: int) -> int:
        if not self._top_k:
            check_finite(float(row.max()))
            return int(lib.llama_sampler_sample(self._chain, context.pointer, batch_index))
        candidates = top_candidates(row, self._top_k)
        if candidates is None:
            return int(lib.llama_sampler_sample(self._chain, context.pointer, batch_index))
        listed = lib.llama_token_data_array(
            data=candidates.ctypes.data_as(ctypes.POINTER(lib.llama_token_data)),
            size=candidates.size,
            selected=-1,
            sorted=False,
        )
        lib.llama_sampler_apply(self._chain, ctypes.byref(listed))
        token = int(candidates["id"][listed.selected])
        lib.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            lib.llama_sampler_free(self._chain)
            self._chain = None


def top_candidates(row: Row, k: int) -> npt.NDArray[np.void] | None:
    """Return at least the `k` most likely tokens of a row, by id, as llama.cpp's structs.

    The row is cut into parts laid one above the other. Each column's highest logit is found; the k-th highest of these
    is reached by k tokens at least, so whatever is lower is not among the top k. None when so many tokens are equal
    that this leaves a good part of the row: then llama.cpp is faster alone.

    Raises:
        NonFiniteLogitsError: The row holds NaN or infinity, or nothing but minus infinity.
    """
    width = row.size // _PARTS
    parts, rest = row[: width * _PARTS].reshape(_PARTS, width), row[width * _PARTS :]
    highest = parts.max(axis=0)
    check_finite(float(np.maximum(highest.max(), rest.max(initial=-np.inf))))
    floor = np.partition(highest, -k)[-k]
    columns = np.flatnonzero(highest >= floor)
    if columns.size > 8 * k:
        return None
    at, column = np.nonzero(parts[:, columns] >= floor)
    ids = np.concatenate([at * width + columns[column], width * _PARTS + np.flatnonzero(rest >= floor)])
    candidates = np.zeros(ids.size, dtype=_CANDIDATE)
    candidates["id"], candidates["logit"] = ids, row[ids]
    return candidates


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
