"""The file format of SentencePiece models, parsed without the sentencepiece library. Knows nothing of vocabularies.

Source of the format: sentencepiece_model.proto of google/sentencepiece.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from escl.convert.protobuf import fields
from escl.convert.vocabulary import TokenType

BPE_MODEL: Final = 2
"""TrainerSpec.model_type of a model that merges by score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One entry of a SentencePiece model."""

    text: str
    score: float
    kind: TokenType


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceModel:
    """A parsed tokenizer.model.

    Attributes:
        model_type: 1 unigram, 2 BPE, 3 word, 4 char.
        charsmap_bytes: Size of the precompiled normalization rules; 0 normalizes nothing.
    """

    pieces: list[Piece]
    model_type: int
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool
    charsmap_bytes: int


def parse_piece_model(raw: bytes) -> PieceModel:
    """Return the SentencePiece model in `raw`.

    Raises:
        ValueError: It is not one.
    """
    pieces: list[Piece] = []
    trainer, normalizer = b"", b""
    for field in fields(raw):
        if field.number == 1:
            pieces.append(_piece(field.as_bytes()))
        elif field.number == 2:
            trainer = field.as_bytes()
        elif field.number == 3:
            normalizer = field.as_bytes()
    if not pieces:
        raise ValueError("holds no pieces")
    # Field numbers and defaults of TrainerSpec and NormalizerSpec; all of these are on unless the file says otherwise.
    trained = {field.number: field for field in fields(trainer)}
    normal = {field.number: field for field in fields(normalizer)}
    return PieceModel(
        pieces=pieces,
        model_type=trained[3].as_int() if 3 in trained else 1,
        charsmap_bytes=len(normal[2].as_bytes()) if 2 in normal else 0,
        add_dummy_prefix=bool(normal[3].as_int()) if 3 in normal else True,
        remove_extra_whitespaces=bool(normal[4].as_int()) if 4 in normal else True,
        escape_whitespaces=bool(normal[5].as_int()) if 5 in normal else True,
    )


def _piece(raw: bytes) -> Piece:
    text, score, kind = "", 0.0, int(TokenType.NORMAL)
    for field in fields(raw):
        if field.number == 1:
            text = field.as_bytes().decode("utf-8")
        elif field.number == 2:
            score = field.as_float()
        elif field.number == 3:
            kind = field.as_int()
    if not math.isfinite(score):
        raise ValueError(f"piece {text!r} has the score {score}")
    return Piece(text=text, score=score, kind=TokenType(kind))
