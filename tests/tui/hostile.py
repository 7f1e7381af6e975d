"""What a model, card or file may say to harm the one who reads it, and whether a screen let any of it through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.segment import Segment

from escl.core.card import RoleCard
from escl.tui.app import EsclApp
from tests.runs import card, rated
from tests.tui.driving import speak

PAYLOADS = (
    # Control sequences of terminals: clear, title, clipboard, link, device strings, other screen, questions, reset.
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP+q\x1b\\",
    "\x1b[?1049l",
    "\x1b[6n",
    "\x1bc",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x90q\x9c",
    "\x1b_Gf=32;AAAA\x1b\\",
    "a\x1b",
    # Single control characters.
    "\x07",
    "\x08\x08\x08",
    "\x0e\x0f",
    "\x7f",
    "\x00",
    "a\rb",
    "a\x0bb\x0cc",
    # What reorders text or hides it.
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\u200b\u200b",
    "\u200d",
    "\ufeff",
    "\u2028",
    "\U000e0041",
    # Markup that acts or breaks.
    "[bold red]x[/]",
    "[@click=app.quit]quit[/]",
    "[@click='app.bell']x",
    "[link=http://x]x[/link]",
    "[/]",
    "[/bold]",
    "[[",
    "]",
    "[$primary]x",
    "[on red",
    "\\[x]",
    "{name} {0} %s %n",
    # What takes other room than it seems to, or very much.
    "雨" * 60,
    "\t\t\ttab",
    "😀👨‍👩‍👧‍👦🏳️‍🌈",
    "e" + "\u0301" * 200,
    "x" * 5000,
    "-" * 300 + "\n" * 50,
    "\u0e33" * 40 + "\uac00\u1100\u1161" * 20,
)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def hostile_run(path: Path, payloads: Iterable[str], *, said: Mapping[str, str] | None = None) -> Path:
    """Write a run in which supporters, cards, scorer, turns and failures are the payloads.

    Args:
        path: Of the run.
        payloads: One for each supporter and its card.
        said: What is said in a supporter's dialogue, where it is not the payload itself.
    """
    payloads = list(dict.fromkeys(payloads))
    cards: list[RoleCard] = [card(one, text=one, subcategory=one, source=one) for one in payloads]
    rated(path, {one: {one: [2.5]} for one in payloads}, cards=cards, scorer=payloads[0])
    speak(path, lambda dialogue: (said or {}).get(dialogue.supporter, dialogue.supporter), failing=True)
    return path


def assert_harmless(app: EsclApp) -> None:
    """Fail if what the app would write holds a control, an action, a link, or not exactly the terminal's width."""
    strips = app.screen._compositor.render_strips()
    for segment in (segment for strip in strips for segment in strip):
        assert isinstance(segment, Segment)
        assert not FORBIDDEN.search(segment.text), segment
        if segment.style is not None:
            assert segment.style.link is None
            assert "@click" not in segment.style.meta, segment
    for strip in strips:
        assert sum(segment.cell_length for segment in strip) == app.size.width, "".join(s.text for s in strip)
