"""Long work on the shelf, in a process of its own: a pull, a check, a conversion. Started by `escl.tui.shelf_work`.

One task comes in as a line of JSON; steps, notes and how it ended go out the same way. It calls the functions that
`escl models` and `escl convert` call. The end of its input is the wish to stop, and comes too when the app is gone:
what was received is kept, and nothing half-written stays.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from escl.errors import EsclError

if TYPE_CHECKING:
    from escl.memory.devices import Budget

_STEP_EVERY_S: Final = 0.1


class Pull(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bring a model; without `quantize` the largest that suits the machine."""

    name: str
    quantize: str | None = None


class Verify(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hash the files of a model again; of all where it names none."""

    name: str | None = None


class Convert(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make a GGUF file of a checkpoint folder; without `quantize` with 16-bit matrices."""

    src: str
    dst: str
    quantize: str | None = None


Task = Pull | Verify | Convert


class Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bytes done of bytes to do, and what with."""

    done: int
    total: int
    what: str


class Note(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something worth knowing on the way."""

    text: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It ended; `is_bad`: what was checked is not as it should be."""

    lines: list[str]
    is_bad: bool = False


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It did not work; `hint` says what to do."""

    message: str
    hint: str | None = None


Report = Step | Note | Done | Failed


class _Teller:
    """Writes reports, of steps a few in a second."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        # What a library prints must not come between the reports.
        os.dup2(2, 1)
        self._last = 0.0

    def __call__(self, report: Report) -> None:
        self._out.write(msgspec.json.encode(report) + b"\n")
        self._out.flush()

    def step(self, done: int, total: int, what: str = "") -> None:
        if time.monotonic() - self._last >= _STEP_EVERY_S or done >= total:
            self._last = time.monotonic()
            self(Step(done=done, total=total, what=what))

    def note(self, text: str) -> None:
        self(Note(text=text))


def main() -> None:
    """Do the task that comes in."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    tell = _Teller()
    # An app that a script started in the background hands on that it is to be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_stop_at_the_end, daemon=True).start()
    try:
        tell(_do(task, tell))
    except KeyboardInterrupt:
        sys.exit(130)
    except EsclError as error:
        tell(Failed(message=error.message, hint=error.hint))
    except Exception as error:  # noqa: BLE001 - the boundary of a worker: the app says what it was
        tell(Failed(message=f"{type(error).__name__}: {error}"))


def _do(task: Task, tell: _Teller) -> Done:
    match task:
        case Pull():
            return _pull(task, tell)
        case Verify():
            return _verify(task, tell)
        case Convert():
            return _convert(task, tell)


def _pull(task: Pull, tell: _Teller) -> Done:
    from escl.pulling.pull import pull

    pulled = pull(task.name, quantize=task.quantize, budget=_budget, on_progress=tell.step, on_note=tell.note)
    return Done(lines=[f"{pulled.name}: {pulled.path}, {pulled.quantization or '?'}", *pulled.notes])


def _verify(task: Verify, tell: _Teller) -> Done:
    from escl.shelf.inventory import verify

    checks = verify(None if task.name is None else [task.name], on_progress=tell.step)
    bad = [check for check in checks if not check.ok]
    good = [check for check in checks if check.ok]
    return Done(lines=[str(check) for check in (*bad, *good)], is_bad=bool(bad))


def _convert(task: Convert, tell: _Teller) -> Done:
    from escl.convert import convert

    src, dst = Path(task.src), Path(task.dst)
    made = convert(src, dst, quantize=task.quantize, on_progress=lambda done, total: tell.step(done, total, src.name))
    said = f"{made.path}: {made.architecture}, {made.outtype}, {made.n_tensors} tensors, {made.size_bytes:,} bytes"
    return Done(lines=[said, f"sha256 {made.sha256}", *made.notes])


def _budget() -> Budget:
    from escl.memory.devices import budget_of, probe_hardware

    return budget_of(probe_hardware(), memory=None, device=None)


def _stop_at_the_end() -> None:
    sys.stdin.buffer.read()
    if sys.platform == "win32":
        os.kill(os.getpid(), signal.CTRL_C_EVENT)
    else:
        # To the thread that works, so that what it waits for is broken off.
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        signal.pthread_kill(main_thread, signal.SIGINT)


if __name__ == "__main__":
    main()
