"""The one boundary to llama.cpp's C API: a model with its adapters, and a context with its batch.

Owns every ctypes call and the order in which things are freed. Knows nothing of chats, dialogues, slots or labels.
Import it in a child process only: llama.cpp answers some malformed files and batches with abort().
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from escl.engine.context_shape import context_shape
from escl.engine.devices import CPU_ONLY, device_pointers, list_devices
from escl.engine.wire import EngineSpec, KVType
from escl.errors import EngineError, KVExhaustedError, ModelLoadError, OutOfMemoryError

Tokens = npt.NDArray[np.int32]
Rows = npt.NDArray[np.float32]

RANDOM_SEED: Final = lib.LLAMA_DEFAULT_SEED
"""The seed that llama.cpp reads as "take any"."""

_KV_TYPES: Final[dict[KVType, int]] = {
    "f16": lib.GGML_TYPE_F16,
    "q8_0": lib.GGML_TYPE_Q8_0,
    "q4_0": lib.GGML_TYPE_Q4_0,
}
_FLASH_ATTENTION: Final[dict[bool | None, int]] = {
    None: lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    True: lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    False: lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}

# enum ggml_log_level of ggml.h; the package's own logger numbers the levels differently.
_LEVEL_ERROR: Final = 4
_OUT_OF_MEMORY: Final = (
    "failed to allocate",
    "unable to allocate",
    "out of memory",
    "cudaMalloc failed",
    "bad_alloc",
)
_FUNCTION: Final = re.compile(r"^\w+: (error loading model: )?")
_TELLS_NOTHING: Final = re.compile("failed to load model")
_NOT_ALLOCATED: Final = -2
_DECODE_CODES: Final = {
    2: "the computation was aborted",
    -1: "llama.cpp refused the batch as invalid",
    _NOT_ALLOCATED: "llama.cpp could not allocate or prepare the computation",
    -3: "the computation failed",
}


class _Log:
    """Keeps llama.cpp's latest error lines and passes them on to stderr."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=12)
        self.listener: Callable[[str], object] | None = None
        # ctypes keeps no reference to a callback; without ours llama.cpp would call freed memory.
        self._callback = lib.llama_log_callback(self._on_line)
        lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _on_line(self, level: int, text: bytes | None, _user_data: object) -> None:
        if text is None:
            return
        if self.listener is not None:
            self.listener(text.decode("utf-8", errors="replace").strip())
        if level != _LEVEL_ERROR:
            return
        line = text.decode("utf-8", errors="replace").strip()
        self.errors.append(line)
        sys.stderr.write(line + "\n")

    def reason(self) -> str:
        """Return why the latest step failed, in llama.cpp's words, and forget it."""
        lines = list(dict.fromkeys(_FUNCTION.sub("", line) for line in self.errors if line))
        self.errors.clear()
        telling = [line for line in lines if not _TELLS_NOTHING.search(line)]
        return "; ".join((telling or lines)[:3]) or "llama.cpp gave no reason"


_log = _Log()


def listen(listener: Callable[[str], object]) -> None:
    """Pass every line of llama.cpp's log, of any level, to `listener` too."""
    _log.listener = listener


def _load_error(what: str) -> ModelLoadError:
    reason = _log.reason()
    if any(words in reason for words in _OUT_OF_MEMORY):
        return OutOfMemoryError(
            f"{what}: {reason}", hint="use fewer slots, a shorter context, or a smaller quantization"
        )
    return ModelLoadError(f"{what}: {reason}")


def build_name() -> str:
    """Return which llama.cpp runs here: package version, library version, CPU features."""
    import llama_cpp

    features = lib.llama_print_system_info().decode("utf-8", errors="replace").strip()
    version = lib.llama_version().decode("utf-8", errors="replace")
    return f"llama-cpp-python {llama_cpp.__version__}, llama.cpp {version}, {features}"


def device_names(gpu_layers: int, device: str | None = None) -> str:
    """Return the devices that hold layers, comma-separated; "CPU" when none but the CPU does."""
    if gpu_layers == 0 or device == CPU_ONLY:
        return "CPU"
    names = [listed.description for listed in list_devices() if device in (None, listed.name)]
    return ", ".join(names) or "CPU"


def _load_mode(gpu_layers: int, *, repack: bool) -> int:
    """Return how the file is read: mapped, but for weights that are rearranged, which would be resident twice.

    Measured with 0.38 GB at Q4_K_M in the page cache: rearranged 0.37 s and 630 MiB mapped, 0.83 s and 443 MiB read;
    as they are 0.26 s and 442 MiB mapped, 1.10 s and 442 MiB read.
    """
    all_on_device = gpu_layers < 0 and lib.llama_supports_gpu_offload()
    mode: int = lib.LLAMA_LOAD_MODE_NONE if repack and not all_on_device else lib.LLAMA_LOAD_MODE_AUTO
    return mode


class Model:
    """A loaded GGUF model, its vocabulary and its LoRA adapters.

    Attributes:
        offloads: Whether an accelerator may take part.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int,
        device: str | None = None,
        repack: bool = True,
        dry_run: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load the model.

        Args:
            path: The GGUF file.
            gpu_layers: Layers on the device; -1 is all, 0 none.
            device: As in EngineSpec.
            repack: Whether weights that stay on the CPU are rearranged for its matrix products.
            dry_run: Read the header only; contexts then say what they would allocate, and allocate next to nothing.
            on_progress: Called with the fraction loaded, 0 to 1.

        Raises:
            OutOfMemoryError: Its weights do not fit.
            ModelLoadError: llama.cpp refused the file; the message says why.
            EngineError: There is no such device.
        """
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = repack
        chosen = device_pointers(device)
        if chosen is not None:
            # A list of devices that ends with NULL; an empty one keeps llama.cpp from looking for any.
            devices = (ctypes.c_void_p * (len(chosen) + 1))(*chosen, None)
            params.devices = ctypes.cast(devices, ctypes.c_void_p)
        self.offloads = chosen != []
        params.load_mode = _load_mode(gpu_layers if self.offloads else 0, repack=repack)
        if dry_run:
            params.no_alloc, params.load_mode = True, lib.LLAMA_LOAD_MODE_NONE

        def report(fraction: float, _user_data: object) -> bool:
            if on_progress is not None:
                on_progress(fraction)
            return True

        params.progress_callback = lib.llama_progress_callback(report)
        self.path = path
        self._adapters: dict[str, Any] = {}
        self._piece_buffer = ctypes.create_string_buffer(64)
        self._model = lib.llama_model_load_from_file(str(path).encode("utf-8", "surrogateescape"), params)
        if not self._model:
            raise _load_error(f"{path} cannot be loaded")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.n_vocab: int = lib.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = lib.llama_model_n_ctx_train(self._model)
        self.bos: int = lib.llama_vocab_bos(self._vocab)
        self.eos: int = lib.llama_vocab_eos(self._vocab)
        self.adds_bos: bool = lib.llama_vocab_get_add_bos(self._vocab)

    def add_adapters(self, adapters: Mapping[str, Path]) -> None:
        """Load LoRA adapters by name. A context uses none until it is told to.

        Raises:
            ModelLoadError: An adapter is missing, malformed, or made for another model.
        """
        for name, path in adapters.items():
            adapter = lib.llama_adapter_lora_init(self._model, str(path).encode("utf-8", "surrogateescape"))
            if not adapter:  # ctypes gives a false pointer here, not None.
                raise _load_error(f"adapter {name} ({path}) cannot be loaded")
            self._adapters[name] = adapter

    @property
    def adapters(self) -> Mapping[str, Any]:
        """The loaded adapters' C pointers by name."""
        return self._adapters

    @property
    def pointer(self) -> Any:  # noqa: ANN401
        """The C pointer."""
        return self._model

    @property
    def rewinds(self) -> bool:
        """Whether a sequence can forget its latest tokens; a recurrent state cannot."""
        return not (lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model))

    @property
    def description(self) -> str:
        """Size and quantization in llama.cpp's words, such as "qwen2 14B Q4_K - Medium"."""
        buffer = ctypes.create_string_buffer(256)
        lib.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", errors="replace")

    def metadata(self, key: str) -> str | None:
        """Return a string of the file's metadata, None when it has no such key."""
        buffer = ctypes.create_string_buffer(1)
        length = lib.llama_model_meta_val_str(self._model, key.encode(), buffer, 1)
        if length < 0:
            return None
        buffer = ctypes.create_string_buffer(length + 1)
        lib.llama_model_meta_val_str(self._model, key.encode(), buffer, length + 1)
        return buffer.raw[:length].decode("utf-8", errors="replace")

    @property
    def chat_template(self) -> str | None:
        """The file's own chat template, None when it has none."""
        template = lib.llama_model_chat_template(self._model, None)
        return None if template is None else template.decode("utf-8", errors="replace")

    def tokenize(self, text: bytes) -> Tokens:
        """Return the ids of UTF-8 text; no special tokens are added, and none of type CONTROL are parsed from it."""
        capacity = len(text) + 8
        while True:
            ids = np.empty(capacity, dtype=np.int32)
            room = ids.ctypes.data_as(lib.llama_token_p)
            count = lib.llama_tokenize(self._vocab, text, len(text), room, capacity, False, False)
            if count >= 0:
                return ids[:count]
            capacity = -count

    def piece(self, token: int) -> bytes:
        """Return the bytes a token stands for; control tokens stand for nothing."""
        buffer = self._piece_buffer
        length = lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[:length]

    def token_text(self, token: int) -> str:
        """Return a token's text as the vocabulary writes it, which for control tokens is what templates contain."""
        text: bytes = lib.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", errors="replace")

    def token_attributes(self) -> npt.NDArray[np.int32]:
        """Return the attribute bits (LLAMA_TOKEN_ATTR_*) of every token."""
        get, vocab = lib.llama_vocab_get_attr, self._vocab
        return np.fromiter((get(vocab, token) for token in range(self.n_vocab)), dtype=np.int32, count=self.n_vocab)

    def ends_generation(self, token: int) -> bool:
        """Return whether llama.cpp takes the token for an end of turn or text."""
        return bool(lib.llama_vocab_is_eog(self._vocab, token))

    def close(self) -> None:
        """Free the adapters, then the model. Contexts must be closed before."""
        for adapter in self._adapters.values():
            lib.llama_adapter_lora_free(adapter)
        self._adapters.clear()
        if self._model:
            lib.llama_model_free(self._model)
            self._model = None


class Context:
    """A KV cache, its work buffers, and the one batch that is refilled for every step.

    Attributes:
        tokens: int32 [n_batch], the batch's token ids; the caller writes here and in the next three.
        positions: int32 [n_batch].
        sequences: int32 [n_batch].
        wanted: int8 [n_batch], 1 where logits are wanted.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_sequences: int,
        n_outputs: int,
        unified: bool,
        threads: int,
        n_ubatch: int = 512,
        kv_type: KVType = "f16",
        flash_attention: bool | None = None,
    ) -> None:
        """Allocate the context.

        Args:
            model: Must outlive the context.
            n_ctx: KV cells in all, over all sequences.
            n_batch: Tokens per decode at most.
            n_sequences: Sequence ids run below this.
            n_outputs: Rows of logits per decode at most; a small number saves work memory.
            unified: One pool of cells, in which sequences can share a prefix; else one stream per sequence.
            threads: For one token and for many alike: with several sequences llama.cpp uses the second number only.
            n_ubatch: Tokens per computation at most; llama.cpp cuts a batch into such pieces.
            kv_type: How keys and values are stored.
            flash_attention: None lets llama.cpp decide; a quantized KV cache needs it.

        Raises:
            OutOfMemoryError: It does not fit.
            ModelLoadError: llama.cpp refused it for another reason.
        """
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, min(n_batch, n_ubatch)
        params.n_seq_max = n_sequences
        # Fewer rows than n_sequences make llama.cpp abort.
        self.n_outputs = params.n_outputs_max = max(n_outputs, n_sequences)
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = _KV_TYPES[kv_type]
        params.flash_attn_type = _FLASH_ATTENTION[flash_attention]
        params.kv_unified = unified
        params.offload_kqv = params.op_offload = model.offloads
        params.no_perf = True
        self._model = model
        self._context = lib.llama_init_from_model(model.pointer, params)
        if not self._context:
            raise _load_error(f"no context of {n_ctx} tokens for {model.path}")
        self._memory = lib.llama_get_memory(self._context)
        # llama.cpp shrinks n_batch to n_ctx and aborts on a larger batch.
        self.n_batch: int = lib.llama_n_batch(self._context)
        self._adapter: str | None = None
        self._make_batch(self.n_batch)

    @classmethod
    def of_spec(cls, model: Model, spec: EngineSpec, *, n_ctx: int, threads: int) -> Self:
        """Allocate the context of `spec` with slots of `n_ctx` tokens. Raises as the class does."""
        shape = context_shape(spec, n_ctx=n_ctx)
        return cls(
            model,
            n_ctx=shape.n_ctx,
            n_batch=spec.n_batch,
            n_sequences=shape.n_sequences,
            n_outputs=shape.n_outputs,
            unified=shape.unified,
            threads=threads,
            n_ubatch=spec.n_ubatch,
            kv_type=spec.kv_type,
            flash_attention=spec.flash_attention,
        )

    def _make_batch(self, capacity: int) -> None:
        self.tokens = np.zeros(capacity, dtype=np.int32)
        self.positions = np.zeros(capacity, dtype=np.int32)
        self.sequences = np.zeros(capacity, dtype=np.int32)
        self.wanted = np.zeros(capacity, dtype=np.int8)
        self._counts = np.ones(capacity, dtype=np.int32)
        # llama_batch wants a pointer to the sequence list of each token; every list here has one entry of `sequences`.
        self._lists = np.arange(capacity, dtype=np.uintp) * 4 + self.sequences.ctypes.data
        int32_p, list_p = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))
        self._batch = lib.llama_batch(
            n_tokens=0,
            token=self.tokens.ctypes.data_as(int32_p),
            embd=None,
            pos=self.positions.ctypes.data_as(int32_p),
            n_seq_id=self._counts.ctypes.data_as(int32_p),
            seq_id=self._lists.ctypes.data_as(list_p),
            logits=self.wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    @property
    def pointer(self) -> Any:  # noqa: ANN401
        """The C pointer."""
        return self._context

    def decode(self, n_tokens: int) -> None:
        """Evaluate the first `n_tokens` entries of the batch.

        Raises:
            KVExhaustedError: No room in the KV cache; it is as before the call.
            OutOfMemoryError: No memory for the computation; the cache is then in doubt.
            EngineError: Anything else; the same.
        """
        self._batch.n_tokens = n_tokens
        code = lib.llama_decode(self._context, self._batch)
        if code == 0:
            return
        if code == 1:
            _log.errors.clear()
            raise KVExhaustedError(f"no room in the KV cache for {n_tokens} more tokens")
        meaning = _DECODE_CODES.get(code, "unknown failure")
        kind = OutOfMemoryError if code == _NOT_ALLOCATED else EngineError
        raise kind(f"llama_decode gave {code}: {meaning}: {_log.reason()}")

    def logits(self, n_rows: int) -> Rows:
        """Return llama.cpp's own logits [n_rows, n_vocab] of the latest decode, in batch order.

        A view, not a copy: it may be written to, and is void after the next decode.
        """
        if n_rows == 0:
            return np.empty((0, self._model.n_vocab), dtype=np.float32)
        start = lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(start, shape=(n_rows, self._model.n_vocab))

    def use_adapter(self, name: str | None) -> None:
        """Switch to a loaded adapter, or None; a switch empties the KV cache, which was made with other weights.

        Raises:
            EngineError: No adapter has that name, or llama.cpp refused it.
        """
        if name == self._adapter:
            return
        if name is not None and name not in self._model.adapters:
            known = ", ".join(self._model.adapters) or "none"
            raise EngineError(f"no adapter named {name} is loaded; loaded: {known}")
        chosen = [] if name is None else [self._model.adapters[name]]
        adapters = (lib.llama_adapter_lora_p_ctypes * len(chosen))(*chosen)
        scales = (ctypes.c_float * len(chosen))(*[1.0] * len(chosen))
        if lib.llama_set_adapters_lora(self._context, adapters, len(chosen), scales) != 0:
            raise EngineError(f"adapter {name} cannot be applied: {_log.reason()}")
        self._adapter = name
        self.clear()

    def remove(self, sequence: int, start: int) -> bool:
        """Forget a sequence's tokens from position `start` on; False when this kind of model can only forget all."""
        return bool(lib.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` share the first `end` tokens of `source`; needs a unified cache."""
        lib.llama_memory_seq_cp(self._memory, source, target, 0, end)

    def copy(self, source: int, target: int) -> None:
        """Give `target` a copy of all that `source` holds; with one stream per sequence the whole stream is copied."""
        lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def clear(self, *, wipe: bool = False) -> None:
        """Forget every sequence; `wipe` also zeroes the cells, without which a NaN in one outlives it."""
        lib.llama_memory_clear(self._memory, wipe)

    def close(self) -> None:
        """Free the context. Samplers must be freed before, the model after."""
        if self._context:
            lib.llama_free(self._context)
            self._context = None
