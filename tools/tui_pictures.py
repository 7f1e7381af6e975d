"""Draw the pictures of docs/tui.md: `python -m tools.tui_pictures [NAME...]`, all of them where none is named.

Runs the demo models for what the pictures show. Needs Chromium and the fonts DejaVu Sans Mono and Noto Sans CJK.
"""

from __future__ import annotations

import asyncio
import html
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.cells import cell_len

from escl.doctor.finding import Diagnosis, ok, warn
from escl.store.database import Database
from escl.tui.app import EsclApp
from tests.chromium import Chromium, chromium
from tests.tui.driving import type_keys, until
from tests.tui.every_screen import rest

DOCS = Path(__file__).parents[1] / "docs" / "tui"
MOST_BYTES = 120_000
COLOURS = 64
CELL_WIDTH = 12.2
"""Of the exporter's pictures, in their own units."""
SIZE = (100, 30)
MACHINE = Diagnosis(
    escl="0",
    findings=(
        ok("Python", "3.12, and all libraries are there"),
        ok("llama.cpp", "loads, and computes on the processor"),
        ok("processor", "8 cores, AVX2"),
        warn("memory", "11 GiB free: ESC-RANK fits alone", to_do="close programs, or let escl take turns"),
        ok("disk", "212 GiB free"),
        ok("terminal", "100 x 30, UTF-8, all colours"),
    ),
)


UNTIL = "until "


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: of which run, what is pressed from its Live view on (or from Home), and what is seen then.

    A key that begins with `UNTIL` waits for words, and one that is a sentence is typed.
    """

    name: str
    seen: str
    keys: tuple[str, ...] = ()
    run: str | None = "demo.db"
    theme: str = "dark"
    language: str = "en"
    size: tuple[int, int] = SIZE


PICTURES = (
    Picture(name="first", run=None, seen="Press d for the demo"),
    Picture(name="live", run="long-night.db", seen="● running"),
    Picture(name="home", run=None, seen="stopped"),
    Picture(
        name="new-run",
        run=None,
        keys=(
            "n",
            f"{UNTIL}16 of 84",
            "enter",
            "space",
            "j",
            "space",
            "escape",
            "j",
            "j",
            "j",
            "l",
            f"{UNTIL}16 of 42",
        ),
        seen="about",
        size=(130, 36),
    ),
    Picture(name="machine", run=None, keys=("c",), seen="close programs"),
    Picture(name="scores", keys=("2",), seen="Fluency", size=(100, 24)),
    Picture(name="scores-light", keys=("2",), seen="Fluency", theme="light", size=(100, 24)),
    Picture(name="forest", keys=("2", "v"), seen="demo/curt", size=(100, 24)),
    Picture(name="radar", keys=("2", "v", "v"), seen="demo/curt", size=(100, 30)),
    Picture(name="side-by-side", keys=("3", "v"), seen="demo/curt", size=(130, 36)),
    Picture(
        name="play-chat",
        run=None,
        keys=(
            *("p", "j", "enter", f"{UNTIL}your turn", "I am glad that you tell me. Since when do they worry you?"),
            *("enter", f"{UNTIL}reply 2 of 5", "I see. What is the worst of it, when you lie awake?"),
            *("enter", f"{UNTIL}reply 3 of 5", "I would be scared too. Who knows how much you carry?"),
        ),
        seen="Who knows",
        size=(110, 32),
    ),
    Picture(name="compare", keys=("4",), seen="demo/curt", size=(120, 40)),
    Picture(name="arena", keys=("5",), seen="demo/warm", size=(120, 34)),
    Picture(name="rating", keys=("6", "a", "n", "n", "enter", "enter"), seen="0", size=(110, 32)),
    Picture(name="models", run=None, keys=("m", "j", "j", "j", "j", "j"), seen="esc-rank", size=(110, 34)),
    Picture(name="dialogues", keys=("3",), seen="1 of", size=(130, 36)),
    Picture(name="dialogues-small", keys=("3",), seen="1 of", size=(80, 24), theme="light"),
    Picture(name="help", keys=("3", "question_mark"), seen="On this screen", size=(100, 36)),
    Picture(name="chinese", keys=("2",), seen="流畅性", language="zh", size=(100, 24)),
    Picture(name="high-contrast", keys=("2",), seen="Fluency", theme="high-contrast", size=(80, 24)),
)


def main() -> None:
    """Write docs/tui/*.png."""
    wanted = [one for one in PICTURES if not sys.argv[1:] or one.name in sys.argv[1:]]
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        empty, folder = Path(temporary) / "empty", Path(temporary) / "runs"
        empty.mkdir()
        folder.mkdir()
        os.environ["ESCL_HOME"] = str(Path(temporary) / "home")
        for picture in (one for one in wanted if one.name == "first"):
            _draw(browser, picture, empty)
        _escl(folder, "demo", "--limit", "12", "--out", "demo.db")
        _escl(
            folder,
            "run",
            "demo/warm",
            "--seed",
            "1",
            "--lang",
            "en",
            "--limit",
            "6",
            "--no-tune",
            "--out",
            "baseline.db",
        )
        _escl(folder, "arena", "demo.db", "--judge", "demo/judge")
        with _long_night(folder) if any(one.name in ("live", "home") for one in wanted) else nullcontext():
            for picture in (one for one in wanted if one.run == "long-night.db"):
                _draw(browser, picture, folder)
        for picture in (one for one in wanted if one.name != "first" and one.run != "long-night.db"):
            _draw(browser, picture, folder)


def _draw(browser: Chromium, picture: Picture, folder: Path) -> None:
    os.chdir(folder)
    svg = asyncio.run(_shown(picture, folder))
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    # Where this checkout lies is nobody's business.
    svg = svg.replace(str(DOCS.parents[1]), "/home/you/escl")
    # No window of any one system, and wide characters at their own width.
    svg = re.sub(r"<circle .*?/>", "", svg)
    svg = re.sub(r'textLength="[\d.]+"([^>]*)>([^<]*)<', _as_wide_as_in_cells, svg)
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    page = folder.parent / "page.html"
    page.write_text(f"<style>body{{margin:0}}svg{{display:block}}</style>{svg}", encoding="utf-8")
    browser.size(round(float(found[1])), round(float(found[2])))
    browser.open(page)
    path = DOCS / f"{picture.name}.png"
    shot = Image.open(io.BytesIO(browser.picture())).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"
    print(f"{path}: {path.stat().st_size:,} bytes")


def _as_wide_as_in_cells(found: re.Match[str]) -> str:
    """Return a piece of text that is as wide as a terminal's cells make it; the exporter counts characters."""
    return f'textLength="{CELL_WIDTH * cell_len(html.unescape(found[2])):.1f}"{found[1]}>{found[2]}<'


async def _shown(picture: Picture, folder: Path) -> str:
    app = EsclApp(
        (folder / picture.run,) if picture.run is not None else (),
        language="zh" if picture.language == "zh" else "en",
        theme=f"escl-{picture.theme}",
        diagnosis=MACHINE,
    )
    async with app.run_test(size=picture.size) as pilot:
        if picture.run is not None:
            await pilot.pause(1)
        else:
            await rest(app, pilot)
        for key in picture.keys:
            if key.startswith(UNTIL):
                await until(app, pilot, key.removeprefix(UNTIL))
                continue
            await type_keys(pilot, *(key if key.startswith("I ") else (key,)))
            await rest(app, pilot)
        await until(app, pilot, picture.seen)
        # A run that goes on is shown once there is something to see of its speed.
        await pilot.pause(12 if picture.run == "long-night.db" else 0.5)
        return app.export_screenshot(title="escl")


@contextmanager
def _long_night(folder: Path) -> Iterator[None]:
    """Let a long run be under way meanwhile, and stop it then."""
    words = "run demo/warm demo/curt --limit 12 --repeats 4 --no-tune --parallel 4 --out long-night.db"
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words.split()],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    try:
        while not (folder / "long-night.db").exists() or _turns(folder / "long-night.db") < 40:
            assert process.poll() is None, words
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _turns(path: Path) -> int:
    with Database.reader(path) as database:
        return int(database.rows("SELECT count(*) AS n FROM turn")[0]["n"])


_PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"


def _escl(folder: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


if __name__ == "__main__":
    main()
