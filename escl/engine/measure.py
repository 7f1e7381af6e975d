"""The child process that measures one model file: bare llama.cpp by setting, and the batcher against it.

Started as `python -m escl.engine.measure`; the first frame is the file's path, each later one a question of
`escl.engine.trial`. Chooses no settings and keeps no results.
"""

from __future__ import annotations

import os

# A failed assertion of ggml would otherwise start a debugger to print a backtrace.
os.environ["GGML_NO_BACKTRACE"] = "1"

import gc
import statistics
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final, assert_never

import msgspec
import numpy as np

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine import child
from escl.engine.bare import BareLoop, BareReading
from escl.engine.batcher import Batcher
from escl.engine.chat import Chat
from escl.engine.labels import DEFAULT_SYSTEM_KEY
from escl.engine.llama import Context, Model, Tokens
from escl.engine.sampling import Sampler
from escl.engine.trial import (
    Alike,
    Answer,
    Compared,
    Comparison,
    Evaluated,
    Evaluation,
    InStep,
    Measured,
    Probe,
    Question,
    Setting,
    framed,
)
from escl.engine.wire import EngineSpec, Failed, Generate
from escl.errors import EngineError

_WARM_UP_TOKENS: Final = 8
_DRAWS: Final = 16
_OVER: Final = object()
_GREEDY: Final = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=1)


class Bench:
    """One model in memory at a time, and one context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model: Model | None = None
        self._loaded_as: tuple[object, ...] = ()
        self._context: Context | None = None
        self._context_for: tuple[Setting, int, int, str | None] | None = None

    def answer(self, question: Question) -> Answer:
        """Measure what is asked. Raises EngineError when a setting cannot be loaded or run."""
        match question:
            case Probe():
                return self._probe(question)
            case Comparison():
                return self._compare(question)
            case Evaluation():
                return _evaluate(self._path, question)
            case InStep():
                return _speak_in_step(self._path, question)
            case _:
                assert_never(question)

    def _load(self, setting: Setting) -> tuple[Model, float | None]:
        wanted = (setting.repack, setting.gpu_layers, setting.device)
        if self._model is not None and self._loaded_as == wanted:
            return self._model, None
        self._drop_context()
        if self._model is not None:
            self._model.close()
            self._model = None
        started = time.monotonic()
        model = Model(self._path, gpu_layers=setting.gpu_layers, device=setting.device, repack=setting.repack)
        self._model, self._loaded_as = model, wanted
        return model, time.monotonic() - started

    def _drop_context(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context, self._context_for = None, None

    def _probe(self, probe: Probe) -> Measured:
        model, load_s = self._load(probe.setting)
        if probe.adapter is not None and probe.adapter not in model.adapters:
            model.add_adapters({probe.adapter: Path(probe.adapter)})
        context = self._prepare(model, probe)
        loop, prompt = BareLoop(context), _prompt(model, probe.prompt_tokens)
        started = time.monotonic()
        loop.prefill([prompt])
        prefill_s = time.monotonic() - started
        loop.spread(probe.sequences)
        decode_s = _decode_s(loop, probe.steps)
        draw_s = _draw_s(model, context, prompt) if probe.steps else None
        return Measured(load_s=load_s, prefill_s=prefill_s, decode_s=decode_s, draw_s=draw_s)

    def _prepare(self, model: Model, probe: Probe) -> Context:
        """Return the setting's context, warmed up: the first computation allocates, and touches weights."""
        cells = -(-(probe.prompt_tokens + probe.steps + 1) // 256) * 256
        wanted = (probe.setting, probe.sequences, cells, probe.adapter)
        if self._context is None or self._context_for != wanted:
            self._drop_context()
            self._context = _context(model, probe.setting, sequences=probe.sequences, cells=cells)
            self._context_for = wanted
            self._context.use_adapter(probe.adapter)
            warm_up = BareLoop(self._context)
            warm_up.prefill([_prompt(model, min(_WARM_UP_TOKENS, probe.prompt_tokens))])
            warm_up.spread(probe.sequences)
            warm_up.decode(min(1, probe.steps))
        return self._context

    def _compare(self, asked: Comparison) -> Compared:
        model, _ = self._load(asked.setting)
        self._drop_context()
        rivals = _Rivals(model, asked)
        try:
            rivals.run()
            return Compared(
                prefill_tokens=rivals.prefill_tokens,
                decode_tokens=asked.sequences * asked.steps,
                bare_prefill_s=rivals.bare_prefill_s,
                bare_decode_s=rivals.bare_decode_s,
                batcher_prefill_s=rivals.batcher_prefill_s,
                batcher_decode_s=rivals.batcher_decode_s,
            )
        finally:
            rivals.close()


class _Rivals:
    """Bare loop and batcher on one context, each with half of its streams, and with the other half the next time.

    They go in turns batch by batch: what slows the machine down for a moment slows both.
    """

    def __init__(self, model: Model, asked: Comparison) -> None:
        setting = asked.setting
        n_ctx = -(-(2 * asked.prompt_tokens + asked.steps + 64) // 256) * 256
        spec = EngineSpec(
            model="",
            slots=2 * asked.sequences,
            n_batch=max(setting.n_ubatch, asked.sequences),
            n_ubatch=setting.n_ubatch,
            kv_type=setting.kv_type,
            flash_attention=setting.flash_attention,
        )
        chat = Chat(model, frozen_time=0, max_tokens=n_ctx)
        # A model with random weights may end its turn at any token; both sides must generate equally many.
        chat.ends = frozenset()
        self._batcher = Batcher(model, chat, spec, n_ctx=n_ctx, threads=setting.threads)
        self._asked = asked
        self._said = [_words(asked.prompt_tokens, seed) for seed in range(asked.sequences)]
        self._said = [_cut_to(chat, said, asked.prompt_tokens) for said in self._said]
        self._prompts = [chat.encode([Message("user", said)]) for said in self._said]
        self.prefill_tokens = sum(prompt.size for prompt in self._prompts)
        self.bare_prefill_s: list[float] = []
        self.bare_decode_s: list[float] = []
        self.batcher_prefill_s: list[float] = []
        self.batcher_decode_s: list[float] = []

    def run(self) -> None:
        """Let both go in turns; the first two rounds, which touch all streams, warm up and do not count."""
        for number in range(self._asked.rounds + 2):
            prefill, decode = self._round(number)
            if number > 1:
                self.batcher_prefill_s.append(prefill[0])
                self.bare_prefill_s.append(prefill[1])
                self.batcher_decode_s.append(decode[0])
                self.bare_decode_s.append(decode[1])

    def _round(self, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the seconds of batcher and bare loop, for the prompts and for the new tokens."""
        asked, batcher = self._asked, self._batcher
        batcher.forget_all()
        batcher.context.clear()
        # The batcher gives new sessions the slots that were left alone longest: those the bare loop had.
        bare = BareLoop(batcher.context, first=asked.sequences * ((number + 1) % 2))
        bare.begin(asked.sequences)
        prefill = _in_turns(self._answering(1, number), bare.extending(self._prompts))
        # The prompts are in the cache now, but for their last tokens: the rest is decoding.
        return prefill, _in_turns(self._answering(asked.steps, number), bare.decoding(asked.steps))

    def _answering(self, max_tokens: int, number: int) -> Iterator[None]:
        """Ask for all replies now; answer them, a batch before each `yield`: the bare loop too begins with tokens."""
        batcher = self._batcher
        sampling = msgspec.structs.replace(_GREEDY, max_tokens=max_tokens)
        for index, said in enumerate(self._said):
            session, messages = f"{number} {index}", [Message("user", said)]
            batcher.submit(Generate(id=index, session=session, messages=messages, sampling=sampling, seed=1))

        def steps() -> Iterator[None]:
            while batcher.n_active + batcher.n_waiting:
                for answer in batcher.step():
                    if isinstance(answer, Failed):
                        raise EngineError(answer.message)
                yield

        return steps()

    def close(self) -> None:
        self._batcher.close()


def _in_turns(one: Iterator[None], other: Iterator[None]) -> tuple[float, float]:
    """Return the seconds of two iterators, that advance in turns, each first every other time."""
    taken = [0.0, 0.0]
    going = [(0, one), (1, other)]
    while going:
        for entry in list(going):
            index, steps = entry
            started = time.monotonic()
            if next(steps, _OVER) is _OVER:
                going.remove(entry)
            taken[index] += time.monotonic() - started
        going.reverse()
    return taken[0], taken[1]


def _speak_in_step(path: Path, asked: InStep) -> Evaluated:
    """Return what the turns' tokens take with a slot for every dialogue, with any tokens of these numbers."""
    spec = msgspec.structs.replace(asked.spec, slots=len(asked.prompts[0]))
    model = Model(path, gpu_layers=spec.gpu_layers, device=spec.device, repack=spec.repack)
    context = Context.of_spec(
        model, spec, n_ctx=min(spec.ctx_per_slot, model.n_ctx_train), threads=spec.threads or child.physical_cores()
    )
    bare, seconds = BareLoop(context), []
    bare.begin(len(asked.prompts[0]))
    for sizes, generated in zip(asked.prompts, asked.generated, strict=True):
        prompts = [_prompt(model, size) for size in sizes]
        started = time.monotonic()
        for _ in bare.extending(prompts):
            continue
        # A reply's first token comes with the prompt, and its last one is evaluated with the next.
        bare.decode(generated - 1)
        seconds.append(time.monotonic() - started)
    context.close()
    model.close()
    n_tokens = sum(sum(sizes) + len(sizes) * n for sizes, n in zip(asked.prompts, asked.generated, strict=True))
    return Evaluated(n_tokens=n_tokens, seconds=seconds)


def _evaluate(path: Path, asked: Evaluation) -> Evaluated:
    """Return what the prompts' tokens take in a context as the label reader makes it, each adapter switched to once."""
    spec = asked.spec
    model = Model(path, gpu_layers=spec.gpu_layers, device=spec.device, repack=spec.repack)
    model.add_adapters({name: Path(adapter) for name, adapter in spec.adapters.items()})
    n_ctx = min(spec.ctx_per_slot, model.n_ctx_train)
    context = Context.of_spec(model, spec, n_ctx=n_ctx, threads=spec.threads or child.physical_cores())
    chat = Chat(model, frozen_time=spec.frozen_time, max_tokens=n_ctx)
    prompts = [_opening_and_rests(model, chat, group) for group in asked.groups]
    bare, seconds = BareReading(context), []
    for group, (opening, rests) in zip(asked.groups, prompts, strict=True):
        started = time.monotonic()
        context.use_adapter(group.adapter)
        bare.evaluate(opening, rests)
        seconds.append(time.monotonic() - started)
    context.close()
    model.close()
    n_tokens = sum(opening.size + sum(rest.size for rest in rests) for opening, rests in prompts)
    return Evaluated(n_tokens=n_tokens, seconds=seconds)


def _opening_and_rests(model: Model, chat: Chat, group: Alike) -> tuple[Tokens, list[Tokens]]:
    system = model.metadata(DEFAULT_SYSTEM_KEY) if group.system is None else group.system
    before = [] if system is None else [Message("system", system)]
    prompts = [chat.encode([*before, Message("user", group.prefix + rest)]) for rest in ["", *group.rests]]
    # The end of the rubric alone and with a dialogue after it may be other tokens.
    shared = min(_common_length(prompts[0], prompt) for prompt in prompts[1:])
    return prompts[0][:shared], [prompt[shared:] for prompt in prompts[1:]]


def _common_length(one: Tokens, other: Tokens) -> int:
    length = min(one.size, other.size)
    differs = np.flatnonzero(one[:length] != other[:length])
    return int(differs[0]) if differs.size else length


def _context(model: Model, setting: Setting, *, sequences: int, cells: int) -> Context:
    return Context(
        model,
        n_ctx=cells * sequences,
        n_batch=max(setting.n_ubatch, sequences),
        n_sequences=sequences,
        n_outputs=sequences,
        unified=False,
        threads=setting.threads,
        n_ubatch=setting.n_ubatch,
        kv_type=setting.kv_type,
        flash_attention=setting.flash_attention,
    )


def _decode_s(loop: BareLoop, steps: int) -> float:
    """Return what so many steps take when all are like the median one: other work must not pass for the model's."""
    taken = []
    for _ in range(steps):
        started = time.monotonic()
        loop.decode(1)
        taken.append(time.monotonic() - started)
    return steps * statistics.median(taken) if taken else 0.0


def _draw_s(model: Model, context: Context, prompt: Tokens) -> float:
    """Return the seconds of one draw from the logits of the latest decode."""
    sampler = Sampler(Sampling(), seed=1, prompt=prompt, n_vocab=model.n_vocab)
    row = context.logits(1)[0]
    try:
        sampler.draw(context, row, 0)
        started = time.monotonic()
        for _ in range(_DRAWS):
            sampler.draw(context, row, 0)
        return (time.monotonic() - started) / _DRAWS
    finally:
        sampler.close()


def _prompt(model: Model, size: int) -> Tokens:
    return np.random.default_rng(size).integers(0, model.n_vocab, size, dtype=np.int32)


def _words(count: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return " ".join("".join(rng.choice(letters, rng.integers(2, 8))) for _ in range(count))


def _cut_to(chat: Chat, said: str, n_tokens: int) -> str:
    """Return the longest opening of a text that makes a prompt of at most `n_tokens` tokens."""
    low, high = 1, len(said)
    while low < high:
        middle = (low + high + 1) // 2
        fits = chat.encode([Message("user", said[:middle])]).size <= n_tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return said[:low]


def main() -> int:
    """Answer questions until the parent closes the pipe; return the exit code."""
    child.settle_in()
    pipes = child.Pipes()
    payload = pipes.read()
    if payload is None:
        return 0
    bench = Bench(Path(msgspec.msgpack.decode(payload, type=str)))
    while (payload := pipes.read()) is not None:
        # A collection in the middle of a loop would be taken for llama.cpp's time.
        gc.collect()
        try:
            answer = bench.answer(msgspec.msgpack.decode(payload, type=Question))
        except EngineError as error:
            answer = Failed(id=None, error=type(error).__name__, message=error.message, hint=error.hint)
        except Exception:  # noqa: BLE001 - the worker boundary: the parent gets the traceback with the crash
            traceback.print_exc()
            return 1
        pipes.write(framed(answer))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # As in escl.engine.worker: the destructors of device backends are not run.
    os._exit(code)
