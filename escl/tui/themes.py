"""The app's three looks. Colour only repeats what a word, a sign or a place says already."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme


def _scrollbar(thumb: str, track: str) -> dict[str, str]:
    """Return a scroll bar's colours, which stay the same under the pointer."""
    states = ("", "-hover", "-active")
    thumbs = {f"scrollbar{state}": thumb for state in states}
    return {**thumbs, **{f"scrollbar-background{state}": track for state in states}, "scrollbar-corner-color": track}


DARK: Final = Theme(
    name="escl-dark",
    primary="#8ab4d8",
    secondary="#d8a48a",
    accent="#8ab4d8",
    foreground="#d6dbe1",
    background="#14181d",
    surface="#1a1f26",
    panel="#242b34",
    success="#8fbf9a",
    warning="#e0c083",
    error="#e58f8f",
    dark=True,
    variables={"muted": "#8b95a1", **_scrollbar("#46515e", "#1a1f26")},
)
LIGHT: Final = Theme(
    name="escl-light",
    primary="#1f5f8f",
    secondary="#8f4a1f",
    accent="#1f5f8f",
    foreground="#22272d",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e3db",
    success="#2f6b3f",
    warning="#7a5600",
    error="#a02a2a",
    dark=False,
    variables={"muted": "#5c626a", **_scrollbar("#b5b1a6", "#f0ede6")},
)
CONTRAST: Final = Theme(
    name="escl-high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#444444",
    success="#00ff00",
    warning="#ffff00",
    error="#ff8080",
    dark=True,
    variables={"muted": "#ffffff", **_scrollbar("#ffffff", "#444444")},
)
THEMES: Final = (DARK, LIGHT, CONTRAST)
