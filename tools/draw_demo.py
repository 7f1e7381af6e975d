"""Draws docs/demo.svg, the README's picture, from a run of the demo.

    escl demo --lang en --out demo.db && python tools/draw_demo.py demo.db docs/demo.svg

The picture is what `escl demo` printed for that run, so it can never show what the program does not.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from escl.cli.run import excerpts
from escl.evaluation.results import results_of
from escl.report.terminal import dialogue_panel, print_results
from escl.store.database import Database
from escl.store.run import RunStore

WIDTH = 96


def draw(run: Path, picture: Path) -> None:
    """Write the picture of a run's end."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    with Database.reader(run) as database:
        store = RunStore.read(database)
        console.print("$ escl demo --lang en", style="bold")
        for title, turns in excerpts(store):
            console.print(dialogue_panel(turns, title=title))
        print_results(console, results_of(store))
    # Rich's own format fetches a font; a README's picture should fetch nothing.
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(picture), title="escl", theme=MONOKAI, code_format=form)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
