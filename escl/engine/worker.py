"""The child process: loads one model and answers requests until its parent goes away.

Started as `python -m escl.engine.worker`. The first frame is the EngineSpec; the answer to it is Ready, or Failed with
id None. Knows nothing of dialogues, cards or rubrics.
"""

from __future__ import annotations

import os

# A failed assertion of ggml would otherwise start a debugger to print a backtrace.
os.environ["GGML_NO_BACKTRACE"] = "1"

import queue
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from escl.engine import child
from escl.engine.batcher import Batcher, Totals
from escl.engine.chat import Chat
from escl.engine.frames import FrameError, decode_request, decode_spec, encode_frame
from escl.engine.labels import LabelReader
from escl.engine.llama import Model, build_name, device_names
from escl.engine.wire import (
    Cancel,
    Counted,
    CountTokens,
    EngineSpec,
    Failed,
    Generate,
    Loading,
    Progress,
    ReadLabel,
    Ready,
    Reply,
    Request,
    Speaking,
    Watch,
)
from escl.errors import EngineError

_PROGRESS_EVERY_S: Final = 0.25
_FREE_WITHIN_S: Final = 5.0


class Scheduler(Protocol):
    """What the worker drives: a batcher of replies or of labels."""

    @property
    def totals(self) -> Totals: ...
    @property
    def n_active(self) -> int: ...
    @property
    def n_waiting(self) -> int: ...
    def submit(self, request: Generate | ReadLabel) -> None: ...
    def cancel(self, request_id: int) -> None: ...
    def step(self) -> Sequence[Reply]: ...
    def close(self) -> None: ...


class Worker:
    """Reads requests, steps the scheduler, writes replies."""

    def __init__(self, pipes: child.Pipes, spec: EngineSpec) -> None:
        self._pipes = pipes
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._freed = threading.Event()
        self._last_progress = 0.0
        self._is_watched = False
        child.in_background(self._read_frames)
        started = time.monotonic()
        self._load(spec)
        self._send(self._ready(time.monotonic() - started))

    def _read_frames(self) -> None:
        payload: bytes | None = b""
        while payload is not None:
            try:
                payload = self._pipes.read()
            except (OSError, FrameError):
                payload = None
            self._inbox.put(payload)
        child.exit_after(_FREE_WITHIN_S, unless=self._freed)

    def _load(self, spec: EngineSpec) -> None:
        self._model = Model(
            Path(spec.model),
            gpu_layers=spec.gpu_layers,
            device=spec.device,
            repack=spec.repack,
            on_progress=self._on_loading,
        )
        self._model.add_adapters({name: Path(path) for name, path in spec.adapters.items()})
        self._spec = spec
        self._n_ctx = min(spec.ctx_per_slot, self._model.n_ctx_train)
        self._chat = Chat(self._model, frozen_time=spec.frozen_time, max_tokens=self._n_ctx)
        threads = spec.threads or child.physical_cores()
        kind = LabelReader if spec.purpose == "labels" else Batcher
        self._scheduler: Scheduler = kind(self._model, self._chat, spec, n_ctx=self._n_ctx, threads=threads)

    def _on_loading(self, fraction: float) -> None:
        if self._is_time():
            self._send(Loading(fraction=fraction))

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_EVERY_S:
            return False
        self._last_progress = now
        return True

    def _ready(self, load_s: float) -> Ready:
        return Ready(
            architecture=self._model.metadata("general.architecture") or "unknown",
            description=self._model.description,
            n_vocab=self._model.n_vocab,
            n_ctx_train=self._model.n_ctx_train,
            n_ctx_per_slot=self._n_ctx,
            slots=1 if self._spec.strict else self._spec.slots,
            device=device_names(self._spec.gpu_layers, self._spec.device),
            load_s=load_s,
            template_sha256=self._chat.template_sha256,
            llama_build=build_name(),
            peak_rss_bytes=child.peak_rss_bytes(),
        )

    def run(self) -> None:
        """Answer until the parent closes the pipe, then free everything in order."""
        while self._take_requests():
            for reply in self._scheduler.step():
                self._send(reply)
            if self._is_time():
                self._send(self._progress())
                if self._is_watched and isinstance(self._scheduler, Batcher):
                    self._send(Speaking(texts=self._scheduler.speaking()))
        self._scheduler.close()
        self._model.close()
        self._freed.set()

    def _take_requests(self) -> bool:
        """Handle what has arrived, waiting for it when there is nothing to do; False when the parent is gone."""
        while True:
            busy = self._scheduler.n_active + self._scheduler.n_waiting > 0
            try:
                payload = self._inbox.get(block=not busy)
            except queue.Empty:
                return True
            if payload is None:
                return False
            self._handle(decode_request(payload))

    def _handle(self, request: Request) -> None:
        if isinstance(request, Cancel):
            self._scheduler.cancel(request.id)
            return
        if isinstance(request, Watch):
            self._is_watched = request.is_watched
            return
        try:
            if isinstance(request, CountTokens):
                self._send(Counted(id=request.id, n_tokens=int(self._chat.encode(request.messages).size)))
            else:
                self._scheduler.submit(request)
        except EngineError as error:
            self._send(_failed(request.id, error))

    def _progress(self) -> Progress:
        totals = self._scheduler.totals
        return Progress(
            n_prompt_evaluated=totals.n_prompt_evaluated,
            n_reused=totals.n_reused,
            n_generated=totals.n_generated,
            n_active=self._scheduler.n_active,
            n_waiting=self._scheduler.n_waiting,
            peak_rss_bytes=child.peak_rss_bytes(),
        )

    def _send(self, reply: Reply) -> None:
        self._pipes.write(encode_frame(reply))


def _failed(request_id: int | None, error: EngineError) -> Failed:
    return Failed(id=request_id, error=type(error).__name__, message=error.message, hint=error.hint)


def main() -> int:
    """Serve one engine; return the exit code."""
    child.settle_in()
    pipes = child.Pipes()
    try:
        payload = pipes.read()
        if payload is None:
            return 0
        Worker(pipes, decode_spec(payload)).run()
    except EngineError as error:
        pipes.write(encode_frame(_failed(None, error)))
        return 1
    except Exception:  # noqa: BLE001 - the worker boundary: the parent gets the traceback with the crash
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Interpreter shutdown would run C++ destructors of device backends in an order that some of them do not survive.
    os._exit(code)
