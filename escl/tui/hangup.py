"""A lost connection, or a request to end, leaves the terminal as it was found. The run that was watched goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from escl.errors import ExitCode

if TYPE_CHECKING:
    from textual.app import App

_PATIENCE_S: Final = 3.0


def leave_when_told(app: App[None]) -> None:
    """Let the signals of a closed terminal and of the system's own `kill` end `app`. To be called in its loop."""
    loop = asyncio.get_running_loop()
    for name in ("SIGHUP", "SIGTERM"):
        # Windows has no SIGHUP.
        if (number := getattr(signal, name, None)) is not None:
            try:
                loop.add_signal_handler(number, _leave, app)
            except NotImplementedError:
                return


def _leave(app: App[None]) -> None:
    # What is written to a terminal that is gone may never be taken.
    timer = threading.Timer(_PATIENCE_S, os._exit, (ExitCode.INTERRUPTED,))
    timer.daemon = True
    timer.start()
    app.exit(return_code=ExitCode.INTERRUPTED)
