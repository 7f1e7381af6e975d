"""Every connection that this process tries to open is counted, whether it succeeds or not."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from escl.core import connections


@pytest.mark.skipif(sys.platform == "win32", reason="asyncio connects without an audit event there")
def test_each_attempt_counts_and_pipes_do_not() -> None:
    connections.watch()
    connections.watch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        before = connections.attempted()
        socket.create_connection(("127.0.0.1", port)).close()
        assert connections.attempted() == before + 1

        async def connect() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()

        asyncio.run(connect())
        assert connections.attempted() == before + 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert connections.attempted() == before + 3
    one, other = socket.socketpair()
    one.close()
    other.close()
    asyncio.run(asyncio.sleep(0))
    assert connections.attempted() == before + 3


def test_what_a_child_reports_is_added() -> None:
    before = connections.attempted()
    connections.add(3)
    assert connections.attempted() == before + 3
