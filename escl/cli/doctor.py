"""`escl doctor`: is this machine ready?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from escl.cli.options import AsJson

if TYPE_CHECKING:
    from rich.console import Console

    from escl.doctor.surroundings import Terminal


def doctor(*, as_json: AsJson = False) -> None:
    """Look at everything that escl needs, and say what is missing and what to do.

    Reads headers and small files, loads no model and opens no connection. Ends with 0 when nothing failed, whatever
    the warnings, and otherwise with the code of the first failure: 2 Python, 3 a file on the shelf or a protocol,
    4 llama.cpp or its packages, 5 disk or SQLite.

    Example: escl doctor --json
    """
    from escl.cli.output import print_json, results_console
    from escl.doctor.diagnose import diagnose
    from escl.report.doctor import print_diagnosis

    console = results_console()
    diagnosis = diagnose(_terminal(console))
    if as_json:
        print_json(diagnosis)
    else:
        print_diagnosis(console, diagnosis)
    raise typer.Exit(diagnosis.exit_code)


def _terminal(console: Console) -> Terminal:
    from escl.doctor.surroundings import Terminal

    return Terminal(
        is_terminal=console.is_terminal,
        columns=console.width,
        lines=console.height,
        encoding=console.encoding,
        colours=console.color_system,
        no_color=bool(os.environ.get("NO_COLOR")),
    )
