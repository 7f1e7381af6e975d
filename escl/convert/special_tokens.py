"""Which tokens begin and end a text or a turn, from tokenizer_config.json, generation_config.json and config.json.

GGUF has a key for one end of text, one end of turn and one end of message; llama.cpp knows further ends by their texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from escl.convert.folder import Fields
from escl.convert.vocabulary import TokenizerConfig, TokenType
from escl.errors import ConvertError

_KEYS: Final = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}
_MORE_ENDS: Final = ("eot", "eom")
_CHAT_END: Final = "<|im_end|>"
# Texts that end generation in llama.cpp 0c1e57098 (llama-vocab.cpp, special_eog_ids), of the families read here.
_KNOWN_ENDS: Final = frozenset(
    {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", _CHAT_END, "<|endoftext|>", "<|end|>", "</s>", "<end_of_turn>"}
)


def special_tokens(
    settings: TokenizerConfig, texts: Sequence[str], types: Sequence[int], *, config: Fields
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return "bos", "eos", "eot", "eom", "padding", "unknown" -> id, for those there are, and notes.

    Args:
        settings: tokenizer_config.json and its neighbours. A token named there by its text counts before an id.
        texts: The source's texts of all tokens.
        types: Their types; only a token that is no ordinary text is made an end of the turn.
        config: config.json.

    Raises:
        ConvertError: A special token is not in the vocabulary.
    """
    ids = {text: token_id for token_id, text in enumerate(texts)}
    generation = settings.generation
    special: dict[str, int] = {}
    for name, key in _KEYS.items():
        text = settings.special_text(key)
        if text is not None:
            if text not in ids:
                raise ConvertError(f"{settings.fields.where}: {key} {text!r} is not in the vocabulary")
            special[name] = ids[text]
        elif candidates := _ids(generation, f"{key}_id") or _ids(config, f"{key}_id"):
            special[name] = candidates[0]
    _prefer_the_chats_end(special, texts)
    ends = _ids(generation, "eos_token_id") or _ids(config, "eos_token_id")
    return special, _add_ends(special, ends, texts=texts, types=types)


def _prefer_the_chats_end(special: dict[str, int], texts: Sequence[str]) -> None:
    # A SentencePiece chat model says </s> and means <|im_end|>; </s> stays an end of generation.
    eos = special.get("eos")
    if eos is not None and eos < len(texts) and texts[eos] == "</s>" and _CHAT_END in texts:
        special["eot"], special["eos"] = eos, list(texts).index(_CHAT_END)


def _ids(fields: Fields, key: str) -> list[int]:
    value = fields.entries.get(key)
    listed = value if isinstance(value, list) else [value]
    return [token_id for token_id in listed if isinstance(token_id, int) and not isinstance(token_id, bool)]


def _add_ends(
    special: dict[str, int], ends: Sequence[int], *, texts: Sequence[str], types: Sequence[int]
) -> tuple[str, ...]:
    """Give each of `ends` that llama.cpp would not know a place in `special`; return what has none."""
    notes = []
    for token_id in dict.fromkeys(ends):
        if not 0 <= token_id < len(texts):
            notes.append(f"the end token {token_id} of generation_config.json is beyond the vocabulary")
            continue
        if token_id in {special.get(name) for name in ("eos", *_MORE_ENDS)} or texts[token_id] in _KNOWN_ENDS:
            continue
        free = next((name for name in _MORE_ENDS if name not in special), None)
        if free is None or types[token_id] not in (TokenType.CONTROL, TokenType.USER_DEFINED):
            why = "is ordinary text" if free else "has no key left in GGUF"
            notes.append(f"token {token_id} {texts[token_id]!r} ends a turn in the source but {why}; it will not here")
            continue
        special[free] = token_id
    return tuple(notes)
