"""A tokenizer as GGUF holds it, and the rules every vocabulary must keep so that llama.cpp loads it.

Knows neither BPE nor SentencePiece files; escl.convert.bpe and escl.convert.sentencepiece make values of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Literal

from escl.convert.folder import MAX_CONFIG_BYTES, Fields, file_in, read_json
from escl.errors import ConvertError


class TokenType(IntEnum):
    """`llama_token_type` of llama.h; SentencePiece numbers its piece types the same way."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A tokenizer, ready for GGUF.

    Attributes:
        model: llama.cpp's tokenizer: "gpt2" is byte-level BPE, "llama" is SentencePiece.
        scores: One for each token ("llama" only).
        merges: Pairs joined by a space, best first ("gpt2" only).
        special: "bos", "eos", "eot", "eom", "padding", "unknown" -> token id, for those there are.
        add_bos: None leaves llama.cpp's default for `model`.
        add_space_prefix: None leaves llama.cpp's default for `model`.
        renamed: Source's text -> text here, of tokens that could not keep theirs.
        notes: What the user should know, a sentence each.
    """

    model: Literal["gpt2", "llama"]
    pre: str
    tokens: list[str]
    types: list[int]
    special: Mapping[str, int]
    scores: list[float] | None = None
    merges: list[str] | None = None
    add_bos: bool | None = None
    add_space_prefix: bool | None = None
    chat_template: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_template(self, source: str | None) -> Vocabulary:
        """Return it with the chat template `source`, in which renamed tokens have their new texts."""
        if source is not None and self.renamed:
            texts = "|".join(re.escape(text) for text in self.renamed)
            source = re.sub(texts, lambda match: self.renamed[match[0]], source)
        return replace(self, chat_template=source)

    def metadata(self) -> dict[str, str | bool | int | list[str] | list[int] | list[float]]:
        """Return the GGUF keys under `tokenizer.`."""
        optional = {
            "tokenizer.ggml.scores": self.scores,
            "tokenizer.ggml.merges": self.merges,
            **{f"tokenizer.ggml.{name}_token_id": token for name, token in self.special.items()},
            "tokenizer.ggml.add_bos_token": self.add_bos,
            "tokenizer.ggml.add_space_prefix": self.add_space_prefix,
            "tokenizer.chat_template": self.chat_template,
        }
        return {
            "tokenizer.ggml.model": self.model,
            "tokenizer.ggml.pre": self.pre,
            "tokenizer.ggml.tokens": self.tokens,
            "tokenizer.ggml.token_type": self.types,
            **{key: value for key, value in optional.items() if value is not None},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedToken:
    """A token that the tokenizer's files put on top of its model.

    Attributes:
        special: It steers the model (a control token) and must never come out of ordinary text.
    """

    token_id: int
    text: str
    special: bool

    @property
    def kind(self) -> TokenType:
        """CONTROL or USER_DEFINED. llama.cpp finds the latter in any text, so no chat mark may be that."""
        looks_special = self.text.startswith("<|") and self.text.endswith("|>")
        return TokenType.CONTROL if self.special or looks_special else TokenType.USER_DEFINED


class TokenizerConfig:
    """tokenizer_config.json and the files beside it that say what a tokenizer's special tokens and template are.

    Attributes:
        fields: tokenizer_config.json.
        generation: generation_config.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: list[Path] = []
        self.fields = self._json("tokenizer_config.json")
        self.generation = self._json("generation_config.json")

    def _json(self, name: str) -> Fields:
        path = file_in(self.folder, name)
        if path is not None:
            self._read.append(path)
        return Fields(read_json(path) if path else {}, where=str(self.folder / name))

    def added_tokens(self) -> list[AddedToken]:
        """Return the entries of added_tokens_decoder, or where there is none those of added_tokens.json.

        Raises:
            ConvertError: An entry is malformed.
        """
        decoder = self.fields.table("added_tokens_decoder")
        if decoder.entries:
            return [added_token(decoder.table(key), key) for key in decoder.entries]
        # transformers before 4.34 wrote text -> id, and nothing about what is special.
        older = self._json("added_tokens.json")
        entries = {text: Fields({"content": text}, where=older.where) for text in older.entries}
        return [added_token(entry, older.entries[text]) for text, entry in entries.items()]

    def special_text(self, name: str) -> str | None:
        """Return the text of the special token `name` ("eos_token"), written plain or as an object with `content`."""
        value = self.fields.entries.get(name)
        if isinstance(value, dict):
            return Fields(value, where=f"{self.fields.where}: {name}").text("content")
        return self.fields.text(name)

    def chat_template(self) -> str | None:
        """Return the chat template, None when there is none; of several named ones, that called "default".

        Raises:
            ConvertError: It is malformed.
        """
        jinja = file_in(self.folder, "chat_template.jinja")
        if jinja is not None:
            self._read.append(jinja)
            return _read_text(jinja)
        value = self.fields.entries.get("chat_template")
        if isinstance(value, list):
            named = [Fields(entry, where=self.fields.where) for entry in value if isinstance(entry, dict)]
            return next((entry.text("template") for entry in named if entry.text("name") == "default"), None)
        return self.fields.text("chat_template")

    def files(self) -> list[Path]:
        """Return the files that were read."""
        return list(self._read)


def added_token(entry: Fields, key: object) -> AddedToken:
    """Return the added token that `entry` describes; `key` is its id as it stands in the file.

    Raises:
        ConvertError: Its id is no number or its text is missing.
    """
    text = entry.text("content")
    if not isinstance(key, str | int) or not str(key).isdecimal() or not text:
        raise ConvertError(f"{entry.where}: not a token with an id and a text")
    return AddedToken(token_id=int(key), text=text, special=entry.flag("special", default=False))


def merged(tokens: Iterable[AddedToken], *, where: Path) -> dict[int, AddedToken]:
    """Return the added tokens by id; a token that any file calls special is special.

    Raises:
        ConvertError: Two files give one id different texts.
    """
    by_id: dict[int, AddedToken] = {}
    for token in tokens:
        known = by_id.setdefault(token.token_id, token)
        if known.text != token.text:
            raise ConvertError(
                f"{where}: token {token.token_id} is {known.text!r} in one file and {token.text!r} in another"
            )
        if token.special:
            by_id[token.token_id] = token
    return by_id


def check_vocabulary(vocabulary: Vocabulary, *, where: Path) -> None:
    """Refuse what llama.cpp would abort on.

    Raises:
        ConvertError: An empty text, a text that two tokens share, or a special token that does not exist.
    """
    first: dict[str, int] = {}
    for token_id, text in enumerate(vocabulary.tokens):
        if not text or "\0" in text:
            raise ConvertError(f"{where}: token {token_id} has the text {text!r}")
        if text in first:
            raise ConvertError(f"{where}: tokens {first[text]} and {token_id} have the same text {text!r}")
        first[text] = token_id
    for name, token_id in vocabulary.special.items():
        if not 0 <= token_id < len(vocabulary.tokens):
            raise ConvertError(f"{where}: the {name} token is {token_id}, beyond the vocabulary")


def pads(token_ids: Iterable[int], *, taken: Iterable[str]) -> dict[int, str]:
    """Return texts for ids that no token has, none of them in `taken`."""
    known = set(taken)
    texts = {}
    for token_id in token_ids:
        text = f"[PAD{token_id}]"
        while text in known:
            text = f"[{text}]"
        texts[token_id] = text
        known.add(text)
    return texts


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConvertError(f"{path} has more than {MAX_CONFIG_BYTES:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConvertError(f"{path}: {error}") from error
