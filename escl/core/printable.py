"""The one sanitizer between text that a model, card or file brought and a person's screen."""

from __future__ import annotations

import re

# C0 but newline and tab, DEL and C1, zero-width and bidirectional controls, byte-order mark, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal or hide text shown as U+FFFD.

    CRLF and lone CR become a newline. Stored text is never changed: this is for the edge where it is shown.
    """
    return _UNSAFE.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))
