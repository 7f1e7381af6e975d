"""How an engine's child process behaves towards its parent and its machine.

Owns pipes, signals, memory priority and processor counts. Knows nothing of models or requests.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from escl.engine.frames import LENGTH_BYTES, payload_length

_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE_ADJ: Final = "500"


class Pipes:
    """The private ends of stdin and stdout that carry frames.

    The real stdout then leads to stderr, so that nothing a C library prints can get between frames.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._in, self._out = os.dup(0), os.dup(1)
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        os.close(devnull)
        os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            msvcrt.setmode(self._in, os.O_BINARY)
            msvcrt.setmode(self._out, os.O_BINARY)
        self._lock = threading.Lock()

    def read(self) -> bytes | None:
        """Return the next frame's payload, None when the parent has closed the pipe or died."""
        header = self._read_exactly(LENGTH_BYTES)
        return None if header is None else self._read_exactly(payload_length(header))

    def _read_exactly(self, count: int) -> bytes | None:
        parts = []
        while count > 0:
            part = os.read(self._in, count)
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def write(self, frame: bytes) -> None:
        """Send a frame whole."""
        with self._lock:
            view = memoryview(frame)
            while view:
                view = view[os.write(self._out, view) :]


def settle_in() -> None:
    """Tie this process to its parent: the parent decides about Ctrl-C, and its death is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # When memory runs out, the kernel should take the child, which can be started again, not the run.
        adjust_oom_score(Path("/proc/self/oom_score_adj"))


def adjust_oom_score(path: Path) -> None:
    """Ask the kernel to kill this process first; some containers do not allow it."""
    try:
        path.write_text(_OOM_SCORE_ADJ, encoding="ascii")
    except OSError as error:
        sys.stderr.write(f"oom_score_adj stays as it is: {error}\n")


def exit_after(delay_s: float, *, unless: threading.Event) -> None:
    """End this process at once after `delay_s`, unless the event is set before; runs in a thread of its own."""

    def wait() -> None:
        if not unless.wait(delay_s):
            os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def in_background(work: Callable[[], None]) -> None:
    """Run `work` in a daemon thread."""
    threading.Thread(target=work, daemon=True).start()


def physical_cores() -> int:
    """Return how many physical cores this process may keep busy, at least 1.

    Hyper-threads only slow matrix products down; cores beyond the process's affinity or its container's quota would
    make its threads wait for each other.
    """
    logical = os.cpu_count() or 1
    counts = [psutil.cpu_count(logical=False) or logical]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    if (quota := _cgroup_cores(Path("/sys/fs/cgroup/cpu.max"))) is not None:
        counts.append(quota)
    return max(1, min(counts))


def _cgroup_cores(path: Path) -> int | None:
    # cgroup v2: "<quota> <period>" in microseconds, or "max <period>".
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def peak_rss_bytes() -> int:
    """Return the most memory this process has had resident, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # Linux's getrusage carries a parent's peak over fork and exec; the high-water mark of the memory map does not.
    if (peak := _high_water_bytes(Path("/proc/self/status"))) is not None:
        return peak
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def _high_water_bytes(status: Path) -> int | None:
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
