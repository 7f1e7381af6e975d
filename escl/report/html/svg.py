"""A picture as matplotlib writes it, made part of a page: the page's colours and fonts, and nothing that a strict
content policy would refuse."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Final

PAINT: Final = {"ink": "#000001", "muted": "#000002", "rule": "#000003"}
"""What is drawn in this colour is shown in the page's of that name."""

SERIES: Final = tuple(f"#00010{number}" for number in range(1, 7))
"""The same for the supporters: --s1 to --s6."""

_VARIABLES: Final = {
    **{colour: f"var(--{name})" for name, colour in PAINT.items()},
    **{colour: f"var(--s{number})" for number, colour in enumerate(SERIES, start=1)},
}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_LEFT_OUT: Final = {"metadata", "style"}
_KEPT: Final = {"d", "x", "y", "width", "height", "transform", "viewBox", "id"}
_NOT_KEPT: Final = {"font-family", "font"}


def embedded(svg: bytes, names: Mapping[str, str], *, prefix: str) -> str:
    """Return the picture as an element for a page of HTML, hidden from screen readers: the page says what it shows.

    Style attributes become attributes of their own, colours the page's variables, drawn keys the words for them.

    Args:
        svg: As matplotlib writes it.
        names: What stands in the picture in place of each key.
        prefix: Begins every id.
    """
    # What is parsed was written a moment ago by matplotlib and holds no text from outside.
    element = _tidy(ET.fromstring(svg), names, prefix)
    for size in ("width", "height"):
        del element.attrib[size]
    element.attrib |= {"class": "figure", "aria-hidden": "true", "focusable": "false"}
    return ET.tostring(element, encoding="unicode")


def _tidy(found: ET.Element, names: Mapping[str, str], prefix: str) -> ET.Element:
    tag = found.tag.removeprefix(_SVG)
    made = ET.Element(tag, dict(_attributes(found, prefix)))
    text = (found.text or "").strip()
    if text:
        made.text = names.get(text, text)
    made.extend(_tidy(child, names, prefix) for child in found if child.tag.removeprefix(_SVG) not in _LEFT_OUT)
    return made


def _attributes(found: ET.Element, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in found.attrib.items():
        if name == "style":
            yield from _declared(value)
        elif name == "id":
            yield name, f"{prefix}-{value}"
        elif name == _HREF:
            yield "href", value.replace("#", f"#{prefix}-")
        elif name == "clip-path":
            yield name, value.replace("#", f"#{prefix}-")
        elif name in _KEPT:
            yield name, " ".join(value.split())


def _declared(style: str) -> Iterator[tuple[str, str]]:
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = declaration.partition(": ")
        if name not in _NOT_KEPT:
            yield name, _VARIABLES.get(value, value)
