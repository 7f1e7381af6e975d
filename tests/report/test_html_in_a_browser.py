"""The page as a browser shows it: at every width nothing runs over, nothing is asked for, nothing complains."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from escl.core.card import CrisisKind
from escl.core.dimension import Language
from tests.chromium import PROGRAM, Chromium, chromium
from tests.report.test_html_page import PAYLOADS, everything, full, page_of, two_supporters
from tests.runs import card, rated

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed"),
]

PHONE, LAPTOP, A4 = 390, 1280, 794
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true })"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages to look at: of two supporters in both languages, of crisis cards, and one whose every text is an attack."""
    folder = tmp_path_factory.mktemp("pages")
    two = two_supporters(folder)
    levels = {"a-supporter-whose-name-has-no-place-to-break-" * 4: [3.0], "b" * 200: [1.0]}
    names = [card(f"c{n}", crisis=CrisisKind.SELF_HARM if n > 4 else None) for n in range(8)]
    long = rated(
        folder / "long.db", {who: {one.id: level for one in names} for who, level in levels.items()}, cards=names
    )
    hostile = full(folder / "hostile.db", lambda field: f"{field} {' '.join(PAYLOADS)}")
    made = {
        "english": page_of(two, choices=everything(two)),
        "chinese": page_of(two, choices=everything(two), language=Language.CHINESE),
        "long": page_of(long, choices=everything(long)),
        "hostile": page_of(hostile, choices=everything(hostile)),
    }
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["english", "chinese", "long", "hostile"])
@pytest.mark.parametrize("width", [PHONE, A4, LAPTOP])
def test_the_page_fits_its_width_and_asks_for_nothing(
    name: str, width: int, pages: dict[str, Path], browser: Chromium
) -> None:
    browser.size(width, 900)
    browser.open(pages[name])
    browser.value(OPEN_ALL)
    assert browser.value(_TOO_WIDE) == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requests == [pages[name].resolve().as_uri()]


def test_the_policy_is_in_force(pages: dict[str, Path], browser: Chromium) -> None:
    browser.size(LAPTOP, 900)
    browser.open(pages["english"])
    assert browser.value("getComputedStyle(document.body).maxWidth") is not None
    assert browser.value("getComputedStyle(document.querySelector('h1')).fontWeight") == "650"
    browser.value("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://example.org/x.png\">')")
    browser.value("document.body.insertAdjacentHTML('beforeend', '<p id=odd style=\"color: rgb(1, 2, 3)\">x</p>')")
    assert browser.value("getComputedStyle(document.getElementById('odd')).color") != "rgb(1, 2, 3)"
    assert len(browser.complaints) == 2


def test_text_stands_out_in_light_and_dark(pages: dict[str, Path], browser: Chromium) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, between every text and what is behind it."""
    for dark in (False, True):
        browser.size(LAPTOP, 900, dark=dark)
        browser.open(pages["english"])
        found = browser.value(_CONTRASTS)
        assert len(found) > 20
        assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


def test_the_dark_page_is_dark(pages: dict[str, Path], browser: Chromium) -> None:
    seen = []
    for dark in (False, True):
        browser.size(LAPTOP, 900, dark=dark)
        browser.open(pages["english"])
        seen.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    light, night = (sum(map(int, colour[4:-1].split(","))) for colour in seen)
    assert light > 3 * 200
    assert night < 3 * 60


def test_the_page_prints_on_a4(pages: dict[str, Path], browser: Chromium) -> None:
    browser.size(LAPTOP, 900)
    browser.open(pages["english"])
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    boxes = {tuple(map(float, box.split())) for box in _boxes(printed)}
    assert {(round(x1 - x0), round(y1 - y0)) for x0, y0, x1, y1 in boxes} == {(595, 842)}


def _boxes(printed: bytes) -> list[bytes]:
    found = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", printed, re.S):
        try:
            found += re.findall(rb"/MediaBox\s*\[([^\]]*)\]", zlib.decompress(stream))
        except zlib.error:
            continue
    return found


_TOO_WIDE = """[...document.querySelectorAll('main *, header *, footer *')]
  .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(element => element.closest('section')?.id + ' ' + element.tagName + '.' + element.getAttribute('class'))
  .slice(0, 9)"""

_CONTRASTS = """(() => {
  const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 };
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => { const [r, g, b] = parts(colour).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return getComputedStyle(at).backgroundColor;
    }
  };
  const found = {};
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const front = light(element instanceof SVGElement ? style.fill : style.color), back = light(behind(element));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const key = element.tagName + '.' + element.getAttribute('class') + ' ' + style.color;
    found[key] = Math.min(found[key] ?? 99, ratio);
  }
  return found;
})()"""
