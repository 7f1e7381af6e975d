"""A diagnosis for the terminal, in characters that the terminal can show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.printable import printable
from escl.doctor.finding import Diagnosis, State

_STYLES: dict[State, str] = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Print a line for each finding with what to do below it, and a sentence at the end."""

    def shown(text: str) -> str:
        return printable(text).encode(console.encoding, errors="replace").decode(console.encoding)

    table = Table.grid(padding=(0, 1, 0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in diagnosis.findings:
        said = Text(shown(finding.said))
        if finding.to_do is not None:
            said.append(shown(f"\n-> {finding.to_do}"), style="cyan")
        table.add_row(Text(finding.state, style=_STYLES[finding.state]), shown(finding.check), said)
    console.print(table)
    console.print(Text(f"\n{_conclusion(diagnosis)}"))


def _conclusion(diagnosis: Diagnosis) -> str:
    warned, failed = diagnosis.count("warn"), diagnosis.count("fail")
    warnings = f"{warned} warning{'' if warned == 1 else 's'}"
    if failed:
        return f"{failed} of {len(diagnosis.findings)} checks failed, {warnings}: see to what failed first."
    return f"escl {diagnosis.escl} runs here: nothing failed, {warnings}."
