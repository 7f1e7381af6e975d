"""`escl tui`: the terminal app."""

from __future__ import annotations

import gc
import os
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
    if (why := why_not()) is not None:
        raise UsageError(why, hint="`escl report RUN` prints the results of a run anywhere")
    raise typer.Exit(open_app(runs or []))


def why_not() -> str | None:
    """Return why the app cannot be shown here; None where it can."""
    # What is typed comes from the first, and what is painted goes to the last.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return "this is no terminal"
    if os.environ.get("TERM") == "dumb":
        return "this terminal calls itself dumb (TERM=dumb) and cannot show the app"
    return None


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
