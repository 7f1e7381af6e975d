"""Reads the scorer's label and its distribution, many dialogues at a time.

The reply is always the one that plain greedy generation gives. A scorer's replies are much alike: its latest one, to
just behind the label, is appended to the next prompt as a draft, every position of it is verified against the model's
choice there, and from the first difference on the reply is generated token by token.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from escl.core.dialogue import Message
from escl.engine.batcher import Totals
from escl.engine.chat import Chat
from escl.engine.context_shape import context_shape
from escl.engine.label_tokens import LabelTokens, Odds, find_label
from escl.engine.llama import Context, Model, Tokens, device_names
from escl.engine.sampling import check_finite
from escl.engine.wire import EngineSpec, Failed, Generate, LabelRead, ReadLabel
from escl.errors import ContextOverflowError, EngineError, KVExhaustedError, NonFiniteLogitsError

DEFAULT_SYSTEM_KEY: Final = "escl.chat.default_system_prompt"
"""GGUF key of the system prompt that a scorer was trained with."""

_MAX_DRAFT: Final = 63
"""Tokens of a draft: a label that comes later is generated."""
_TAIL: Final = 4
"""Tokens behind the label that a draft keeps: a full stop saves a step, an explanation would be another each time."""

Row = npt.NDArray[np.float32]
Group = tuple[str | None, str | None, str]
Answer = LabelRead | Failed


@dataclass(slots=True, eq=False)
class _Job:
    """A request on its way; `reply` grows by the model's greedy choices."""

    request: ReadLabel
    group: Group
    prompt: Tokens
    draft: list[int] = field(default_factory=list)
    sequence: int = -1
    shared: int = 0
    n_reused: int = 0
    started: float = 0.0
    reply: list[int] = field(default_factory=list)
    odds: dict[int, Odds] = field(default_factory=dict)
    n_verified: int = 0
    left_draft: bool = False
    finished: bool = False
    cancelled: bool = False

    @property
    def n_past(self) -> int:
        """Tokens evaluated: the prompt, and the reply but for its latest token."""
        return int(self.prompt.size) + len(self.reply) - 1


class LabelReader:
    """Answers ReadLabel requests with one context.

    Attributes:
        n_ctx: Tokens of prompt and reply together that a request may need.
        totals: Counts since the start.
    """

    def __init__(self, model: Model, chat: Chat, spec: EngineSpec, *, n_ctx: int, threads: int) -> None:
        self._n_slots = 1 if spec.strict else spec.slots
        shape = context_shape(spec, n_ctx=n_ctx)
        self._parking = shape.n_sequences - 1
        self._context = Context.of_spec(model, spec, n_ctx=n_ctx, threads=threads)
        self._model, self._chat = model, chat
        # A recurrent state can neither be shared in part nor rewound to before a draft.
        self._strict = spec.strict or not model.rewinds
        self._on_cpu = device_names(spec.gpu_layers, spec.device) == "CPU"
        self._fill_to = min(spec.n_ubatch, self._context.n_batch)
        self._default_system = model.metadata(DEFAULT_SYSTEM_KEY)
        self._labels = LabelTokens(chat.vocabulary, model.n_vocab)
        self.n_ctx = n_ctx
        self.totals = Totals()
        self._waiting: deque[_Job] = deque()
        self._alone: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._work: Generator[None, None, list[Answer]] | None = None
        self._parked: Tokens = np.empty(0, dtype=np.int32)
        self._adapter: str | None = None
        self._drafts: dict[Group | str | None, list[int]] = {}
        self._latest: list[int] = []
        self._has_begun = False

    @property
    def n_active(self) -> int:
        """Requests that are being answered."""
        return len(self._running)

    @property
    def n_waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting) + len(self._alone)

    def submit(self, request: Generate | ReadLabel) -> None:
        """Queue a request.

        Raises:
            ContextOverflowError: Prompt and reply together do not fit the context.
            EngineError: The adapter is unknown, or the prompt cannot be built.
        """
        if isinstance(request, Generate):
            raise EngineError("this engine was loaded for labels; replies need one loaded for dialogue")
        if request.adapter is not None and request.adapter not in self._model.adapters:
            known = ", ".join(self._model.adapters) or "none"
            raise EngineError(f"no adapter named {request.adapter} is loaded; loaded: {known}")
        if request.max_tokens < 1:
            raise EngineError(f"max_tokens is {request.max_tokens}; it must be 1 or more")
        prompt = self._prompt(request, request.rest)
        needed = prompt.size + request.max_tokens
        if needed > self.n_ctx:
            raise ContextOverflowError(
                f"{prompt.size} prompt tokens and a reply of up to {request.max_tokens} tokens need {needed} tokens of "
                f"context, and a prompt has {self.n_ctx}",
                hint="try again with more context (--ctx N --retry-failed)",
            )
        self._waiting.append(_Job(request, (request.adapter, request.system, request.prefix), prompt))

    def _prompt(self, request: ReadLabel, rest: str) -> Tokens:
        system = self._default_system if request.system is None else request.system
        opening = [] if system is None else [Message("system", system)]
        return self._chat.encode([*opening, Message("user", request.prefix + rest)])

    def cancel(self, request_id: int) -> None:
        """Forget a request; one that is being answered is finished silently with its pack."""
        for queue in (self._waiting, self._alone):
            for job in [job for job in queue if job.request.id == request_id]:
                queue.remove(job)
        for job in self._running:
            job.cancelled |= job.request.id == request_id

    def step(self) -> list[Answer]:
        """Decode one batch and return what it finished.

        Raises:
            EngineError: llama.cpp failed in a way that leaves the context in doubt.
        """
        if self._work is None:
            self._running = self._choose()
            if not self._running:
                return []
            self._work = self._answer(self._running)
        try:
            next(self._work)
        except StopIteration as finished:
            self._work, self._running = None, []
            answers: list[Answer] = finished.value
            return answers
        return []

    def _choose(self) -> list[_Job]:
        """Take the next pack from the queues: one group, of the adapter that is on if any waits for it."""
        if self._alone:
            return [self._alone.popleft()]
        if not self._waiting:
            return []
        same_adapter = [job for job in self._waiting if job.request.adapter == self._adapter]
        group = (same_adapter or list(self._waiting))[0].group
        chosen = self._fitting([job for job in self._waiting if job.group == group][: self._pack_size()])
        for job in chosen:
            self._waiting.remove(job)
        return chosen

    def _pack_size(self) -> int:
        """Return how many requests go together; the first of all goes ahead, so that the others have its draft."""
        if self._has_begun:
            return self._n_slots
        self._has_begun = True
        return 1

    def _fitting(self, jobs: list[_Job]) -> list[_Job]:
        """Return the first of `jobs`, as many as one computation takes without the opening that they share.

        In one pool of cells every prompt's attention runs over all prompts of the pack, and a computation that is full
        gains nothing from a larger pack: eight prompts of 380 tokens in a pack took 1.16 times as long on 4 CPU cores
        as one by one. A GPU has more to gain from fewer steps, so there the pack stays whole.
        """
        if not self._on_cpu:
            return jobs
        n_tokens, kept = 0, jobs[:1]
        for job in jobs[1:]:
            shared = _common_length(jobs[0].prompt, job.prompt)
            n_tokens += job.prompt.size - shared
            if n_tokens + jobs[0].prompt.size - shared > self._fill_to:
                break
            kept.append(job)
        return kept

    def _answer(self, jobs: list[_Job]) -> Generator[None, None, list[Answer]]:
        """Answer a pack, one batch for each `next`."""
        self._switch(jobs[0].request.adapter)
        try:
            yield from self._prefill(jobs)
            while still := [job for job in jobs if not job.finished]:
                self._extend(still)
                yield
        except (KVExhaustedError, NonFiniteLogitsError) as error:
            # Masked cells that hold NaN would spread it, so all are zeroed. Alone, each request shows its own fault.
            self._clear(wipe=True)
            if len(jobs) == 1:
                failed = Failed(id=jobs[0].request.id, error=type(error).__name__, message=error.message)
                return [] if jobs[0].cancelled else [failed]
            self._alone += [_Job(job.request, job.group, job.prompt) for job in jobs if not job.cancelled]
            return []
        for job in jobs:
            self._context.remove(job.sequence, -1)
        return [self._finish(job) for job in jobs if not job.cancelled]

    def _switch(self, adapter: str | None) -> None:
        if adapter != self._adapter:
            self._context.use_adapter(adapter)
            self._adapter = adapter
            self._parked = self._parked[:0]
        if self._strict:
            self._clear()

    def _clear(self, *, wipe: bool = False) -> None:
        self._context.clear(wipe=wipe)
        self._parked = self._parked[:0]

    # Prefill and draft

    def _prefill(self, jobs: Sequence[_Job]) -> Generator[None, None, None]:
        kept = 0
        if not self._strict:
            kept = yield from self._park(jobs[0])
        for sequence, job in enumerate(jobs):
            job.sequence, job.started = sequence, time.monotonic()
            job.shared = min(_common_length(self._parked, job.prompt), job.prompt.size - 1)
            job.n_reused = job.shared if sequence > 0 else min(job.shared, kept)
            job.draft = self._draft(job)
            if job.shared:
                self._context.share(self._parking, sequence, job.shared)
        self.totals.n_reused += sum(job.n_reused for job in jobs)
        yield from self._evaluate(jobs)
        for job in jobs:
            self._context.remove(job.sequence, job.n_past)

    def _park(self, job: _Job) -> Generator[None, None, int]:
        """Evaluate what all prompts of the job's group begin with, and return how much of it was there already."""
        without_rest = self._prompt(job.request, "")
        wanted = job.prompt[: _common_length(without_rest, job.prompt)]
        kept = _common_length(self._parked, wanted)
        if kept < self._parked.size:
            self._context.remove(self._parking, kept)
        self._parked = self._parked[:kept]
        while (start := self._parked.size) < wanted.size:
            chunk = wanted[start : start + self._context.n_batch]
            self._fill(chunk, np.arange(start, start + chunk.size), np.full(chunk.size, self._parking))
            self._context.decode(chunk.size)
            self._parked = wanted[: start + chunk.size]
            self.totals.n_prompt_evaluated += chunk.size
            yield
        return kept

    def _draft(self, job: _Job) -> list[int]:
        if self._strict or not job.request.use_draft:
            return []
        # Adapters of one scorer were trained to answer alike.
        known = self._drafts.get(job.group) or self._drafts.get(job.request.adapter) or self._latest
        return known[: min(job.request.max_tokens - 1, _MAX_DRAFT)]

    def _evaluate(self, jobs: Sequence[_Job]) -> Generator[None, None, None]:
        """Evaluate prompts and drafts of a pack, and take the model's choice at each position of the drafts."""
        tokens = [np.concatenate([job.prompt[job.shared :], np.array(job.draft, dtype=np.int32)]) for job in jobs]
        sizes = [part.size for part in tokens]
        owner = np.repeat(np.arange(len(jobs)), sizes)
        positions = np.concatenate([job.shared + np.arange(size) for job, size in zip(jobs, sizes, strict=True)])
        starts_reply = np.array([job.prompt.size - 1 for job in jobs])
        wanted = positions >= starts_reply[owner]
        everything = np.concatenate(tokens)
        for start, end in self._chunks(wanted):
            part = slice(start, end)
            self._fill(everything[part], positions[part], owner[part], wanted[part])
            self._context.decode(end - start)
            owners = owner[part][wanted[part]]
            rows = self._context.logits(owners.size)
            for row, index in zip(rows, owners.tolist(), strict=True):
                self._verify(jobs[index], row)
            yield
        self.totals.n_prompt_evaluated += int(owner.size)

    def _chunks(self, wanted: npt.NDArray[np.bool_]) -> Generator[tuple[int, int], None, None]:
        """Cut a long batch so that neither tokens nor wanted logits exceed what one decode may have."""
        start, n_before = 0, np.concatenate([[0], np.cumsum(wanted)])
        while start < wanted.size:
            by_outputs = int(np.searchsorted(n_before, n_before[start] + self._context.n_outputs, side="right")) - 1
            end = min(start + self._context.n_batch, by_outputs, wanted.size)
            yield start, end
            start = end

    def _fill(
        self,
        tokens: Tokens,
        positions: npt.NDArray[np.int_],
        sequences: npt.NDArray[np.int_],
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        count, context = tokens.size, self._context
        context.tokens[:count] = tokens
        context.positions[:count] = positions
        context.sequences[:count] = sequences
        context.wanted[:count] = 0 if wanted is None else wanted

    def _verify(self, job: _Job, row: Row) -> None:
        """Take the next token from a row of the prefill, unless the reply has already left the draft."""
        if job.finished or job.left_draft:
            return
        at = len(job.reply)
        self._take(job, row)
        job.n_verified = len(job.reply)
        job.left_draft = job.reply[at : at + 1] != job.draft[at : at + 1]

    # Greedy generation

    def _extend(self, jobs: Sequence[_Job]) -> None:
        """Decode one more token of each reply."""
        for index, job in enumerate(jobs):
            self._context.tokens[index] = job.reply[-1]
            self._context.positions[index] = job.n_past
            self._context.sequences[index] = job.sequence
        self._context.wanted[: len(jobs)] = 1
        self._context.decode(len(jobs))
        for job, row in zip(jobs, self._context.logits(len(jobs)), strict=True):
            self._take(job, row)

    def _take(self, job: _Job, row: Row) -> None:
        token = int(row.argmax())
        check_finite(float(row[token]))
        if token in self._chat.ends:
            job.finished = True
            return
        if (odds := self._labels.odds(row, token)) is not None:
            job.odds[len(job.reply)] = odds
        job.reply.append(token)
        self.totals.n_generated += 1
        job.finished = len(job.reply) == job.request.max_tokens

    def _finish(self, job: _Job) -> LabelRead:
        pieces = [self._chat.vocabulary.piece(token) for token in job.reply]
        at = find_label(pieces, list(job.odds))
        drafted = bool(job.draft) and at is not None and at < job.n_verified
        if at is not None:
            self._latest = self._drafts[job.group] = self._drafts[job.request.adapter] = job.reply[: at + 1 + _TAIL]
        odds = None if at is None else job.odds[at]
        return LabelRead(
            id=job.request.id,
            reply=self._chat.vocabulary.decode(job.reply).strip(),
            label=None if odds is None else odds.label,
            probabilities=None if odds is None else odds.probabilities,
            off_label_mass=None if odds is None else odds.off_label_mass,
            drafted=drafted,
            n_prompt=job.prompt.size,
            n_reused=job.n_reused,
            n_generated=len(job.reply),
            busy_s=time.monotonic() - job.started,
        )

    def close(self) -> None:
        """Free the context."""
        self._context.close()


def _common_length(one: Tokens, other: Tokens) -> int:
    length = min(one.size, other.size)
    differs = np.flatnonzero(one[:length] != other[:length])
    return int(differs[0]) if differs.size else length
