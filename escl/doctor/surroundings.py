"""Checks of what is around the program: the terminal, and what the environment says about the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from escl.doctor.finding import Finding, ok, warn

MIN_COLUMNS: Final = 80
MIN_LINES: Final = 24
_TRUE: Final = {"1", "ON", "YES", "TRUE"}
"""What huggingface_hub takes for yes."""
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """Where results are shown.

    Attributes:
        colours: What rich calls it: "standard", "256", "truecolor"; None is none.
        no_color: Whether NO_COLOR is set.
    """

    is_terminal: bool
    columns: int
    lines: int
    encoding: str
    colours: str | None
    no_color: bool


def terminal_finding(terminal: Terminal) -> Finding:
    """Return whether tables and Chinese text can be shown."""
    if terminal.encoding.lower().replace("-", "") != "utf8":
        said = f"encoding {terminal.encoding}: Chinese text and tables cannot be shown whole"
        return warn("terminal", said, to_do="use a UTF-8 locale, or set PYTHONUTF8=1")
    if not terminal.is_terminal:
        return ok("terminal", "none; output is plain text in UTF-8")
    size = f"{terminal.columns} x {terminal.lines}"
    if terminal.columns < MIN_COLUMNS or terminal.lines < MIN_LINES:
        to_do = f"make it {MIN_COLUMNS} x {MIN_LINES} or larger: tables fold in less"
        return warn("terminal", f"{size}, UTF-8", to_do=to_do)
    colours = "no colours, because NO_COLOR is set" if terminal.no_color else f"{terminal.colours or 'no'} colours"
    return ok("terminal", f"{size}, UTF-8, {colours}")


def offline_finding(environment: Mapping[str, str]) -> Finding:
    """Return what would open a connection. None is opened to find out, and no token is shown."""
    notes = []
    if (
        environment.get("HF_HUB_OFFLINE", "").upper() in _TRUE
        or environment.get("TRANSFORMERS_OFFLINE", "").upper() in _TRUE
    ):
        notes.append("HF_HUB_OFFLINE is set: no model is downloaded")
    else:
        notes.append(
            "only `escl models pull`, `escl bundle wheels` and endpoints that you name connect; HF_HUB_OFFLINE=1 "
            "forbids downloads of models"
        )
    if environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN"):
        notes.append("a Hugging Face token is set")
    endpoint = environment.get("HF_ENDPOINT")
    if endpoint:
        scheme, host = _parts(endpoint)
        notes.append(f"downloads come from {scheme}://{host or '?'}")
        if scheme != "https" and host not in _LOOPBACK:
            to_do = "use an https:// address, or unset HF_ENDPOINT"
            return warn("offline", f"{'; '.join(notes)}, which anyone on the way can read and change", to_do=to_do)
    return ok("offline", "; ".join(notes))


def _parts(url: str) -> tuple[str, str | None]:
    """Return scheme and host of an address; what may stand before the host is a secret."""
    try:
        found = urlsplit(url)
        return found.scheme, found.hostname
    except ValueError:
        return "", None
