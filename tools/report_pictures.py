"""Draw the pictures of docs/report.md: `python -m tools.report_pictures [RUN]`.

Without a run it makes one with the demo models. Needs Chromium, poppler's pdftoppm, and a quiet font such as Inter.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.chromium import Chromium, chromium

DOCS = Path(__file__).parents[1] / "docs"
MOST_BYTES = 200_000


def main() -> None:
    """Write docs/report-*.png."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "demo.db"
        if len(sys.argv) == 1:
            _escl("demo", "--limit", "8", "--out", str(run))
        pages = {language: Path(folder) / f"{language}.html" for language in ("en", "zh")}
        for language, page in pages.items():
            _escl("report", str(run), "--html", str(page), "--report-lang", language)
        with chromium() as browser:
            _draw(browser, pages)


def _draw(browser: Chromium, pages: dict[str, Path]) -> None:
    browser.size(1280, 1000)
    browser.open(pages["en"])
    _save("report-light", browser.picture())
    browser.size(1280, 1000, dark=True)
    browser.open(pages["en"])
    _save("report-dark", browser.picture(at=_top(browser, "figures"), height=1000))
    browser.size(390, 844, scale=2)
    browser.open(pages["zh"])
    _save("report-phone", browser.picture())
    browser.size(1280, 1000)
    browser.open(pages["en"])
    browser.value("document.querySelector('details.card').open = true")
    _save("report-dialogue", browser.picture(at=_top(browser, "transcripts"), height=1000))
    (pages["en"].parent / "page.pdf").write_bytes(browser.pdf())
    _save("report-print", _first_sheet(pages["en"].parent / "page.pdf"))


def _first_sheet(pdf: Path) -> bytes:
    """Return the first sheet as PNG, drawn by poppler."""
    done = subprocess.run(["pdftoppm", "-r", "96", "-png", "-singlefile", str(pdf)], check=True, stdout=subprocess.PIPE)
    return done.stdout


def _escl(*words: str) -> None:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", program, *words], check=True, stdout=subprocess.DEVNULL)


def _top(browser: Chromium, section: str) -> float:
    return float(browser.value(f"document.getElementById('{section}').getBoundingClientRect().top + scrollY"))


def _save(name: str, picture: bytes) -> None:
    path = DOCS / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
