"""llama.cpp as the tests see it: logits and tokens of a GGUF file through the low-level binding, on the CPU."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray


def _silent(_level: int, _text: bytes, _user_data: object) -> None:
    return


_SILENT = llama_cpp.llama_log_callback(_silent)


class LoadedModel:
    """A model in this process; `loaded` makes and frees it."""

    def __init__(self, path: Path, *, vocab_only: bool) -> None:
        llama_cpp.llama_log_set(_SILENT, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers, params.vocab_only = 0, vocab_only
        self.model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        assert self.model, f"llama.cpp refused {path}"
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        """Return the tokens of `text` alone, without BOS."""
        raw = text.encode()
        room = (llama_cpp.llama_token * (len(raw) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), room, len(room), False, parse_special)
        assert n >= 0
        return list(room[:n])

    def is_control(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_control(self.vocab, token))

    def is_eog(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def logits(self, tokens: Sequence[int], *, adapter: Path | None = None) -> NDArray[np.float32]:
        """Return the logits after every token, (n, vocab), from one batch."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = 256, 256, 256, 2, 2
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # f16 keys and values would round more than the tolerance allows.
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        context = llama_cpp.llama_init_from_model(self.model, params)
        assert context
        lora = None
        try:
            if adapter is not None:
                lora = llama_cpp.llama_adapter_lora_init(self.model, os.fsencode(adapter))
                assert lora, f"llama.cpp refused {adapter}"
                adapters, scales = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(lora), (ctypes.c_float * 1)(1.0)
                llama_cpp.llama_set_adapters_lora(context, adapters, 1, scales)
            return self._decode(context, tokens)
        finally:
            llama_cpp.llama_free(context)
            if lora:
                llama_cpp.llama_adapter_lora_free(lora)

    def _decode(self, context: object, tokens: Sequence[int]) -> NDArray[np.float32]:
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for at, token in enumerate(tokens):
                batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, at, 1, True
                batch.seq_id[at][0] = 0
            assert llama_cpp.llama_decode(context, batch) == 0
            rows = [llama_cpp.llama_get_logits_ith(context, at) for at in range(len(tokens))]
            return np.stack([np.ctypeslib.as_array(row, (self.n_vocab,)).copy() for row in rows])
        finally:
            llama_cpp.llama_batch_free(batch)


@contextlib.contextmanager
def loaded(path: Path, *, vocab_only: bool = False) -> Iterator[LoadedModel]:
    """Give the model in the GGUF file `path`, and free it."""
    model = LoadedModel(path, vocab_only=vocab_only)
    try:
        yield model
    finally:
        llama_cpp.llama_model_free(model.model)
