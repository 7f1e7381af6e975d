"""Vocabularies of stated sizes for models with random weights.

They compress the bundled cards and rubrics about as a real one does, so that prompts have realistic token counts.
LETTERS are tokens of one character that no merge touches: a reply made of them has as many tokens in the next prompt
as were generated. Knows no weights.
"""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import gguf

from escl.core.bundled import bundled

LETTERS: Final = string.ascii_uppercase
"""What models with random weights say: more than a sampler's top-k of 20, below which all logits have equals."""

CHATML: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTROL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# Bytes that no UTF-8 text holds: tokens made of them fill a vocabulary and never match.
_FILLERS: Final = (0xC0, 0xC1, *range(0xF5, 0x100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A tokenizer as a GGUF file stores it: `model` is "gpt2" (with merges) or "llama" (with scores)."""

    model: str
    texts: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()

    def token(self, text: str) -> int:
        """Return the id of a token by the text that the file holds."""
        return self.texts.index(text)


@cache
def byte_level(n_tokens: int) -> Vocabulary:
    """Return a GPT-2 vocabulary of `n_tokens` tokens: bytes, words with their merges, fillers, control tokens."""
    letters = _byte_letters()
    known = dict.fromkeys(letters)
    merges: list[str] = []
    for word in _prompt_words():
        parts = ["".join(letters[byte] for byte in part) for part in _parts(word)]
        for opening, part in zip(itertools.accumulate(parts), parts[1:], strict=False):
            if opening + part not in known and len(known) < n_tokens - len(CONTROL):
                known[opening + part] = None
                merges.append(f"{opening} {part}")
    room = n_tokens - len(CONTROL) - len(known)
    fillers = list(itertools.islice(_filler_words("".join(letters[byte] for byte in _FILLERS)), room))
    merges += [f"{text[:-1]} {text[-1]}" for text in fillers]
    texts = (*known, *fillers, *CONTROL)
    types = [gguf.TokenType.NORMAL] * (len(texts) - len(CONTROL)) + [gguf.TokenType.CONTROL] * len(CONTROL)
    return Vocabulary(model="gpt2", texts=texts, types=tuple(map(int, types)), merges=tuple(merges))


@cache
def sentence_pieces(n_tokens: int) -> Vocabulary:
    """Return a SentencePiece vocabulary of `n_tokens` tokens; only for headers, its words are fillers."""
    fixed = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)))
    fillers = itertools.islice(_filler_words("abcdefghijklm"), n_tokens - len(fixed) - len(CONTROL))
    texts = (*fixed, *fillers, *CONTROL)
    normal = len(texts) - len(fixed) - len(CONTROL)
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL, *[gguf.TokenType.BYTE] * 256]
    types += [gguf.TokenType.NORMAL] * normal + [gguf.TokenType.CONTROL] * len(CONTROL)
    scores = (*[0.0] * len(fixed), *(-float(rank) for rank in range(normal)), *[0.0] * len(CONTROL))
    return Vocabulary(model="llama", texts=texts, types=tuple(map(int, types)), scores=scores)


def _byte_letters() -> list[str]:
    """Return the character that stands for each byte in a GPT-2 vocabulary: printable ones for themselves."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = itertools.count(256)
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def _prompt_words() -> list[str]:
    """Return all words that escl's prompts are made of, by kind, frequent ones first.

    A merge happens wherever its two parts meet, also inside other words, whose own merges then find a part gone. So
    English words with the space before them come before those without: of the former only one merge fits at any time.
    Characters that are not ASCII come before the Chinese words of two of them, which are one merge more.
    """
    texts = list(_prompt_texts())
    kinds = (r"[^\x00-\x7f]", r" [a-z]+", r"(?=([\u4e00-\u9fff]{2}))", r"(?<![ a-z])[a-z]+")
    counts = [Counter(word for text in texts for word in re.findall(kind, text)) for kind in kinds]
    return [word for words in counts for word, _ in words.most_common()]


def _parts(word: str) -> list[bytes]:
    """Return what the merges of a word put together: bytes, or two Chinese characters."""
    is_pair = len(word) == 2 and not word.isascii()
    return [char.encode() for char in word] if is_pair else [bytes([byte]) for byte in word.encode()]


def _prompt_texts() -> Iterator[str]:
    for path in sorted(bundled("role_cards").glob("*.toml")):
        yield path.read_text(encoding="utf-8")
    for entry in sorted(resources.files("escl.core").joinpath("protocols").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            yield entry.read_text(encoding="utf-8")


def _filler_words(alphabet: str) -> Iterator[str]:
    """Yield words of two and more letters, shorter ones first, so that each but for its last letter came before."""
    words: Iterable[tuple[str, ...]] = itertools.chain.from_iterable(
        itertools.product(alphabet, repeat=length) for length in itertools.count(2)
    )
    return ("".join(word) for word in words)
