"""The `escl` command: turns errors into messages and exit codes."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from escl import __version__
from escl.cli.commands import Commands
from escl.cli.tui import open_app, why_not
from escl.core.printable import printable
from escl.errors import EsclError, ExitCode

app = typer.Typer(
    name="escl",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Evaluate emotional-support chat models offline, on one laptop."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        if (runs := _runs_for_app(sys.argv[1:])) is not None:
            sys.exit(open_app(runs))
        app(prog_name="escl")
    except EsclError as error:
        from escl.cli.output import progress_console

        console = progress_console()
        console.print("error:", style="bold red", end=" ")
        console.print(printable(error.message), markup=False, soft_wrap=True)
        if error.hint:
            console.print(f"  hint: {printable(error.hint)}", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception:  # noqa: BLE001 - the last boundary: a bug is shown whole and ends with its own code
        traceback.print_exc()
        sys.stderr.write("\nThis is a bug in escl. Please report it with the lines above.\n")
        sys.exit(ExitCode.BUG)


def _runs_for_app(words: list[str]) -> list[Path] | None:
    """Return the runs that the app is to show; None where it is not the app that `words` and the terminal call for.

    The app is opened without the parser, whose own libraries take a third of the time until its first paint.
    """
    if why_not() is not None or any(word.startswith("-") for word in words):
        return None
    return [Path(word) for word in words[1:]] if words[:1] in ([], ["tui"]) else None
