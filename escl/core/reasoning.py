"""Tells what a model says from what it thinks aloud: `<think>...</think>` and the like."""

from __future__ import annotations

import re
from typing import Final

OPENINGS: Final = ("<think>", "<thinking>", "[THINK]")
"""How models begin to think aloud: DeepSeek R1, Qwen3 and most others; some of their kin; Mistral's."""
MARKERS: Final = (*OPENINGS, "</think>", "</thinking>", "[/THINK]")

_MARKER: Final = re.compile("|".join(map(re.escape, MARKERS)))


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return what was thought aloud, None when nothing was, and what was said.

    What stands before a closing marker is reasoning even when nothing opened it: some templates open it themselves.
    What stands after an opening marker is reasoning to the end when the reply was cut off there. Text without a marker
    is returned as it is.
    """
    said: list[str] = []
    thought: list[str] = []
    thinking, at = False, 0
    for marker in _MARKER.finditer(text):
        closes = marker[0] not in OPENINGS
        (thought if thinking or closes else said).append(text[at : marker.start()])
        thinking, at = not closes, marker.end()
    if at == 0:
        return None, text
    (thought if thinking else said).append(text[at:])
    aloud = [piece.strip() for piece in thought if piece.strip()]
    return "\n\n".join(aloud) or None, "".join(said).strip()
