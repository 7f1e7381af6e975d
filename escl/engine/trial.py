"""Measuring one model file: what is asked of the child that measures, and the parent's side of it.

Owns the structs and the child's process. Which settings are worth trying is not known here; the measuring itself is
`escl.engine.measure`, the only part that imports llama_cpp.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypeVar

import msgspec

from escl import errors
from escl.engine import launch
from escl.engine.frames import LENGTH_BYTES, checked_length, payload_length
from escl.engine.wire import EngineSpec, Failed, KVType
from escl.errors import EngineError, EngineHungError

COMMAND: Final = (sys.executable, "-P", "-m", "escl.engine.measure")
_STDERR_BYTES: Final = 4000

T = TypeVar("T", bound=msgspec.Struct)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is loaded and run for one measurement; the fields are those of EngineSpec."""

    threads: int
    repack: bool = True
    n_ubatch: int = 512
    flash_attention: bool | None = None
    kv_type: KVType = "f16"
    gpu_layers: int = 0
    device: str | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Measure one setting with a bare loop over llama_decode.

    Attributes:
        prompt_tokens: Evaluated in one sequence; its cache is then copied to the others.
        sequences: Decoded side by side.
        steps: Tokens decoded of each sequence; 0 measures prefill only.
        adapter: Path of a LoRA file that is on meanwhile.
    """

    setting: Setting
    prompt_tokens: int
    sequences: int = 1
    steps: int = 0
    adapter: str | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a probe took.

    Attributes:
        load_s: Seconds to load the weights, None when they were in memory with this setting already.
        draw_s: Seconds to draw one token from its logits with the default sampling; None when nothing was decoded.
    """

    load_s: float | None
    prefill_s: float
    decode_s: float
    draw_s: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Measure the batcher against the bare loop: the same tokens in the same context, a batch each in turns.

    Attributes:
        sequences: Dialogues side by side.
        prompt_tokens: Of each dialogue, about.
        steps: Tokens generated for each dialogue.
        rounds: How often each of the two begins anew.
    """

    setting: Setting
    sequences: int
    prompt_tokens: int
    steps: int
    rounds: int = 3


class Compared(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Seconds of each round; both sides choose tokens greedily.

    Attributes:
        prefill_tokens: Prompt tokens of all dialogues together.
        decode_tokens: New tokens of all dialogues together.
    """

    prefill_tokens: int
    decode_tokens: int
    bare_prefill_s: list[float]
    bare_decode_s: list[float]
    batcher_prefill_s: list[float]
    batcher_decode_s: list[float]


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """Scorer's prompts that differ in their `rests` only; the fields are those of ReadLabel."""

    adapter: str | None
    system: str | None
    prefix: str
    rests: list[str]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Measure evaluating the tokens that scoring must evaluate, and nothing else.

    Attributes:
        spec: Of the engine that this is compared with: its file, settings, adapters and context.
        groups: In order; each one's opening is evaluated once.
    """

    spec: EngineSpec
    groups: list[Alike]


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What an Evaluation took by group, or an InStep by turn, from the first token on; loading and tokenizing are left
    out."""

    n_tokens: int
    seconds: list[float]


class InStep(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Measure one model's part of a simulation as a loop with no scheduler has it: all dialogues say a turn at once.

    Attributes:
        spec: Of the engine that this is compared with: its file, settings and context.
        prompts: New prompt tokens of each dialogue, by turn.
        generated: Tokens of every reply, by turn.
    """

    spec: EngineSpec
    prompts: list[list[int]]
    generated: list[int]


Question = Probe | Comparison | Evaluation | InStep
Answer = Measured | Compared | Evaluated | Failed

_encoder: Final = msgspec.msgpack.Encoder()


def framed(message: Question | Answer | str) -> bytes:
    """Return a message as a frame of the pipe."""
    payload = _encoder.encode(message)
    return checked_length(len(payload)).to_bytes(LENGTH_BYTES, "big") + payload


class Stand:
    """A child process that measures one model file. Leave it with `close` or `with`."""

    def __init__(self, model: Path) -> None:
        """Start the child; it loads nothing before the first question.

        Raises:
            ModelLoadError: The file is missing or no GGUF file.
        """
        launch.check_file(str(model))
        self._model = str(model)
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=launch.child_environment(os.environ),
            **launch.own_process_group(),
        )
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self._process.stdout, self._answers), daemon=True).start()
        self._write(framed(self._model))

    def restart(self) -> None:
        """Replace the child, which may be dead, by a fresh one."""
        self.close()
        self._start()

    def probe(self, question: Probe, *, within_s: float) -> Measured:
        """Return what a setting's probe took.

        Raises:
            EngineHungError: No answer in time; the child is gone.
            EngineError: The setting cannot be loaded or run; a dead child raises EngineCrashedError.
        """
        return self._ask(question, Measured, within_s)

    def compare(self, question: Comparison, *, within_s: float) -> Compared:
        """Return what batcher and bare loop took. Raises as `probe`."""
        return self._ask(question, Compared, within_s)

    def evaluate(self, question: Evaluation | InStep, *, within_s: float) -> Evaluated:
        """Return what bare llama.cpp takes for a scorer's prompts or a model's turns. Raises as `probe`."""
        return self._ask(question, Evaluated, within_s)

    def _ask(self, question: Question, kind: type[T], within_s: float) -> T:
        self._write(framed(question))
        try:
            payload = self._answers.get(timeout=max(0.0, within_s))
        except queue.Empty:
            self.close()
            raise EngineHungError(f"the measurement took more than {within_s:.0f} s") from None
        if payload is None:
            raise self._death()
        answer: T | Failed = msgspec.msgpack.decode(payload, type=kind | Failed)
        if isinstance(answer, Failed):
            error_type = getattr(errors, answer.error, EngineError)
            raise error_type(answer.message, hint=answer.hint)
        return answer

    def _death(self) -> EngineError:
        self._process.wait()
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _STDERR_BYTES))
        said = self._stderr.read().decode("utf-8", errors="replace").splitlines()
        return launch.death_of(launch.how_it_ended(self._process.returncode), stderr=said, while_loading=False)

    def _write(self, frame: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame)
            self._process.stdin.flush()
        except OSError:
            raise self._death() from None

    @staticmethod
    def _read(stdout: IO[bytes], answers: queue.SimpleQueue[bytes | None]) -> None:
        while len(header := stdout.read(LENGTH_BYTES)) == LENGTH_BYTES:
            answers.put(stdout.read(payload_length(header)))
        answers.put(None)

    def close(self) -> None:
        """End the child at once; it holds nothing worth keeping. Safe to call twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except OSError:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
