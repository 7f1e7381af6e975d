"""`python -m benchmarks.app`: how soon the app's first paint is there, and how soon a key is answered.

The real program in a pseudo-terminal, timed from outside: from the first line of Python to the first screen, beside the
smallest app that Textual can show; and from a key to what it paints, in a run of 10,000 dialogues, with the machine at
rest and while a run with two engines takes its processors. Prints the tables; `--results` saves them, too.
"""

from __future__ import annotations

import argparse
import math
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.__main__ import save
from escl.bench.machine import machine_facts
from escl.bench.result import BenchResult, Row, Table, shorter
from escl.memory.devices import probe_hardware
from escl.report.bench import print_table
from escl.store.database import Database
from tests.runs import rated
from tests.tui.terminal import ROOT, Terminal

SIZE: Final = (160, 48)
STARTED: Final = b"Python has started"
BEGIN: Final = f"import os, sys; os.write(2, {STARTED!r}); sys.argv[0] = 'escl'; "
ESCL: Final = BEGIN + "from escl.cli.main import main; main()"
SMALLEST: Final = BEGIN + (
    "from textual.app import App; from textual.widgets import Static\n"
    "class Smallest(App):\n"
    "    def compose(self): yield Static('Runs')\n"
    "Smallest().run()"
)
TURN: Final = "I lie awake before every night shift, and then I am too tired to be kind to anybody. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A key that is pressed again and again.

    Attributes:
        paints: What must be seen after the n-th time, from 1; None is anything.
        shown: What that is called.
    """

    what: str
    key: str
    paints: Callable[[int], str] | None = None
    shown: str = ""
    times: int = 20


def main() -> int:
    """Measure, print, and save where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=15, help="first paints of each kind")
    parser.add_argument("--dialogues", type=int, default=10_000, help="in the run that is browsed")
    parser.add_argument("--results", type=Path, help="folder to save the tables in, too")
    asked = parser.parse_args()
    began, started = time.perf_counter(), datetime.now(UTC)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="escl-bench-app-") as temporary:
        folder = Path(temporary)
        tables = [_first_paint(folder, asked.starts)]
        print_table(console, tables[0])
        run = long_run(folder / "long.db", asked.dialogues)
        for engines in (False, True):
            tables.append(_keys(run, asked.dialogues, engines=engines))
            print_table(console, tables[-1])
    if asked.results is not None:
        result = BenchResult(
            started_utc=started.isoformat(timespec="seconds"),
            command=shlex.join(["python", "-m", "benchmarks.app", *sys.argv[1:]]),
            machine=machine_facts(probe_hardware()),
            models=(),
            tables=tuple(tables),
            elapsed_s=time.perf_counter() - began,
        )
        console.print(f"saved {save(result, asked.results, about='app')}", soft_wrap=True)
    return 0


def long_run(path: Path, n_dialogues: int) -> Path:
    """Write a finished, scored run of two supporters and so many dialogues to `path`, and return the path."""
    cards = [f"card-{n:05}" for n in range(n_dialogues // 2)]
    labels = {name: {one: [1.0 + at + n % 7 / 4] for n, one in enumerate(cards)} for at, name in enumerate("ab")}
    rated(path, labels)
    with Database.writer(path) as database, database.transaction() as connection:
        rows = [
            (dialogue, position, "seeker" if position % 2 else "supporter", TURN * 4, "2026-01-01T00:00:00+00:00")
            for dialogue in range(1, n_dialogues + 1)
            for position in range(11)
        ]
        connection.executemany(
            "INSERT INTO turn (dialogue_id, position, speaker, text, said_utc) VALUES (?, ?, ?, ?, ?)", rows
        )
    return path


def _first_paint(folder: Path, starts: int) -> Table:
    empty = folder / "empty"
    empty.mkdir()
    began = time.perf_counter()
    programs = {"escl": (ESCL, ()), "escl tui": (ESCL, ("tui",)), "smallest": (SMALLEST, ())}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    # The first of each finds nothing in the system's cache and is not counted; kinds take turns, so that what else the
    # machine does is shared.
    for n in range(starts + 1):
        for name, (program, words) in programs.items():
            taken = _painted_after(empty, program, words)
            if n:
                seconds[name].append(taken)
    rows = []
    for name in ("escl", "escl tui"):
        pairs = list(zip(seconds[name], seconds["smallest"], strict=True))
        rows += [shorter(name, "s", pairs), Row(what=f"{name}, slowest", unit="s", escl=max(seconds[name]))]
    return Table(
        key="first-paint",
        title="From the first line of Python to the first screen",
        other="Textual with one line",
        rows=tuple(rows),
        facts={"columns": 80, "lines": 24, "runs in the folder": 0},
        notes=("Goal: less than 0.4 s.",),
        elapsed_s=time.perf_counter() - began,
    )


def _painted_after(folder: Path, program: str, words: tuple[str, ...]) -> float:
    terminal = Terminal(folder, *words, program=("-c", program))
    written, started = b"", math.nan
    try:
        while b"Runs" not in written:
            written += terminal.read(10)
            if math.isnan(started) and STARTED in written:
                started = time.perf_counter()
        return time.perf_counter() - started
    finally:
        terminal.process.kill()
        terminal.close()


def _keys(run: Path, n: int, *, engines: bool) -> Table:
    began = time.perf_counter()
    rows: list[Row] = []
    with _two_engines(run.parent) if engines else _nothing():
        for what, opens, words, strokes in _places(n):
            terminal = Terminal(run.parent, "tui", run.name, size=SIZE)
            try:
                terminal.until("The run is finished", within_s=60)
                terminal.press(opens)
                terminal.until(words, within_s=60)
                for stroke in strokes:
                    rows += _rows(what, stroke, *_answered(terminal, stroke))
            finally:
                terminal.process.kill()
                terminal.close()
    return Table(
        key="keys-busy" if engines else "keys",
        title="From a key to what it paints, " + ("while two engines run" if engines else "the machine at rest"),
        other=None,
        rows=tuple(rows),
        facts={"dialogues": n, "columns": SIZE[0], "lines": SIZE[1]},
        notes=("Goal: answered in less than 50 ms.",),
        elapsed_s=time.perf_counter() - began,
    )


def _places(n: int) -> Iterator[tuple[str, str, str, tuple[Stroke, ...]]]:
    """Yield views: their name, the keys that open them, what is seen then, and the keys to press."""
    of, of_half = f" of {n:,}", f" of {n // 2:,}"
    yield (
        "dialogues",
        "3",
        "1" + of,
        (
            Stroke(what="next", key="n", paints=lambda at: f"{at + 1:,}{of}", shown="its text"),
            Stroke(what="a page down", key="\x04"),
            Stroke(what="to the end", key="G", times=1),
            Stroke(what="other supporter", key="s", paints=lambda at: of_half, shown="its list", times=1),
            Stroke(what="other order", key="o", paints=lambda at: of_half, shown="its list", times=6),
        ),
    )
    yield (
        "scores",
        "2",
        "Fluency",
        (Stroke(what="next column", key="l", times=6), Stroke(what="sort", key="s", times=1)),
    )
    yield "live", "1", "The run is finished", (Stroke(what="help", key="?", times=1),)


def _answered(terminal: Terminal, stroke: Stroke) -> tuple[list[float], list[float]]:
    """Return the seconds from each press to the first thing it paints, and to what it must paint."""
    first, whole = [], []
    for at in range(1, stroke.times + 1):
        while terminal.read(0.15):
            pass
        wanted = b"" if stroke.paints is None else stroke.paints(at).encode()
        pressed = time.perf_counter()
        terminal.press(stroke.key)
        written = terminal.read(10)
        first.append(time.perf_counter() - pressed)
        while wanted not in written:
            written += terminal.read(10)
            assert time.perf_counter() - pressed < 30, f"{stroke.what} does not paint {wanted!r}"
        assert written, f"{stroke.what} paints nothing"
        whole.append(time.perf_counter() - pressed)
    return first, whole


def _rows(what: str, stroke: Stroke, first: list[float], whole: list[float]) -> list[Row]:
    kinds = {"": first} if stroke.paints is None else {", answered": first, f", {stroke.shown} there": whole}
    rows = []
    for kind, seconds in kinds.items():
        name = f"{what}: {stroke.what}{kind}"
        rows.append(Row(what=name, unit="ms", escl=statistics.median(seconds) * 1000, repeats=len(seconds)))
        if len(seconds) > 1:
            rows.append(Row(what=f"{name}, slowest", unit="ms", escl=max(seconds) * 1000))
    return rows


@contextmanager
def _two_engines(folder: Path) -> Iterator[None]:
    """Let a run of the demo's models, seeker and supporter both in memory, take all processors meanwhile."""
    out, log = folder / "busy.db", folder / "busy.log"
    words = ["run", "demo/warm", "--repeats", "200", "--no-tune", "--parallel", "16", "--out", str(out)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "escl", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        while not out.exists() or not _turns(out):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        before = _turns(out)
        yield
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert _turns(out) > before, "the run did not go on meanwhile"
    finally:
        process.terminate()
        process.wait(60)


def _turns(path: Path) -> int:
    with Database.reader(path) as database:
        return int(database.rows("SELECT count(*) AS n FROM turn WHERE position > 0")[0]["n"])


@contextmanager
def _nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    sys.exit(main())
