"""Small tokenizers trained on a few sentences, with the rules and the traps of Qwen2's and InternLM2's real ones."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import Final

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
INTERNLM2_SPECIAL: Final = (
    "<|plugin|>",
    "<|interpreter|>",
    "<|action_end|>",
    "<|action_start|>",
    "<|im_end|>",
    "<|im_start|>",
)
CORPUS: Final = (
    "I have not slept well since I lost my job, and I do not know what to tell my family.",
    "That sounds hard. What worries you the most when you lie awake at night?",
    "You could write down one small step for tomorrow; it does not have to be a big one.",
    "Thank you for listening. I've been feeling a bit better, but I'm still afraid of failing.",
    "The overall score is 3. The fluency score is 2. Ratings: 0 1 2 3 4 5 6 7 8 9.",
    "最近工作压力很大，晚上总是睡不着，也不想和家里人说。",
    "听起来你真的很辛苦，能告诉我最让你担心的是什么吗？",
    "你可以先把明天要做的一件小事写下来，慢慢来，不用着急。",
    "谢谢你愿意听我说，我感觉好一些了，但还是有点害怕。",
)


@cache
def qwen2_tokenizer_json(n_vocab: int = 500) -> str:
    """Return a tokenizer.json with Qwen2's rules, trained on the corpus above."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=n_vocab, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(list(QWEN2_SPECIAL))
    return str(tokenizer.to_str())


@cache
def internlm2_tokenizer_model(
    n_vocab: int = 480, *, model_type: str = "bpe", byte_fallback: bool = True, normalization: str = "identity"
) -> bytes:
    """Return a tokenizer.model as InternLM2's: BPE with byte fallback, a NUL piece, unused pieces at the end."""
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=buffer,
        model_type=model_type,
        vocab_size=n_vocab,
        byte_fallback=byte_fallback,
        character_coverage=1.0,
        normalization_rule_name=normalization,
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
    )
    unused = [(f"[UNUSED_TOKEN_{number}]", 0.0, 1) for number in range(8 + len(INTERNLM2_SPECIAL))]
    # A repeated field may go on behind the rest of a message.
    return buffer.getvalue() + b"".join(piece(*entry) for entry in [("\0", -1e4, 1), *unused])


def piece(text: str, score: float, kind: int) -> bytes:
    """Return one SentencePiece entry as it stands in a model file (sentencepiece_model.proto, field `pieces`)."""
    raw = text.encode()
    message = bytes([0x0A, len(raw)]) + raw + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind])
    return bytes([0x0A, len(message)]) + message
