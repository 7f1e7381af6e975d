"""The rules by which llama.cpp cuts text before byte-level BPE, and which of them a tokenizer.json states.

A GGUF file only names such a rule, so a tokenizer.json is taken only when its own normalizer, pre-tokenizer and
handling of whole words are those of a named one.

Source: llama.cpp 0c1e57098, src/llama-vocab.cpp, which cites the patterns it implements; the patterns are those of
tokenizer.json of Qwen/Qwen1.5-14B-Chat and meta-llama/Meta-Llama-3-8B.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from escl.convert.folder import Fields
from escl.errors import ConvertError

_QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_SPLIT: Final = _QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """A rule of llama.cpp's.

    Attributes:
        name: What GGUF calls it (tokenizer.ggml.pre).
        split: The pattern whose matches are the pieces that merging never crosses.
        normalizer: Unicode normalization before that; llama.cpp does none, escl.engine.chat does NFC for "qwen2".
        ignore_merges: A piece that is a token is taken whole, whatever the merges say.
    """

    name: str
    split: str
    normalizer: Literal["NFC"] | None
    ignore_merges: bool


PRE_TOKENIZERS: Final = (
    PreTokenizer(name="qwen2", split=_QWEN2_SPLIT, normalizer="NFC", ignore_merges=False),
    PreTokenizer(name="llama-bpe", split=_LLAMA3_SPLIT, normalizer=None, ignore_merges=True),
    # Llama 3's rule as it was before its tokenizer.json said ignore_merges; many fine-tunes were saved like that.
    PreTokenizer(name="smaug-bpe", split=_LLAMA3_SPLIT, normalizer=None, ignore_merges=False),
)


def pre_tokenizer_of(tokenizer: Fields, path: Path) -> PreTokenizer:
    """Return llama.cpp's rule that the tokenizer.json at `path` states.

    Raises:
        ConvertError: It is no byte-level BPE, or llama.cpp has no rule that cuts text in the same places.
    """
    _check_model(tokenizer.table("model"), path)
    split = _split(tokenizer.table("pre_tokenizer"))
    alike = [rule for rule in PRE_TOKENIZERS if rule.split == split]
    if not alike:
        known = ", ".join(rule.name for rule in PRE_TOKENIZERS)
        raise ConvertError(
            f"{path}: pre_tokenizer is none that can be carried over, so llama.cpp would cut the text in other places",
            hint=f"known: {known} (the families of Qwen1.5, Qwen2, Qwen2.5, Qwen3 and Llama 3); a GGUF file made "
            "elsewhere will do",
        )
    normalizer = _normalizer(tokenizer)
    if normalizer != alike[0].normalizer:
        wanted = alike[0].normalizer or "none"
        raise ConvertError(f"{path}: normalizer is {normalizer!r}; {alike[0].name}'s is {wanted} alone")
    ignores = tokenizer.table("model").flag("ignore_merges", default=False)
    found = next((rule for rule in alike if rule.ignore_merges == ignores), None)
    if found is None:
        raise ConvertError(f"{path}: model.ignore_merges is {ignores}, which llama.cpp's {alike[0].name} does not do")
    return found


def _check_model(model: Fields, path: Path) -> None:
    if model.text("type") != "BPE" or model.flag("byte_fallback", default=False) or model.text("unk_token"):
        raise ConvertError(f"{path}: model is not a byte-level BPE")
    if model.flag("fuse_unk", default=False):
        raise ConvertError(f"{path}: model.fuse_unk is true, which llama.cpp does not do")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.entries.get(key):
            raise ConvertError(f"{path}: model.{key} is set, which llama.cpp does not do")


def _normalizer(tokenizer: Fields) -> object:
    """Return the name of the only normalization, None for none, and anything else as it stands."""
    value = tokenizer.entries.get("normalizer")
    if value == {"type": "Sequence", "normalizers": []}:
        return None
    return "NFC" if value == {"type": "NFC"} else value


def _split(pre_tokenizer: Fields) -> str | None:
    """Return the pattern of a split followed by the plain byte alphabet, None for any other pre-tokenizer."""
    steps = pre_tokenizer.items("pretokenizers")
    if pre_tokenizer.text("type") != "Sequence" or len(steps) != 2:
        return None
    split, bytes_step = (Fields(step if isinstance(step, dict) else {}, where=pre_tokenizer.where) for step in steps)
    pattern = split.entries.get("pattern")
    plain = (
        split.text("type") == "Split"
        and split.text("behavior") == "Isolated"
        and not split.flag("invert", default=False)
        and bytes_step.text("type") == "ByteLevel"
        and not bytes_step.flag("add_prefix_space", default=True)
        and not bytes_step.flag("use_regex", default=True)
    )
    if not plain or not isinstance(pattern, dict) or set(pattern) != {"Regex"}:
        return None
    return str(pattern["Regex"])
