"""SentencePiece BPE vocabularies that were saved as tokenizer.json only, as transformers 5 saves Llama 2's kind.

The file has merges in place of scores. Where they are those that SentencePiece would make of its scores, the scores'
order can be told from them, and llama.cpp cuts text in the same places; any other file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from escl.convert.folder import Fields
from escl.convert.sentencepiece_model import BPE_MODEL, Piece, PieceModel
from escl.convert.vocabulary import TokenType
from escl.errors import ConvertError

_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
_BLANK: Final = "\u2581"
_REPLACE: Final = {"type": "Replace", "pattern": {"String": " "}, "content": _BLANK}
_SPARING: Final = (
    "llama.cpp puts a blank before every text; tokenizer.json does not where one is there already, nor perhaps after a "
    "control token"
)
_PREPEND: Final = {"type": "Prepend", "prepend": _BLANK}


def piece_model_of(tokenizer: Fields) -> tuple[PieceModel, tuple[str, ...]]:
    """Return the SentencePiece model that `tokenizer` (tokenizer.json) was made from, and notes.

    Its scores have the order of the original ones, not their values.

    Raises:
        ConvertError: It was not made from one, or not in a way that scores can express.
    """
    model = tokenizer.table("model")
    if model.text("type") != "BPE" or not model.flag("byte_fallback", default=False):
        raise ConvertError(f"{tokenizer.where}: model is no BPE with byte fallback, and there is no tokenizer.model")
    if model.flag("ignore_merges", default=False) or model.entries.get("dropout"):
        raise ConvertError(f"{tokenizer.where}: ignore_merges or dropout is set, which SentencePiece does not do")
    texts = _texts(model)
    scores = _scores(model, set(texts))
    unknown = model.text("unk_token")
    prepends, notes = _prepends(tokenizer)
    model_of_scores = PieceModel(
        pieces=[Piece(text=text, score=scores.get(text, 0.0), kind=_kind(text, unknown)) for text in texts],
        model_type=BPE_MODEL,
        add_dummy_prefix=prepends,
        remove_extra_whitespaces=False,
        escape_whitespaces=True,
        charsmap_bytes=0,
    )
    return model_of_scores, notes


def _kind(text: str, unknown: str | None) -> TokenType:
    if text == unknown:
        return TokenType.UNKNOWN
    return TokenType.BYTE if _BYTE.fullmatch(text) else TokenType.NORMAL


def _texts(model: Fields) -> list[str]:
    by_id = {token_id: text for text, token_id in model.table("vocab").entries.items()}
    if not by_id or set(by_id) != set(range(len(by_id))) or len(by_id) != len(model.table("vocab").entries):
        raise ConvertError(f"{model.where}: vocab does not number its pieces 0, 1, 2, ...")
    return [by_id[token_id] for token_id in range(len(by_id))]


def _scores(model: Fields, known: set[str]) -> Mapping[str, float]:
    """Return each merged piece's score: the earlier its merges stand, the better."""
    scores: dict[str, float] = {}
    listed: set[tuple[str, str]] = set()
    before = None
    for merge in model.items("merges"):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(half, str) and half for half in pair):
            raise ConvertError(f"{model.where}: {merge!r} is not a merge of two pieces")
        first, second = pair
        made = first + second
        if not {first, second, made} <= known:
            raise ConvertError(f"{model.where}: {merge!r} merges or makes a piece that is not in vocab")
        if made != before and made in scores:
            raise ConvertError(f"{model.where}: merges into {made!r} stand apart, which no score can express")
        scores.setdefault(made, -float(len(scores)))
        listed.add((first, second))
        before = made
    for text in known:
        for at in range(1, len(text)):
            if text[:at] in known and text[at:] in known and (text[:at], text[at:]) not in listed:
                raise ConvertError(f"{model.where}: no merge makes {text!r}, which SentencePiece would merge")
    return scores


def _prepends(tokenizer: Fields) -> tuple[bool, tuple[str, ...]]:
    """Return whether a blank is put before a text, and notes; every blank becomes U+2581, nothing else is changed.

    Raises:
        ConvertError: The text is changed or cut otherwise.
    """
    normalizer, cutter = tokenizer.table("normalizer"), tokenizer.table("pre_tokenizer")
    steps = normalizer.items("normalizers") if normalizer.text("type") == "Sequence" else [normalizer.entries]
    if not cutter.entries and steps in ([_PREPEND, _REPLACE], [_REPLACE]):
        return steps[0] == _PREPEND, ()
    scheme = cutter.text("prepend_scheme")
    is_plain = cutter.text("type") == "Metaspace" and cutter.text("replacement") == _BLANK
    if is_plain and not normalizer.entries and not cutter.flag("split", default=True) and scheme is not None:
        return scheme != "never", (_SPARING,) if scheme != "never" else ()
    raise ConvertError(f"{tokenizer.where}: its normalizer and pre_tokenizer are not those of a SentencePiece model")
