"""Children that misbehave; run as a script with the way to misbehave as its argument."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

from escl.engine.frames import LENGTH_BYTES, encode_frame, payload_length
from escl.engine.wire import Generated, Ready, Reply

READY = Ready(
    architecture="fake",
    description="fake",
    n_vocab=1,
    n_ctx_train=1,
    n_ctx_per_slot=1,
    slots=1,
    device="CPU",
    load_s=0.0,
    template_sha256="",
    llama_build="",
    peak_rss_bytes=0,
)
ANSWER = Generated(
    id=1, text="x", finish="stop", n_prompt=1, n_reused=0, n_generated=1, queue_s=0.0, busy_s=0.0
)  # fmt: skip


def read_frame() -> bytes:
    header = sys.stdin.buffer.read(LENGTH_BYTES)
    return sys.stdin.buffer.read(payload_length(header))


def send(message: Reply) -> None:
    write(encode_frame(message))


def write(raw: bytes) -> None:
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def send_half_a_frame() -> None:
    write(encode_frame(ANSWER)[:9])
    sys.exit(0)


def flood_stderr() -> None:
    os.write(2, b"x" * 10_000_000)
    os.write(2, b"\n\xff\xfe\n" * 10_000)
    send(ANSWER)


def answer_twice() -> None:
    send(ANSWER)
    send(ANSWER)


def answer_someone_else() -> None:
    fields = {field: getattr(ANSWER, field) for field in ANSWER.__struct_fields__}
    send(Generated(**fields | {"id": 99}))
    send(ANSWER)


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


WAYS: dict[str, Callable[[], object]] = {
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: sys.exit(0),
    "exit with code 3": lambda: sys.exit(3),
    "send garbage": lambda: write(b"\x00\x00\x00\x05hello"),
    "send text": lambda: write(b"Segmentation fault (core dumped)\n" * 3),
    "send half a frame": send_half_a_frame,
    "send a huge frame": lambda: write(b"\x7f\xff\xff\xff"),
    "close stdout and stay": lambda: os.close(1),
    "flood stderr": flood_stderr,
    "sleep": lambda: None,
    "ignore SIGTERM": ignore_sigterm,
    "answer twice": answer_twice,
    "answer someone else": answer_someone_else,
}


if __name__ == "__main__":
    way = sys.argv[1]
    read_frame()
    if way == "never ready":
        time.sleep(600)
    send(READY)
    read_frame()
    sys.stderr.write(f"about to {way}\n")
    sys.stderr.flush()
    WAYS[way]()
    time.sleep(600)
