"""The one sanitizer between text that a model, card or file brought and a person's screen."""

from __future__ import annotations

import json
import re

_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"

# Each range either steers a terminal, reorders text, or is invisible and so can hide text from the reader.
_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # soft hyphen, joiners and fillers without a glyph
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"  # zero-width and bidirectional controls
    "\u2028\u2029"  # line and paragraph separators
    "\ufeff\ufff9-\ufffb"  # byte-order mark, interlinear annotation
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e0fff"  # tags and supplementary variation selectors
    "]"
    # The zero-width joiner is kept only where it joins emoji into one.
    f"|\u200d(?![{_EMOJI}])|(?<![{_EMOJI}])\u200d"
)


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal or hide text shown as U+FFFD.

    CRLF and lone CR become a newline. Stored text is never changed: this is for the edge where it is shown.
    """
    return _UNSAFE.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))


def printable_json(text: str) -> str:
    """Return JSON that says the same, with every such character inside its strings written as \\uXXXX (RFC 8259)."""
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)
