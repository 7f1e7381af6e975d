"""A chat endpoint on loopback that answers as it is told, byte for byte, so that it can be broken in every way."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Behave = Callable[[socket.socket, "Request"], None]


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    line: str
    headers: dict[str, str]
    body: Any


@dataclass
class ChatServer:
    """A running server.

    Attributes:
        script: What to do with each next request; the last one goes on.
        requests: What came, in order of arrival.
        n_connections: Connections accepted.
    """

    script: list[Behave]
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    n_connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def begin(self, request: Request) -> Behave:
        """Note a request and return what to do with it."""
        with self.lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1


@contextlib.contextmanager
def serving(*script: Behave) -> Iterator[ChatServer]:
    """Run a server that does what `script` says; ends with everything that it began."""
    state = ChatServer(list(script))

    class Handler(socketserver.StreamRequestHandler):
        timeout = 20

        def handle(self) -> None:
            with state.lock:
                state.n_connections += 1
            with contextlib.suppress(OSError):
                while (request := _read(self.rfile)) is not None and not state.ending.is_set():
                    behave = state.begin(request)
                    try:
                        behave(self.connection, request)
                    finally:
                        state.end()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.ending.set()
            server.shutdown()
            thread.join()


def _read(stream: Any) -> Request | None:  # noqa: ANN401
    line = stream.readline(65536).decode("latin-1").strip()
    if not line:
        return None
    headers = {}
    while (row := stream.readline(65536).decode("latin-1").strip()) != "":
        name, _, value = row.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(line, headers, json.loads(body) if body else None)


def completion(content: object = "I hear you.", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a well-formed answer; `changes` go to its choice."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "stop",
    }
    return {
        "object": "chat.completion",
        "model": "served-model",
        "choices": [choice | changes],
        "usage": {"prompt_tokens": 21, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}},
    }


def message(**fields: object) -> dict[str, Any]:
    """Return a well-formed answer with this message."""
    return completion(message={"role": "assistant", **fields})


def sends(
    body: object,
    *,
    status: str = "200 OK",
    content_type: str | None = "application/json",
    headers: tuple[str, ...] = (),
    length: int | None = None,
) -> Behave:
    """Return a behaviour that sends a whole answer; `length` lies about its size."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw) if length is None else length}", *headers]
    if content_type is not None:
        head.append(f"Content-Type: {content_type}")

    def behave(connection: socket.socket, _: Request) -> None:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + raw)
        if length is not None:
            connection.shutdown(socket.SHUT_RDWR)

    return behave


def refuses(status: str, said: object = b"", *headers: str) -> Behave:
    """Return a behaviour that answers with an error."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return sends(body, status=status, headers=headers)


def resets(connection: socket.socket, _: Request) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The handler's file holds the socket open; only this closes it now.
    os.close(connection.detach())
    raise ConnectionAbortedError


def hangs(connection: socket.socket, _: Request) -> None:
    """Say nothing until the client goes away."""
    while connection.recv(1024):
        pass


def drips(connection: socket.socket, _: Request) -> None:
    """Begin an answer and never come to its end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    connection.settimeout(0.02)
    while True:
        connection.sendall(b" ")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


def floods(connection: socket.socket, _: Request) -> None:
    """Send a body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)
