"""Writes tiny GGUF models whose answers are known, for tests of the engine.

A scripted model is a qwen2 model with one-hot embeddings: its logits are a table "after this token, that token",
plus (with `context_weight` above zero) a small random part that depends on the whole context and decides ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

CHATML_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object|>")
OTHER_CONTROL = (
    "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<bos>", "<start_of_turn>",
    "<end_of_turn>", "[INST]", "[/INST]", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
    "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "[gMASK]", "<sop>", "<|observation|>",
)  # fmt: skip
USER_DEFINED = ("<|turn|>", "<think>", "   ")
WORDS = (
    "The", " score", " rating", " is", " about", " very", " I", " am", " fine", " sad", " happy", " today", ".", "!",
    "in", "im", "_end", "_start", "<|", "|>", "th", "he", "er", "on", "an", "user", "assistant", "system", " 0", " 1",
    " 2", " 3", " 4", "10", "ha", "你", "好",
)  # fmt: skip
SPM_WORDS = ("he", "in", "er", "on", "an", "user", "ass", "</", "s>", "<|", "|>", "im", "▁the", "▁a", "▁is", "\n")

N_VOCAB = 384
N_CONTEXT = 64
"""Embedding dimensions that no token owns: attention writes there what the context adds to the logits."""
N_EMBD = N_VOCAB + N_CONTEXT
N_HEAD = 7
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


@dataclass(frozen=True)
class TinyVocabulary:
    """A vocabulary of N_VOCAB tokens as a GGUF file stores it."""

    model: str
    texts: Sequence[str]
    types: Sequence[int]
    bos: str
    eos: str
    add_bos: bool
    merges: Sequence[str] = ()
    scores: Sequence[float] = ()

    def token(self, text: str) -> int:
        """Return the id of a token by its plain text."""
        spelled = as_bpe(text) if self.model == "gpt2" and text not in self.texts else text
        return self.texts.index(spelled)

    def of_type(self, kind: gguf.TokenType) -> list[str]:
        """Return the texts of all tokens of one type."""
        return [text for text, its in zip(self.texts, self.types, strict=True) if its == kind]


def _padded(
    texts: list[str], control: Sequence[str], types: list[gguf.TokenType], user_defined: Sequence[str]
) -> tuple[list[str], list[int]]:
    texts, types = [*texts, *control, *user_defined], list(types)
    types += [gguf.TokenType.CONTROL] * len(control) + [gguf.TokenType.USER_DEFINED] * len(user_defined)
    assert len(texts) <= N_VOCAB
    n_pad = N_VOCAB - len(texts)
    texts += [f"[PAD{i}]" for i in range(n_pad)]
    types += [gguf.TokenType.UNUSED] * n_pad
    return texts, [int(kind) for kind in types]


def bpe_vocabulary(*, control: Sequence[str] = (*CHATML_CONTROL, *OTHER_CONTROL)) -> TinyVocabulary:
    """Return a byte-level vocabulary: bytes, words, control and user-defined tokens, padding."""
    normal = list(dict.fromkeys([*byte_to_unicode(), *map(as_bpe, WORDS)]))
    texts, types = _padded(normal, control, [gguf.TokenType.NORMAL] * len(normal), USER_DEFINED)
    known, merges = set(byte_to_unicode()), []
    for word in map(as_bpe, WORDS):
        for end in range(2, len(word) + 1):
            if word[: end - 1] in known and word[:end] in normal:
                merges.append(f"{word[: end - 1]} {word[end - 1]}")
                known.add(word[:end])
    bos, eos = control[0], "<|im_end|>" if "<|im_end|>" in control else control[-1]
    return TinyVocabulary("gpt2", texts, types, bos, eos, add_bos=False, merges=merges)


def spm_vocabulary(*, control: Sequence[str] = ("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]")) -> TinyVocabulary:
    """Return a SentencePiece vocabulary that puts a space before texts, and could merge "</s>" out of "</" and "s>"."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    normal = list(dict.fromkeys(["▁", *letters, *SPM_WORDS]))
    fixed = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(normal)
    texts, types = _padded([*fixed, *byte_tokens, *normal], control, kinds, USER_DEFINED)
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(normal))] + [-1000.0] * (N_VOCAB - 259 - len(normal))
    return TinyVocabulary("llama", texts, types, "<s>", "</s>", add_bos=True, scores=scores)


BPE = bpe_vocabulary()
SPM = spm_vocabulary()


def token_id(text: str) -> int:
    """Return the id of a token of the byte-level vocabulary by its plain text."""
    return BPE.token(text)


def chain(*texts: str) -> dict[str, dict[str, float]]:
    """Return the table that says `texts` one after another."""
    return {before: {after: 30.0} for before, after in pairwise(texts)}


@dataclass(frozen=True)
class Script:
    """A model to write.

    Attributes:
        table: After this token's text, those tokens' texts with these logits (others have logit 0).
        context_weight: How much the whole context moves the logits; 0 makes the table exact.
        nan_after: A context that holds one of these tokens gives NaN logits from there on.
        template: The chat template; None leaves the key out.
        metadata: More string keys.
        n_ctx_train: Context length that the file declares.
        seed: Of the random weights.
        name: General name; llama.cpp has rules for some, such as "phi-3".
    """

    table: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    context_weight: float = 0.0
    nan_after: Sequence[str] = ()
    template: str | None = CHATML
    metadata: Mapping[str, str] = field(default_factory=dict)
    n_ctx_train: int = 4096
    seed: int = 0
    vocabulary: TinyVocabulary = BPE
    name: str = "tiny"


def write_model(path: Path, script: Script) -> Path:
    """Write a model that follows the script and return its path."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(script.name)
    _add_hyperparameters(writer, script.n_ctx_train)
    _add_vocabulary(writer, script.vocabulary)
    if script.template is not None:
        writer.add_chat_template(script.template)
    for key, text in script.metadata.items():
        writer.add_string(key, text)
    for name, tensor in _tensors(script).items():
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    _finish(writer)
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: TinyVocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre("qwen2" if vocabulary.model == "gpt2" else "default")
    writer.add_token_list(vocabulary.texts)
    writer.add_token_types(vocabulary.types)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    writer.add_bos_token_id(vocabulary.texts.index(vocabulary.bos))
    writer.add_eos_token_id(vocabulary.texts.index(vocabulary.eos))
    writer.add_add_bos_token(vocabulary.add_bos)


def _add_hyperparameters(writer: gguf.GGUFWriter, n_ctx_train: int) -> None:
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(1)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _tensors(script: Script) -> dict[str, Array]:
    rng = np.random.default_rng(script.seed)
    # A one-hot row of length sqrt(n) has root mean square 1, so RMSNorm leaves it as it is.
    scale = np.float32(np.sqrt(N_EMBD))
    embedding = np.eye(N_VOCAB, N_EMBD, dtype=np.float32) * scale
    for text in script.nan_after:
        embedding[script.vocabulary.token(text)] = np.nan
    table = np.zeros((N_VOCAB, N_VOCAB), dtype=np.float32)
    for current, nexts in script.table.items():
        for following, logit in nexts.items():
            table[script.vocabulary.token(following), script.vocabulary.token(current)] = logit
    from_context = rng.standard_normal((N_VOCAB, N_CONTEXT)).astype(np.float32)
    block = _block(rng, script.context_weight)
    return {
        "token_embd.weight": embedding,
        "output_norm.weight": np.ones(N_EMBD, np.float32),
        "output.weight": np.hstack([table / scale, from_context]),
    } | {f"blk.0.{name}": tensor for name, tensor in block.items()}


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
