"""Continuous batching of replies: a step evaluates waiting prompts, else decodes one token for each active slot.

llama.cpp computes prompts and next tokens apart even when one batch holds both, so mixing them gains nothing, and
tokens that are decoded while others wait for their prompt are decoded in smaller, dearer groups.
A slot is one KV stream. It stays with its session while it can, so that only new tokens are evaluated.
Knows nothing of pipes and processes; it is driven by `submit` and `step`.
"""

from __future__ import annotations

import codecs
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from escl.core.reasoning import split_reasoning
from escl.engine.chat import Chat
from escl.engine.context_shape import context_shape
from escl.engine.llama import Context, Model, Tokens, device_names
from escl.engine.sampling import Sampler
from escl.engine.wire import EngineSpec, Failed, Generate, Generated, ReadLabel
from escl.errors import ContextOverflowError, EngineError, KVExhaustedError, NonFiniteLogitsError

_OVERTAKEN_AT_MOST: Final = 2
"""A waiting request may be overtaken this many times for each slot."""

_CPU_GAP: Final = 3
"""Idle slots between two active ones that are worth filling on the processor: see `Batcher._next_tokens`."""

_SPOKEN_CHARS: Final = 2000
"""Of a reply that is being written, how much is told."""

_FILLER: Final = np.zeros(1, dtype=np.int32)


@dataclass(slots=True)
class Totals:
    """What was done since the model was loaded."""

    n_prompt_evaluated: int = 0
    n_reused: int = 0
    n_generated: int = 0


@dataclass(slots=True, eq=False)
class _Job:
    """A request on its way."""

    request: Generate
    prompt: Tokens
    arrived: float
    sampler: Sampler | None = None
    started: float | None = None
    n_reused: int = 0
    reply: list[int] = field(default_factory=list)
    overtaken: int = 0
    heard: _Heard | None = None


class _Heard:
    """What a reply says so far, for those who watch it grow."""

    def __init__(self) -> None:
        self._n_tokens = 0
        self._text = ""
        # Holds back the beginning of a character until the rest is there.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def text(self, reply: Sequence[int], chat: Chat) -> str:
        """Return the end of what is said in `reply`, without what is thought aloud."""
        self._text += self._decoder.decode(chat.vocabulary.decode_bytes(reply[self._n_tokens :]))
        self._n_tokens = len(reply)
        return split_reasoning(chat.opening + self._text)[1].strip()[-_SPOKEN_CHARS:]


@dataclass(slots=True, eq=False)
class _Slot:
    """One KV stream: `cached[:n_cached]` are the tokens it holds."""

    sequence: int
    cached: Tokens
    n_cached: int = 0
    session: str | None = None
    last_used: float = 0.0
    job: _Job | None = None
    tainted: bool = False


@dataclass(slots=True)
class _Piece:
    """A slot's part of one batch. A filler's token is forgotten again."""

    slot: _Slot
    tokens: Tokens
    wants_logits: bool
    filler: bool = False
    row: int = -1
    batch_index: int = -1


class Batcher:
    """Answers Generate requests with one context.

    Attributes:
        n_ctx: Tokens of prompt and reply together that a request may need.
        totals: Counts since the start.
    """

    def __init__(self, model: Model, chat: Chat, spec: EngineSpec, *, n_ctx: int, threads: int) -> None:
        shape = context_shape(spec, n_ctx=n_ctx)
        self._context = Context.of_spec(model, spec, n_ctx=n_ctx, threads=threads)
        self._model, self._chat, self._strict = model, chat, spec.strict
        self.n_ctx = n_ctx
        on_cpu = device_names(spec.gpu_layers, spec.device) == "CPU"
        # A device takes many tokens in the time of one; a model that cannot rewind could not forget a filler.
        self._gap = 0 if not model.rewinds else _CPU_GAP if on_cpu else shape.n_sequences
        self.totals = Totals()
        self._waiting: deque[_Job] = deque()
        self._slots = [_Slot(index, np.zeros(n_ctx, dtype=np.int32)) for index in range(shape.n_sequences)]

    @property
    def n_active(self) -> int:
        """Requests that hold a slot."""
        return sum(slot.job is not None for slot in self._slots)

    @property
    def n_waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    @property
    def context(self) -> Context:
        """What it decodes with; for measurements on the same context while nothing is active."""
        return self._context

    def speaking(self) -> dict[str, str]:
        """Return the ends of the replies that are being written, by session."""
        said: dict[str, str] = {}
        for slot in self._slots:
            if (job := slot.job) is not None and job.reply:
                job.heard = job.heard or _Heard()
                said[job.request.session] = job.heard.text(job.reply, self._chat)
        return said

    def forget_all(self) -> None:
        """Forget what idle slots hold, so that the next requests are evaluated whole."""
        for slot in self._slots:
            if slot.job is None:
                self._forget(slot)

    def submit(self, request: Generate | ReadLabel) -> None:
        """Queue a request.

        Raises:
            ContextOverflowError: Prompt and reply together do not fit the context.
            EngineError: The prompt cannot be built, or the sampling settings make no sense.
        """
        if isinstance(request, ReadLabel):
            raise EngineError("this engine was loaded for dialogue; labels need one loaded for labels")
        prompt = self._chat.encode(request.messages)
        needed = prompt.size + request.sampling.max_tokens
        if needed > self.n_ctx:
            raise ContextOverflowError(
                f"{prompt.size} prompt tokens and a reply of up to {request.sampling.max_tokens} tokens need {needed} "
                f"tokens of context, and a slot has {self.n_ctx}",
                hint="try again with more context (--ctx N --retry-failed) or a shorter reply",
            )
        job = _Job(request, prompt, arrived=time.monotonic())
        job.sampler = Sampler(request.sampling, seed=request.seed, prompt=prompt, n_vocab=self._model.n_vocab)
        self._waiting.append(job)

    def cancel(self, request_id: int) -> None:
        """Forget a request wherever it is; what its slot has evaluated stays usable."""
        for job in [job for job in self._waiting if job.request.id == request_id]:
            self._waiting.remove(job)
            _free_sampler(job)
        for slot in self._slots:
            if slot.job is not None and slot.job.request.id == request_id:
                self._release(slot)

    def step(self) -> list[Generated | Failed]:
        """Decode one batch and return what it finished.

        Raises:
            EngineError: llama.cpp failed in a way that leaves the context in doubt.
        """
        self._assign()
        pieces = self._plan()
        if not pieces:
            return []
        try:
            self._decode(pieces)
        except KVExhaustedError:
            return self._decode_with_less(pieces)
        return self._advance(pieces)

    # Slots

    def _assign(self) -> None:
        self._wipe_if_tainted()
        while self._waiting:
            idle = [slot for slot in self._slots if slot.job is None and not slot.tainted]
            if not idle:
                return
            job, slot = self._match(idle)
            self._waiting.remove(job)
            self._start(slot, job)

    def _match(self, idle: Sequence[_Slot]) -> tuple[_Job, _Slot]:
        """Return the next request and its slot: first in, first out, but a request whose own slot is idle may overtake.

        Without that, with more dialogues than slots, each would evict the next one's KV just before it is needed.
        """
        own = {slot.session: slot for slot in idle if slot.session is not None}
        head = self._waiting[0]
        at_home = (job for job in self._waiting if job.request.session in own)
        job = head if head.overtaken >= _OVERTAKEN_AT_MOST * len(self._slots) else next(at_home, head)
        head.overtaken += job is not head
        return job, own.get(job.request.session) or min(idle, key=lambda slot: slot.last_used)

    def _start(self, slot: _Slot, job: _Job) -> None:
        if self._strict:
            self._context.clear()
            slot.n_cached = 0
        # The last prompt token is evaluated again in any case: its logits choose the first token of the reply.
        limit = min(slot.n_cached, job.prompt.size - 1)
        differs = np.flatnonzero(slot.cached[:limit] != job.prompt[:limit])
        keep = int(differs[0]) if differs.size else limit
        if not self._context.remove(slot.sequence, keep):
            self._context.remove(slot.sequence, -1)
            keep = 0
        slot.n_cached = job.n_reused = keep
        slot.session, slot.job = job.request.session, job
        job.started = time.monotonic()
        self.totals.n_reused += keep

    def _release(self, slot: _Slot) -> None:
        if slot.job is not None:
            _free_sampler(slot.job)
        slot.job = None
        slot.last_used = time.monotonic()

    def _forget(self, slot: _Slot) -> None:
        self._context.remove(slot.sequence, -1)
        slot.n_cached, slot.session = 0, None

    def _wipe_if_tainted(self) -> None:
        # A masked cell weighs 0, and 0 times NaN is NaN: cells that may hold NaN are zeroed, which empties all slots.
        if any(slot.tainted for slot in self._slots) and self.n_active == 0:
            self._context.clear(wipe=True)
            for slot in self._slots:
                slot.n_cached, slot.session, slot.tainted = 0, None, False

    # Batches

    def _plan(self) -> list[_Piece]:
        """Return the pieces of the next batch in ascending sequence order, as llama.cpp splits streams best."""
        prefilling = [(slot.job.arrived, slot, slot.job) for slot in self._slots if slot.job and not slot.job.reply]
        if not prefilling:
            return self._next_tokens()
        pieces: list[_Piece] = []
        room = self._context.n_batch
        for _, slot, job in sorted(prefilling, key=lambda entry: entry[0]):
            chunk = job.prompt[slot.n_cached : slot.n_cached + room]
            if chunk.size:
                ends_prompt = slot.n_cached + chunk.size == job.prompt.size
                pieces.append(_Piece(slot, chunk, wants_logits=ends_prompt))
                room -= chunk.size
        return sorted(pieces, key=lambda piece: piece.slot.sequence)

    def _next_tokens(self) -> list[_Piece]:
        """Return one token for each active slot, and fillers for the idle slots of small gaps between them.

        llama.cpp computes streams together only while their numbers follow one another: 16 slots with an idle one after
        each take 16 passes over the weights, and with the gaps filled one.
        """
        pieces: list[_Piece] = []
        idle: list[_Slot] = []
        for slot in self._slots:
            if slot.job is None:
                idle.append(slot)
                continue
            if pieces and len(idle) <= self._gap and all(self._can_fill(slot) for slot in idle):
                pieces += [_Piece(slot, _FILLER, wants_logits=False, filler=True) for slot in idle]
            idle = []
            pieces.append(_Piece(slot, np.array(slot.job.reply[-1:], dtype=np.int32), wants_logits=True))
        return pieces

    def _can_fill(self, slot: _Slot) -> bool:
        return slot.n_cached < self.n_ctx and not slot.tainted

    def _decode(self, pieces: Sequence[_Piece]) -> None:
        context, end, row = self._context, 0, 0
        for piece in pieces:
            start, end = end, end + piece.tokens.size
            first = piece.slot.n_cached
            context.tokens[start:end] = piece.tokens
            context.positions[start:end] = np.arange(first, first + piece.tokens.size, dtype=np.int32)
            context.sequences[start:end] = piece.slot.sequence
            context.wanted[start:end] = 0
            if piece.wants_logits:
                context.wanted[end - 1] = 1
                piece.row, piece.batch_index = row, end - 1
                row += 1
        context.decode(end)

    def _decode_with_less(self, pieces: Sequence[_Piece]) -> list[Generated | Failed]:
        """Free what idle slots hold and try again; then piece by piece, failing the requests that still do not fit."""
        for slot in self._slots:
            if slot.job is None:
                self._forget(slot)
        done: list[Generated | Failed] = []
        for attempt in ([piece] for piece in pieces if not piece.filler):
            try:
                self._decode(attempt)
                done += self._advance(attempt)
            except KVExhaustedError as error:
                done.append(self._fail(attempt[0].slot, error))
        return done

    def _advance(self, pieces: Sequence[_Piece]) -> list[Generated | Failed]:
        done: list[Generated | Failed] = []
        rows = self._context.logits(sum(piece.wants_logits for piece in pieces))
        for piece in pieces:
            slot, n_tokens = piece.slot, piece.tokens.size
            if piece.filler:
                self._context.remove(slot.sequence, slot.n_cached)
                continue
            job = slot.job
            assert job is not None
            assert job.sampler is not None
            slot.cached[slot.n_cached : slot.n_cached + n_tokens] = piece.tokens
            slot.n_cached += n_tokens
            if not job.reply:
                self.totals.n_prompt_evaluated += n_tokens
            if not piece.wants_logits:
                continue
            try:
                token = job.sampler.draw(self._context, rows[piece.row], piece.batch_index)
            except NonFiniteLogitsError as error:
                slot.tainted = True
                done.append(self._fail(slot, error))
                continue
            if (finished := self._take(slot, job, token)) is not None:
                done.append(finished)
        return done

    def _take(self, slot: _Slot, job: _Job, token: int) -> Generated | None:
        ended = token in self._chat.ends
        if not ended:
            job.reply.append(token)
            self.totals.n_generated += 1
            if len(job.reply) < job.request.sampling.max_tokens:
                return None
        self._release(slot)
        assert job.started is not None
        reasoning, text = split_reasoning(self._chat.opening + self._chat.vocabulary.decode(job.reply).strip())
        return Generated(
            id=job.request.id,
            text=text,
            reasoning=reasoning,
            finish="stop" if ended else "length",
            n_prompt=job.prompt.size,
            n_reused=job.n_reused,
            n_generated=len(job.reply),
            queue_s=job.started - job.arrived,
            busy_s=time.monotonic() - job.started,
        )

    def _fail(self, slot: _Slot, error: EngineError) -> Failed:
        assert slot.job is not None
        request_id = slot.job.request.id
        self._release(slot)
        self._forget(slot)
        return Failed(id=request_id, error=type(error).__name__, message=error.message)

    def close(self) -> None:
        """Free the samplers, then the context."""
        for job in [*self._waiting, *(slot.job for slot in self._slots if slot.job is not None)]:
            _free_sampler(job)
        self._context.close()


def _free_sampler(job: _Job) -> None:
    if job.sampler is not None:
        job.sampler.close()
