"""`escl tui`: the terminal app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from escl.errors import UsageError


def tui(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUN]...", help="Runs to list; one is opened.")] = None,
) -> None:
    """Start a run, watch it, read its dialogues, see who is better. A run that is watched goes on without you.

    Lists the runs of this folder and those that are named. `?` shows the keys.

    Example: escl tui my-model.db
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("this is no terminal", hint="`escl report RUN` prints the results of a run anywhere")
    from escl.tui.app import EsclApp

    app = EsclApp(tuple(runs or ()))
    app.run()
    raise typer.Exit(app.return_code or 0)
