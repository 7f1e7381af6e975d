"""The dialogues that are being spoken, each with what was said last or is being said now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual.content import Content

from escl.tui.plain import fitted, line

if TYPE_CHECKING:
    from escl.store.beside import Now
    from escl.store.watch import Said
    from escl.tui.strings import Strings

_CURSOR: Final = "▌"
_LINES: Final = 2
"""Of a text, where there is room."""
WIDE: Final = 100
"""From so many cells on there is."""
LINES_EACH: Final = _LINES + 1
"""That a dialogue then takes."""


def speaking_lines(words: Strings, said: Sequence[Said], now: Now | None, width: int) -> Content:
    """Return the dialogues, a line each, or three where there is room: who, and the end of the text."""
    written = {} if now is None else {speech.dialogue_id: speech.text for speech in now.speaking}
    is_wide = width >= WIDE
    name = 32 if is_wide else min(24, width // 3)
    shown: list[Content] = []
    for one in said:
        turn, speaker, text = one.position, one.speaker, one.text
        if (growing := written.get(one.dialogue_id)) is not None:
            turn, speaker, text = turn + 1, speaker.other, growing
        card = f"{one.card_id} ({one.repeat + 1})" if one.repeat else one.card_id
        who = fitted(line(f"{card} {one.supporter}"), name)
        turn_words = words("live.turn", n=turn, speaker=words(f"speaker.{speaker.value}"))
        if is_wide:
            shown.append(_wide(who, fitted(turn_words, name), text, growing is not None, width - name - 2))
        else:
            ending = _tail(text, growing is not None, width - name - 4, 1)[-1]
            shown.append(Content.assemble((who, "bold"), (f" {turn:>2} ", "$muted"), ending))
    return Content("\n\n" if is_wide else "\n").join(shown)


def _wide(who: str, turn: str, text: str, grows: bool, width: int) -> Content:
    first, second = _tail(text, grows, width, _LINES)
    return Content.assemble((who, "bold"), "  ", first, "\n", (turn, "$muted"), "  ", second)


def _tail(text: str, grows: bool, width: int, n: int) -> list[Content]:
    """Return `n` lines: the end of what grows, with a cursor; the beginning of what is said, muted."""
    if n == 1:
        return [_ending(f"{line(text)}{_CURSOR}", width) if grows else Content.styled(line(text, width), "$muted")]
    wrapped = [piece.plain for piece in Content(line(text) + (_CURSOR if grows else "")).wrap(width)]
    if grows:
        wrapped = wrapped[-n:]
    elif len(wrapped) > n:
        wrapped = [*wrapped[: n - 1], fitted(" ".join(wrapped[n - 1 : n + 1]), width)]
    wrapped += [""] * (n - len(wrapped))
    return [Content.styled(piece, "" if grows else "$muted") for piece in wrapped]


def _ending(text: str, width: int) -> Content:
    """Return the end of one line in at most `width` cells, with an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return Content(text)
    end = text[-width:]
    while cell_len(end) > width - 1:
        end = end[1:]
    return Content(f"…{end}")
