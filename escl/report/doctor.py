"""A diagnosis for the terminal, in characters that the terminal can show."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.core.printable import printable
from escl.doctor.finding import Diagnosis, State

_STYLES: dict[State, str] = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """Print each finding with a line of what to do below it, and a sentence at the end."""

    def shown(text: str) -> str:
        return printable(text).encode(console.encoding, errors="replace").decode(console.encoding)

    state_width = max(map(len, _STYLES))
    check_width = max((cell_len(shown(finding.check)) for finding in diagnosis.findings), default=0)
    for finding in diagnosis.findings:
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=state_width)
        row.add_column(width=check_width, no_wrap=True, style="bold")
        row.add_column(overflow="fold")
        row.add_row(Text(finding.state, style=_STYLES[finding.state]), shown(finding.check), Text(shown(finding.said)))
        console.print(row)
        if finding.to_do is not None:
            # The terminal breaks the line, if anybody: what is copied from it is one command.
            to_do = shown(f"{' ' * (state_width + 1)}-> {finding.to_do}")
            console.print(Text(to_do, style="cyan"), soft_wrap=True)
    console.print(Text(f"\n{_conclusion(diagnosis)}"))


def _conclusion(diagnosis: Diagnosis) -> str:
    warned, failed = diagnosis.count("warn"), diagnosis.count("fail")
    warnings = f"{warned} warning{'' if warned == 1 else 's'}"
    if failed:
        return f"{failed} of {len(diagnosis.findings)} checks failed, {warnings}: see to what failed first."
    return f"escl {diagnosis.escl} runs here: nothing failed, {warnings}."
