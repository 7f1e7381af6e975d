"""Trains the two tokenizers on our own text and writes them as the two families of checkpoints carry them.

Qwen2: byte-level BPE in tokenizer.json. InternLM2: SentencePiece BPE with byte fallback in tokenizer.model, whose last
six pieces are unused ones that tokenizer_config.json turns into control tokens.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

INTERNLM2_CONTROL = (
    "<|plugin|>",
    "<|interpreter|>",
    "<|action_end|>",
    "<|action_start|>",
    "<|im_end|>",
    "<|im_start|>",
)
QWEN2_CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# How Qwen2's tokenizer.json cuts text before merging.
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_byte_level(texts: Iterable[str], vocab: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer built as Qwen2's: NFC, the same cuts, control tokens after the merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(QWEN2_CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=24,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in QWEN2_CONTROL])
    return tokenizer


def save_byte_level(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(tokenizer.token_to_id(token)): _added(token) for token in QWEN2_CONTROL},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "chat_template": _CHATML,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")


def train_sentencepiece(texts: Iterable[str], vocab: int) -> bytes:
    """Return a SentencePiece model as InternLM2's: BPE, bytes for unknown characters, six unused pieces at the end."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_short_lines(texts)),
        model_writer=written,
        model_type="bpe",
        vocab_size=vocab - len(INTERNLM2_CONTROL),
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        character_coverage=1.0,
        split_digits=True,
        max_sentencepiece_length=12,
        num_threads=2,
        minloglevel=2,
        unk_surface="",
        input_sentence_size=0,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    for at in range(len(INTERNLM2_CONTROL)):
        piece = model.pieces.add()
        piece.piece, piece.score, piece.type = f"[UNUSED_TOKEN_{141 + at}]", 0.0, 5
    return bytes(model.SerializeToString())


def _short_lines(texts: Iterable[str]) -> Iterator[str]:
    # Chinese has no spaces: whole phrases of the bank would become single pieces if lines were not cut.
    for text in texts:
        for line in text.splitlines():
            yield from re.findall(r"[\u4e00-\u9fff]{1,3}|[^\u4e00-\u9fff]+", line)


def save_sentencepiece(model: bytes, folder: Path, vocab: int) -> None:
    """Write tokenizer.model and tokenizer_config.json."""
    (folder / "tokenizer.model").write_bytes(model)
    first = vocab - len(INTERNLM2_CONTROL)
    decoder = {"0": _added("<unk>"), "1": _added("<s>"), "2": _added("</s>")}
    decoder |= {str(first + at): _added(token) for at, token in enumerate(INTERNLM2_CONTROL)}
    config = {
        "added_tokens_decoder": decoder,
        "additional_special_tokens": list(reversed(INTERNLM2_CONTROL)),
        "bos_token": "<s>",
        "chat_template": "{{ bos_token }}" + _CHATML,
        "eos_token": "</s>",
        "pad_token": "</s>",
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")


def _added(token: str) -> dict[str, object]:
    return {
        "content": token,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
        "special": True,
    }
