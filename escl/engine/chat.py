"""Turns a conversation into tokens without letting anything that is said in it steer the model.

The template renders random placeholders instead of the messages. What it wrote around them is its own and may hold
control tokens; what goes in their place is content and never becomes one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from escl.core.dialogue import Message
from escl.core.reasoning import OPENINGS
from escl.engine.llama import Model
from escl.engine.template import ChatTemplate
from escl.engine.vocabulary import Tokens, Vocabulary
from escl.errors import ChatTemplateError, ContextOverflowError

_CHATML: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SYSTEM_GAP: Final = "\n\n"
_REPLACEMENT: Final = "\ufffd"
_UNENCODABLE: Final = re.compile("[\x00\ud800-\udfff]")
_PROBE: Final = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))


class Chat:
    """One model's chat format.

    Attributes:
        vocabulary: The model's.
        template_sha256: Hash of the template's source, so that a changed template is noticed.
        ends: Ids that end the assistant's turn: llama.cpp's, and what the template puts right after its message.
        opening: Where the template itself lets each reply begin with reasoning, the marker that it writes; else "".
    """

    def __init__(self, model: Model, *, frozen_time: int, max_tokens: int) -> None:
        """Compile the template and try it on a short conversation.

        Args:
            model: The loaded model.
            frozen_time: Seconds since the epoch that the template sees as now.
            max_tokens: No prompt may be longer; longer texts are refused before they are tokenized.

        Raises:
            ChatTemplateError: No template, a broken one, or one that does not carry the messages literally.
        """
        source = model.chat_template
        self.vocabulary = Vocabulary(model, template_source=source or "")
        if source is None:
            source = self._fallback()
        self.template_sha256 = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()
        bos, eos = (model.token_text(token) if token >= 0 else "" for token in (model.bos, model.eos))
        self._template = ChatTemplate(source, bos=bos, eos=eos, frozen_time=frozen_time)
        self._bos = model.bos if model.adds_bos and model.bos >= 0 else None
        self._max_tokens = max_tokens
        self._max_token_bytes = max(len(model.token_text(token).encode()) for token in range(model.n_vocab))
        self._normalizes = model.metadata("tokenizer.ggml.pre") == "qwen2"
        self._takes_system = self._learn_system_role()
        self.ends = self.vocabulary.ends | self._learn_end()
        self.opening = self._learn_opening()

    def _fallback(self) -> str:
        if {"<|im_start|>", "<|im_end|>"} <= self.vocabulary.special.keys():
            return _CHATML
        raise ChatTemplateError(
            "the GGUF file has no chat template",
            hint="use a file whose metadata holds tokenizer.chat_template, as most chat models do, or convert the "
            "checkpoint with --chat-template",
        )

    def _learn_system_role(self) -> bool:
        system = Message("system", "s")
        try:
            self._render([system, *_PROBE])
        except ChatTemplateError as refusal:
            try:
                self._render(_PROBE)
            except ChatTemplateError:
                raise refusal from None
            return False
        return True

    def _learn_end(self) -> frozenset[int]:
        parts = self._render(_PROBE)
        after = parts[parts.index(_PROBE[1]) + 1 :][:1]
        if not after or not isinstance(after[0], str):
            return frozenset()
        written = self.vocabulary.split_special(after[0].lstrip())
        return frozenset([written[0]]) if written and isinstance(written[0], int) else frozenset()

    def _learn_opening(self) -> str:
        last = self._render(_PROBE)[-1]
        written = "" if isinstance(last, Message) else last.rstrip()
        return next((opening for opening in OPENINGS if written.endswith(opening)), "")

    def encode(self, messages: Sequence[Message]) -> Tokens:
        """Return the prompt's tokens, up to where the assistant's next message begins.

        NUL and lone surrogates, which no tokenizer knows, become U+FFFD. Qwen2's own tokenizer normalizes to NFC, and
        llama.cpp does not, so for it that is done here.

        Raises:
            ChatTemplateError: The template refuses the messages or does not carry them literally.
            ContextOverflowError: The text is too long for any tokenization to fit.
        """
        said = [Message(message.role, self._as_trained(message.content)) for message in messages]
        n_bytes = sum(len(message.content.encode()) for message in said)
        if n_bytes > self._max_tokens * self._max_token_bytes:
            raise ContextOverflowError(f"{n_bytes} bytes of text cannot fit {self._max_tokens} tokens of context")
        encoded = list(self._encode_runs(self._runs(self._render(self._with_system(said)))))
        if not encoded:
            raise ChatTemplateError("the chat template made an empty prompt")
        return np.concatenate(encoded)

    def _as_trained(self, content: str) -> str:
        plain = _UNENCODABLE.sub(_REPLACEMENT, content)
        return unicodedata.normalize("NFC", plain) if self._normalizes else plain

    def _with_system(self, messages: Sequence[Message]) -> list[Message]:
        if self._takes_system or not messages or messages[0].role != "system":
            return list(messages)
        if len(messages) < 2 or messages[1].role != "user":
            raise ChatTemplateError("the chat template takes no system message, and no user message follows to hold it")
        merged = messages[0].content + _SYSTEM_GAP + messages[1].content
        return [Message("user", merged), *messages[2:]]

    def _render(self, messages: Sequence[Message]) -> list[str | Message]:
        """Return the rendered text, cut up: the template's own text as str, each message where its content stands."""
        # Quotes, a newline and mixed case come along, so that a template that escapes, joins or folds is noticed.
        nonce = secrets.token_hex(16)
        placeholders = [f"Zq{nonce}\"'\n{index}é\\Xk" for index in range(len(messages))]
        if any(nonce in message.content for message in messages):
            raise ChatTemplateError("a message holds this call's placeholder")
        drawn = [Message(m.role, mark) for m, mark in zip(messages, placeholders, strict=True)]
        rendered = self._template.render(drawn)
        for message, mark in zip(messages, placeholders, strict=True):
            if rendered.count(mark) != 1:
                times = rendered.count(mark)
                raise ChatTemplateError(f"the chat template carries a {message.role} message {times} times literally")
        pieces = re.split("(" + "|".join(map(re.escape, placeholders)) + ")", rendered)
        by_mark = dict(zip(placeholders, messages, strict=True))
        return [by_mark.get(piece, piece) for piece in pieces if piece]

    def _runs(self, parts: Sequence[str | Message]) -> list[str | int]:
        """Return control ids, and between them the longest texts: template text and content are tokenized together."""
        runs: list[str | int] = []
        for part in parts:
            pieces = [part.content] if isinstance(part, Message) else self.vocabulary.split_special(part)
            for piece in pieces:
                if isinstance(piece, str) and runs and isinstance(last := runs[-1], str):
                    runs[-1] = last + piece
                elif piece != "":
                    runs.append(piece)
        return runs

    def _encode_runs(self, runs: Sequence[str | int]) -> Iterator[Tokens]:
        if self._bos is not None and runs[:1] != [self._bos]:
            yield np.array([self._bos], dtype=np.int32)
        for index, run in enumerate(runs):
            if isinstance(run, int):
                yield np.array([run], dtype=np.int32)
                continue
            before, after = _token_at(runs, index - 1), _token_at(runs, index + 1)
            yield self.vocabulary.encode_plain(self.vocabulary.strip_beside(run, before=before, after=after))


def _token_at(runs: Sequence[str | int], index: int) -> int | None:
    run = runs[index] if 0 <= index < len(runs) else None
    return run if isinstance(run, int) else None
