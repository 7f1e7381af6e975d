"""No test may reach a network: connecting to anything but this machine is refused, and so is looking a name up."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing about the property.
settings.register_profile("escl", deadline=None)
settings.load_profile("escl")

_LOCAL = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse_connect(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else address
        if self.family != getattr(socket, "AF_UNIX", None) and host not in _LOCAL:
            raise AssertionError(f"a test tried to connect to {host}")
        connect(self, address)  # type: ignore[arg-type]

    def refuse_look_up(host: object, *args: object, **kwargs: object) -> object:
        if host not in _LOCAL:
            raise AssertionError(f"a test tried to look up {host!r}")
        return look_up(host, *args, **kwargs)  # type: ignore[arg-type]

    patch.setattr(socket.socket, "connect", refuse_connect)
    patch.setattr(socket, "getaddrinfo", refuse_look_up)
    yield
    patch.undo()
