"""`escl tui`: the terminal app."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
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
    raise typer.Exit(open_app(runs or []))


def open_app(runs: Iterable[Path]) -> int:
    """Run the app with these runs until it is left, and return its exit code."""
    # What is imported stays: looking it through for garbage again and again would hold up the first paint and the keys.
    gc.disable()
    from escl.tui.app import EsclApp

    app = EsclApp(tuple(runs))
    gc.freeze()
    gc.enable()
    app.run()
    return app.return_code or 0
