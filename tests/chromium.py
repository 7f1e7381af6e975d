"""A headless Chromium told what to do over a pipe: opens pages, says what happened on them, takes pictures of them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WAIT_S = 60.0
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One browser with one page. Speaks the DevTools protocol: JSON messages that end in NUL, by file descriptors."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._pending = b""
        self._last_id = 0
        self.events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def size(self, width: int, height: int, *, dark: bool = False, media: str = "", scale: float = 1) -> None:
        """Make the page so wide and high, in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, page: Path) -> None:
        """Load a file and wait until it is there."""
        self.events.clear()
        self._call("Page.navigate", url=page.resolve().as_uri())
        deadline = time.monotonic() + WAIT_S
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive(deadline)

    def value(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """Return what an expression is on the page."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, *, at: float = 0, height: int | None = None) -> bytes:
        """Return what is seen as PNG; with a height, so much of the page from `at` on."""
        clip = {}
        if height is not None:
            width = self.value("window.innerWidth")
            clip = {"clip": {"x": 0, "y": at, "width": width, "height": height, "scale": 1}}
        found = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=bool(clip), **clip)
        return base64.b64decode(found["data"])

    def pdf(self) -> bytes:
        """Return the page as it prints, on the paper that it asks for."""
        return base64.b64decode(self._call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])

    @property
    def complaints(self) -> list[str]:
        """What the console and the log said since the page was opened."""
        said = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        return [json.dumps(event["params"]) for event in self.events if event["method"] in said]

    @property
    def requests(self) -> list[str]:
        """The addresses asked for since the page was opened, its own included."""
        return [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, object] = {"id": self._last_id, "method": method, "params": params}
        if getattr(self, "_session", None) is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + WAIT_S
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._from, 1 << 20) if ready else b""
            assert part, "the browser says nothing more"
            self._pending += part
        text, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message


@contextlib.contextmanager
def chromium() -> Iterator[Chromium]:
    """Start a browser that reaches no network, and end it with everything that it started."""
    assert PROGRAM is not None
    read_by_browser, to_browser = os.pipe()
    from_browser, written_by_browser = os.pipe()
    with tempfile.TemporaryDirectory(prefix="escl-chromium-", ignore_cleanup_errors=True) as profile:
        # The browser takes orders on descriptor 3 and answers on 4; above 9 ours are in nobody's way.
        orders, answers = (os.dup2(fd, fd + 100) for fd in (read_by_browser, written_by_browser))
        options = "--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --remote-debugging-pipe"
        quiet = "--disable-background-networking --host-resolver-rules='MAP * ~NOTFOUND'"
        command = f"exec '{PROGRAM}' {options} {quiet} --user-data-dir='{profile}' 3<&{orders} 4>&{answers}"
        process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(orders, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for fd in (read_by_browser, written_by_browser, orders, answers):
            os.close(fd)
        try:
            yield Chromium(to_browser, from_browser)
        finally:
            os.close(to_browser)
            os.close(from_browser)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(WAIT_S)
