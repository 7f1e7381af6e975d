"""llama.cpp with nothing around it: a loop over llama_decode that every scheduler is measured against.

No requests, slots, sessions or text: token ids in, greedy token ids out. Nothing of a run uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from escl.engine.llama import Context, Tokens


class BareReading:
    """Evaluates prompts that begin alike: the opening once, then what follows it, one prompt after the other."""

    def __init__(self, context: Context) -> None:
        """Take over a context with two or more sequences in one pool of cells."""
        self._context = context

    def evaluate(self, opening: Tokens, rests: Sequence[Tokens]) -> None:
        """Empty the cache, evaluate the opening and each rest in full batches, and choose each prompt's next token."""
        context = self._context
        context.clear()
        self._evaluate(opening, start=0, sequence=1)
        for rest in rests:
            context.share(1, 0, opening.size)
            self._evaluate(rest, start=opening.size, sequence=0)
            context.logits(1)[0].argmax()
            context.remove(0, -1)

    def _evaluate(self, tokens: Tokens, *, start: int, sequence: int) -> None:
        context = self._context
        for at in range(0, tokens.size, context.n_batch):
            part = tokens[at : at + context.n_batch]
            count = part.size
            context.tokens[:count] = part
            context.positions[:count] = np.arange(start + at, start + at + count)
            context.sequences[:count] = sequence
            context.wanted[:count] = 0
            context.wanted[count - 1] = sequence == 0
            context.decode(count)


class BareLoop:
    """Evaluates prompts, one after the other in full batches, then decodes one token of every sequence in each step."""

    def __init__(self, context: Context, *, first: int = 0) -> None:
        """Take over a context with one KV stream for each sequence, from stream `first` on."""
        self._context = context
        self._first = first
        self._lengths = np.zeros(0, dtype=np.int32)
        self._latest = np.zeros(0, dtype=np.int32)

    def prefill(self, prompts: Sequence[Tokens]) -> None:
        """Empty the cache, evaluate a prompt in each sequence in full batches, and choose each reply's first token."""
        self._context.clear()
        self.begin(len(prompts))
        for _ in self.extending(prompts):
            continue

    def begin(self, n_sequences: int) -> None:
        """Take so many sequences for empty; the caller has emptied the cache."""
        self._lengths = np.zeros(n_sequences, dtype=np.int32)
        self._latest = np.zeros(n_sequences, dtype=np.int32)

    def extending(self, prompts: Sequence[Tokens]) -> Iterator[None]:
        """Evaluate more tokens in each sequence, a batch before each `yield`, and choose each reply's first token."""
        context = self._context
        before, sizes = self._lengths, np.array([prompt.size for prompt in prompts], dtype=np.int32)
        self._lengths = before + sizes
        tokens = np.concatenate(prompts)
        positions = np.concatenate([start + np.arange(size) for start, size in zip(before, sizes, strict=True)])
        sequences = np.repeat(np.arange(len(prompts)), sizes)
        wanted = positions == self._lengths[sequences] - 1
        for start in range(0, tokens.size, context.n_batch):
            part = slice(start, start + context.n_batch)
            count = tokens[part].size
            context.tokens[:count], context.positions[:count] = tokens[part], positions[part]
            context.sequences[:count], context.wanted[:count] = self._first + sequences[part], wanted[part]
            context.decode(count)
            ended = sequences[part][wanted[part]]
            for sequence, row in zip(ended.tolist(), context.logits(ended.size), strict=True):
                self._latest[sequence] = row.argmax()
            yield

    def spread(self, n_sequences: int) -> None:
        """Copy the first sequence's cache into the others: long contexts for a measurement of decoding, for nothing."""
        for sequence in range(1, n_sequences):
            self._context.copy(self._first, self._first + sequence)
        self._lengths = np.repeat(self._lengths[:1], n_sequences)
        self._latest = np.repeat(self._latest[:1], n_sequences)

    def decode(self, steps: int) -> None:
        """Decode `steps` tokens of every sequence."""
        for _ in self.decoding(steps):
            continue

    def decoding(self, steps: int) -> Iterator[None]:
        """Decode a token of every sequence before each `yield`, `steps` times."""
        context, count = self._context, self._lengths.size
        for _ in range(steps):
            context.sequences[:count] = self._first + np.arange(count)
            context.wanted[:count] = 1
            context.tokens[:count] = self._latest
            context.positions[:count] = self._lengths
            context.decode(count)
            self._latest = np.array([row.argmax() for row in context.logits(count)], dtype=np.int32)
            self._lengths += 1
            yield
