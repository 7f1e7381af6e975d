"""Writes tiny GGUF models whose answers are known, for tests of the engine.

A scripted model is a qwen2 model with one-hot embeddings: its logits are a table "after this token, that token",
plus (with `context_weight` above zero) a small random part that depends on the whole context and decides ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object|>")
USER_DEFINED = ("<|channel|>", "<think>")
WORDS = (
    "The", " score", " rating", " is", " about", " very", " I", " am", " fine", " sad", " happy", " today", ".", "!",
    "in", "im", "_end", "_start", "<|", "|>", "th", "he", "er", "on", "an", "user", "assistant", "system", " 0", " 1",
    " 2", " 3", " 4", "10", "ha", "你", "好",
)  # fmt: skip

N_VOCAB = 320
N_CONTEXT = 64
"""Embedding dimensions that no token owns: attention writes there what the context adds to the logits."""
N_EMBD = N_VOCAB + N_CONTEXT
N_HEAD = 6
N_FF = 32


def byte_to_unicode() -> list[str]:
    """Return the 256 printable characters that stand for the bytes in a GPT-2 vocabulary."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in keep else chr(next(spare)) for byte in range(256)]


def as_bpe(text: str) -> str:
    """Return `text` as a GPT-2 vocabulary writes it."""
    table = byte_to_unicode()
    return "".join(table[byte] for byte in text.encode())


def bpe_tokens() -> tuple[list[str], list[int]]:
    """Return texts and types of the byte-level vocabulary: bytes, words, control and user-defined tokens, padding."""
    texts = [*byte_to_unicode(), *(as_bpe(word) for word in WORDS)]
    texts = list(dict.fromkeys(texts))
    types = [gguf.TokenType.NORMAL] * len(texts)
    texts += [*CONTROL, *USER_DEFINED]
    types += [gguf.TokenType.CONTROL] * len(CONTROL) + [gguf.TokenType.USER_DEFINED] * len(USER_DEFINED)
    assert len(texts) <= N_VOCAB
    n_pad = N_VOCAB - len(texts)
    texts += [f"[PAD{i}]" for i in range(n_pad)]
    types += [gguf.TokenType.UNUSED] * n_pad
    return texts, [int(kind) for kind in types]


def bpe_merges() -> list[str]:
    """Return merges that build every word of the vocabulary from left to right."""
    known = set(byte_to_unicode())
    merges = []
    for word in map(as_bpe, WORDS):
        for end in range(2, len(word) + 1):
            left, right = word[: end - 1], word[end - 1]
            if left in known and word[:end] in map(as_bpe, WORDS):
                merges.append(f"{left} {right}")
                known.add(word[:end])
    return merges


def token_id(text: str) -> int:
    """Return the id of a token of the byte-level vocabulary by its plain text."""
    texts, _ = bpe_tokens()
    return texts.index(text if text in (*CONTROL, *USER_DEFINED) else as_bpe(text))


def chain(*texts: str) -> dict[str, dict[str, float]]:
    """Return the table that says `texts` one after another."""
    return {before: {after: 30.0} for before, after in pairwise(texts)}


def bigram_table(script: Mapping[str, Mapping[str, float]]) -> Array:
    """Return logits [next, current] from "after this text, that text, with this logit"."""
    table = np.zeros((N_VOCAB, N_VOCAB), dtype=np.float32)
    for current, nexts in script.items():
        for following, logit in nexts.items():
            table[token_id(following), token_id(current)] = logit
    return table


def _add_vocabulary(writer: gguf.GGUFWriter, template: str | None) -> None:
    texts, types = bpe_tokens()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(bpe_merges())
    writer.add_eos_token_id(texts.index("<|im_end|>"))
    writer.add_bos_token_id(texts.index("<|endoftext|>"))
    writer.add_pad_token_id(texts.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def _add_hyperparameters(writer: gguf.GGUFWriter, n_ctx_train: int) -> None:
    writer.add_name("tiny")
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(1)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _block(rng: np.random.Generator, context_weight: float) -> dict[str, Array]:
    def random(rows: int, columns: int, scale: float) -> Array:
        return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)

    ones, zeros = np.ones(N_EMBD, np.float32), np.zeros(N_EMBD, np.float32)
    output = random(N_EMBD, N_EMBD, context_weight / np.sqrt(N_EMBD))
    output[:N_VOCAB] = 0
    return {
        "attn_norm.weight": ones,
        "attn_q.weight": random(N_EMBD, N_EMBD, 1 / np.sqrt(N_EMBD)),
        "attn_k.weight": random(N_EMBD, N_EMBD, 1 / np.sqrt(N_EMBD)),
        "attn_v.weight": random(N_EMBD, N_EMBD, 1 / np.sqrt(N_EMBD)),
        "attn_output.weight": output,
        "attn_q.bias": zeros,
        "attn_k.bias": zeros,
        "attn_v.bias": zeros,
        "ffn_norm.weight": ones,
        "ffn_gate.weight": np.zeros((N_FF, N_EMBD), np.float32),
        "ffn_up.weight": np.zeros((N_FF, N_EMBD), np.float32),
        "ffn_down.weight": np.zeros((N_EMBD, N_FF), np.float32),
    }


def write_scripted(
    path: Path,
    script: Mapping[str, Mapping[str, float]],
    *,
    context_weight: float = 0.0,
    nan_after: Sequence[str] = (),
    template: str | None = CHATML,
    metadata: Mapping[str, str] | None = None,
    n_ctx_train: int = 4096,
    seed: int = 0,
) -> Path:
    """Write a model that follows `script` and return its path.

    Args:
        path: Where the GGUF file goes.
        script: After this token's text, those tokens' texts with these logits (others have logit 0).
        context_weight: How much the whole context moves the logits; 0 makes the script exact.
        nan_after: A context that holds one of these tokens gives NaN logits from there on.
        template: The chat template; None leaves the key out.
        metadata: More string keys.
        n_ctx_train: Context length that the file declares.
        seed: Of the random weights.
    """
    writer = gguf.GGUFWriter(path, "qwen2")
    _add_hyperparameters(writer, n_ctx_train)
    _add_vocabulary(writer, template)
    for key, text in (metadata or {}).items():
        writer.add_string(key, text)
    rng = np.random.default_rng(seed)
    # A one-hot row of length sqrt(n) has root mean square 1, so RMSNorm leaves it as it is.
    scale = np.float32(np.sqrt(N_EMBD))
    embedding = np.eye(N_VOCAB, N_EMBD, dtype=np.float32) * scale
    for text in nan_after:
        embedding[token_id(text)] = np.nan
    from_context = rng.standard_normal((N_VOCAB, N_CONTEXT)).astype(np.float32)
    tensors = {
        "token_embd.weight": embedding,
        "output_norm.weight": np.ones(N_EMBD, np.float32),
        "output.weight": np.hstack([bigram_table(script) / scale, from_context]),
    }
    block = _block(rng, context_weight)
    tensors |= {f"blk.0.{name}": tensor for name, tensor in block.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    _finish(writer)
    return path


def write_adapter(path: Path, *, scale: float, seed: int, rank: int = 4) -> Path:
    """Write a random LoRA adapter on the value projection of a scripted model and return its path."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    down = (rng.standard_normal((rank, N_EMBD)) / np.sqrt(N_EMBD)).astype(np.float32)
    up = (rng.standard_normal((N_EMBD, rank)) * scale).astype(np.float32)
    writer.add_tensor("blk.0.attn_v.weight.lora_a", down)
    writer.add_tensor("blk.0.attn_v.weight.lora_b", up)
    _finish(writer)
    return path


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
