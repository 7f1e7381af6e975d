"""Small tokenizers trained on a few sentences, with the rules and the traps of the families' real ones."""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from typing import Any, Final

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# tokenizer.json of meta-llama/Meta-Llama-3-8B: up to three digits together.
LLAMA3_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPECIAL: Final = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
)
YI_SPECIAL: Final = ("<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>")
MISTRAL_SPECIAL: Final = ("[INST]", "[/INST]", "[TOOL_CALLS]")
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
    tokenizer = _trained(QWEN2_SPLIT, n_vocab)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(list(QWEN2_SPECIAL))
    return str(tokenizer.to_str())


@cache
def qwen3_tokenizer_json(n_vocab: int = 500) -> str:
    """Return a tokenizer.json with Qwen3's rules: Qwen2's, and marks of reasoning that are not special."""
    tokenizer = Tokenizer.from_str(qwen2_tokenizer_json(n_vocab))
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("<think>", "</think>")])
    return str(tokenizer.to_str())


@cache
def llama3_tokenizer_json(n_vocab: int = 500, *, ignore_merges: bool = True) -> str:
    """Return a tokenizer.json with Llama 3's rules; some of its tokens no merge gives, as in the real one."""
    tokenizer = _trained(LLAMA3_SPLIT, n_vocab)
    tokenizer.add_special_tokens(list(LLAMA3_SPECIAL))
    bos = LLAMA3_SPECIAL[0]
    template = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    content = json.loads(tokenizer.to_str())
    merges = content["model"]["merges"]
    content["model"] |= {"ignore_merges": ignore_merges, "merges": [m for at, m in enumerate(merges) if at % 9 != 8]}
    return json.dumps(content, ensure_ascii=False)


def _trained(split: str, n_vocab: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=n_vocab, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


@cache
def internlm2_tokenizer_model(
    n_vocab: int = 480, *, model_type: str = "bpe", byte_fallback: bool = True, normalization: str = "identity"
) -> bytes:
    """Return a tokenizer.model as InternLM2's: BPE with byte fallback, a NUL piece, unused pieces at the end."""
    model = _pieces(n_vocab, model_type=model_type, byte_fallback=byte_fallback, normalization_rule_name=normalization)
    unused = [(f"[UNUSED_TOKEN_{number}]", 0.0, 1) for number in range(8 + len(INTERNLM2_SPECIAL))]
    # A repeated field may go on behind the rest of a message.
    return model + b"".join(piece(*entry) for entry in [("\0", -1e4, 1), *unused])


@cache
def llama2_tokenizer_model(n_vocab: int = 480) -> bytes:
    """Return a tokenizer.model as Llama 2's and Vicuna's: <unk>, <s>, </s>, the bytes, then BPE pieces."""
    return _pieces(n_vocab)


@cache
def llama2_tokenizer_json(*, metaspace: bool = False) -> str:
    """Return tokenizer.json of the same tokenizer, as transformers 4 makes it, or with `metaspace` transformers 5."""
    library = sentencepiece.SentencePieceProcessor(model_proto=llama2_tokenizer_model())
    texts = [library.id_to_piece(token) for token in range(library.vocab_size())]
    merges = [
        (text[:at], text[at:])
        for text in sorted(texts, key=lambda text: -library.get_score(library.piece_to_id(text)))
        for at in range(1, len(text))
        if text[:at] in texts and text[at:] in texts
    ]
    vocabulary = {text: token for token, text in enumerate(texts)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return str(tokenizer.to_str())


@cache
def yi_tokenizer_model(n_vocab: int = 480) -> bytes:
    """Return a tokenizer.model as Yi's: no blank before a text, control tokens of its own, also those of chat."""
    bos, eos, *chat = YI_SPECIAL
    return _pieces(n_vocab, add_dummy_prefix=False, bos_piece=bos, eos_piece=eos, control_symbols=chat)


@cache
def mistral_tokenizer_model(n_vocab: int = 480) -> bytes:
    """Return a tokenizer.model as Mistral's third: the marks of instructions are control tokens."""
    return _pieces(n_vocab, control_symbols=list(MISTRAL_SPECIAL))


def _pieces(n_vocab: int, **settings: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    plain: dict[str, Any] = {
        "model_type": "bpe",
        "byte_fallback": True,
        "character_coverage": 1.0,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": True,
        "split_digits": True,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3), model_writer=buffer, vocab_size=n_vocab, **(plain | settings)
    )
    return buffer.getvalue()


def piece(text: str, score: float, kind: int) -> bytes:
    """Return one SentencePiece entry as it stands in a model file (sentencepiece_model.proto, field `pieces`)."""
    raw = text.encode()
    message = bytes([0x0A, len(raw)]) + raw + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind])
    return bytes([0x0A, len(message)]) + message
