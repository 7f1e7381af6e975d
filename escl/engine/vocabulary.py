"""A model's vocabulary: which tokens steer it, and how plain text becomes tokens that never do.

Owns the rule that no text can turn into a control token. Knows nothing of chats or templates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Protocol

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from escl.core.reasoning import MARKERS
from escl.errors import EngineError

Tokens = npt.NDArray[np.int32]

# What C's isspace() takes for white space; llama.cpp strips it beside tokens that ask for that.
_C_SPACE: Final = " \t\n\v\f\r"
_SPM_SPACE: Final = "\u2581"
_NO_TOKENS: Final = np.empty(0, dtype=np.int32)


class TokenSource(Protocol):
    """What is needed of a model."""

    n_vocab: int

    def tokenize(self, text: bytes) -> Tokens: ...
    def piece(self, token: int) -> bytes: ...
    def token_text(self, token: int) -> str: ...
    def token_attributes(self) -> npt.NDArray[np.int32]: ...
    def ends_generation(self, token: int) -> bool: ...


class Vocabulary:
    """Special tokens, safe tokenization and detokenization of one model.

    Attributes:
        ends: Ids that end a turn or the text.
        special: Text -> id of every control, unknown and user-defined token, longest text first, which is the order in
            which llama.cpp matches them (llama-vocab.cpp, tokenizer_st_partition).
    """

    def __init__(self, model: TokenSource, *, template_source: str = "") -> None:
        """Read the vocabulary.

        Args:
            model: The loaded model.
            template_source: User-defined tokens that this text mentions are markers of the chat format, so no content
                may become one of them either.
        """
        self._model = model
        attributes = model.token_attributes()
        special_bits = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED | lib.LLAMA_TOKEN_ATTR_UNKNOWN
        ids = np.flatnonzero(attributes & special_bits).tolist()
        texts = {token: model.token_text(token) for token in ids}
        by_length = sorted(ids, key=lambda token: len(texts[token].encode()), reverse=True)
        self.special = {texts[token]: token for token in by_length if texts[token]}
        self.ends = frozenset(token for token in range(model.n_vocab) if model.ends_generation(token))
        self._strips_left = _having(attributes, lib.LLAMA_TOKEN_ATTR_LSTRIP)
        self._strips_right = _having(attributes, lib.LLAMA_TOKEN_ATTR_RSTRIP)
        user_defined = _having(attributes, lib.LLAMA_TOKEN_ATTR_USER_DEFINED)
        markers = [
            token for text, token in self.special.items() if token in user_defined and _is_marker(text, template_source)
        ]
        self._forbidden = np.zeros(model.n_vocab, dtype=bool)
        self._forbidden[[*markers, *self.ends]] = True
        self._forbidden |= (attributes & (lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN)) != 0
        self._unknown = _having(attributes, lib.LLAMA_TOKEN_ATTR_UNKNOWN)
        self._stem = self._newline_stem()
        self.piece = lru_cache(maxsize=None)(model.piece)
        # Where reasoning begins and ends must be seen, even in vocabularies that count these markers as control tokens.
        self._shown = {token: text.encode() for text, token in self.special.items() if text in MARKERS}

    def _newline_stem(self) -> Tokens:
        # Empty when the tokenizer puts no space before a text.
        first = self._model.tokenize(b"a")
        starts_with_space = first.size > 0 and self._model.piece(int(first[0])).startswith(b" ")
        return self._model.tokenize(b"\n") if starts_with_space else _NO_TOKENS

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that no text may become: control tokens, end tokens and markers of the chat format."""
        return frozenset(np.flatnonzero(self._forbidden).tolist()) - self._unknown

    def split_special(self, text: str) -> list[str | int]:
        """Return trusted text with the special tokens written in it as ids, in llama.cpp's order of matching."""
        parts: list[str | int] = [text]
        for marker, token in self.special.items():
            if marker in text:
                parts = [piece for part in parts for piece in _cut_out(part, marker, token)]
        return [part for part in parts if part != ""]

    def strip_beside(self, text: str, *, before: int | None, after: int | None) -> str:
        """Return `text` without the white space that the special tokens `before` and `after` it swallow."""
        if before in self._strips_right:
            text = text.lstrip(_C_SPACE)
        return text.rstrip(_C_SPACE) if after in self._strips_left else text

    def encode_plain(self, text: str) -> Tokens:
        """Return ids of `text`, none of which is a control token, an end token or a marker of the chat format.

        Raises:
            EngineError: The vocabulary has no other way to write the text.
        """
        spelled, cuts = text.replace(_SPM_SPACE, " "), set[int]()
        for offset in range(1, 64):
            ids = self._encode_pieces(_cut(text, cuts))
            forged = set(ids[self._forbidden[ids]].tolist())
            more = {cut for token in forged for cut in _cuts_inside(spelled, self._plain(token), offset)} - cuts
            if not more:
                self._check(forged - self._unknown, text)
                return ids
            cuts |= more
        raise EngineError("a text that imitates control tokens could not be tokenized as plain text")

    def _check(self, forged: Collection[int], text: str) -> None:
        if forged:
            names = ", ".join(repr(self._plain(token)) for token in sorted(forged))
            raise EngineError(f"this vocabulary cannot write {names} as plain text; it occurs in {text[:80]!r}")

    def _plain(self, token: int) -> str:
        return self._model.token_text(token).replace(_SPM_SPACE, " ")

    def _encode_pieces(self, pieces: Sequence[str]) -> Tokens:
        encoded = [self._model.tokenize(piece.encode()) for piece in pieces[:1]]
        encoded += [self._encode_continuation(piece.encode()) for piece in pieces[1:]]
        return np.concatenate(encoded) if encoded else _NO_TOKENS

    def _encode_continuation(self, piece: bytes) -> Tokens:
        # SentencePiece vocabularies put a space before every text; a newline in front takes it, and is dropped again.
        stem = self._stem
        if stem.size:
            ids = self._model.tokenize(b"\n" + piece)
            if np.array_equal(ids[: stem.size], stem):
                return ids[stem.size :]
        return self._model.tokenize(piece)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; broken UTF-8 becomes U+FFFD.

        Control tokens are left out, all but those around reasoning.
        """
        return self.decode_bytes(tokens).decode(errors="replace")

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of tokens as `decode` does; a character may end in the next token."""
        return b"".join(self._shown.get(token) or self.piece(token) for token in tokens)


def _having(attributes: npt.NDArray[np.int32], bit: int) -> frozenset[int]:
    return frozenset(np.flatnonzero(attributes & bit).tolist())


def _is_marker(text: str, template_source: str) -> bool:
    # Runs of spaces are user-defined tokens in some vocabularies, and every indented template mentions them.
    if text.isspace():
        return False
    in_brackets = len(text) > 2 and (text[0], text[-1]) in (("<", ">"), ("[", "]"))
    return in_brackets or text in template_source


def _cut_out(part: str | int, marker: str, token: int) -> list[str | int]:
    if isinstance(part, int) or marker not in part:
        return [part]
    pieces: list[str | int] = []
    for text in part.split(marker):
        pieces += [text, token]
    return pieces[:-1]


def _cuts_inside(text: str, marker: str, offset: int) -> set[int]:
    """Return positions `offset` characters into every occurrence of `marker`, overlapping ones too."""
    cuts: set[int] = set()
    if offset >= len(marker):
        return cuts
    at = text.find(marker)
    while at >= 0:
        cuts.add(at + offset)
        at = text.find(marker, at + 1)
    return cuts


def _cut(text: str, cuts: Collection[int]) -> list[str]:
    edges = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if end > start]
