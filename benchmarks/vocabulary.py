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

_WORDS: Final = 6_000
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
    for word in _frequent_words():
        spelled = "".join(letters[byte] for byte in word.encode())
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in known and len(known) < n_tokens - len(CONTROL):
                known[spelled[:end]] = None
                merges.append(f"{spelled[: end - 1]} {spelled[end - 1]}")
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


def _frequent_words() -> list[str]:
    """Return the most frequent words, with the space before them, of all that escl's prompts are made of."""
    counts = Counter(word for text in _prompt_texts() for word in re.findall(r" ?[a-z]+|[\u4e00-\u9fff]{1,2}", text))
    counts.update(char for word, n in list(counts.items()) if not word.isascii() for char in list(word) * n)
    return [word for word, _ in counts.most_common(_WORDS)]


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
