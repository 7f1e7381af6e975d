"""The `escl` command: mounts the command groups and turns errors into messages and exit codes."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from escl import __version__
from escl.cli.arena import arena
from escl.cli.bench import bench
from escl.cli.bundle import bundle_app
from escl.cli.cards import cards_app
from escl.cli.compare import compare
from escl.cli.convert import convert
from escl.cli.crisis import crisis_app
from escl.cli.doctor import doctor
from escl.cli.judge import judge_app
from escl.cli.judge_panel import panel
from escl.cli.judge_people import calibrate, validate
from escl.cli.models import models_app
from escl.cli.output import progress_console
from escl.cli.plan import plan
from escl.cli.power import power
from escl.cli.protocol import protocol_app
from escl.cli.rate import rate
from escl.cli.report import report
from escl.cli.run import demo, run
from escl.cli.score import score
from escl.cli.tui import tui
from escl.cli.tune import tune
from escl.core.printable import printable
from escl.errors import EsclError, ExitCode

app = typer.Typer(
    name="escl",
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
        if sys.stdin.isatty() and sys.stdout.isatty():
            tui()
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


app.command()(demo)
app.command()(run)
app.command()(score)
app.command()(report)
app.command()(rate)
app.command()(compare)
app.command()(power)
app.command()(arena)
app.command()(plan)
app.command()(convert)
app.command()(bench)
app.command()(tune)
app.command()(tui)
app.command()(doctor)
app.add_typer(cards_app)
app.add_typer(bundle_app)
judge_app.command()(validate)
judge_app.command()(calibrate)
judge_app.command()(panel)
app.add_typer(judge_app)
app.add_typer(crisis_app)
app.add_typer(protocol_app)
app.add_typer(models_app)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except EsclError as error:
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
