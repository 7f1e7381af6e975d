"""What `escl doctor` finds, over the home screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import plain
from escl.tui.widgets.bars import KeyBar

if TYPE_CHECKING:
    from escl.doctor.finding import Diagnosis, Finding
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="escape,q,c,enter", action="dismiss(False)", name="key.back", shown="esc"),
    Key(keys="r", action="dismiss(True)", name="key.refresh"),
)
_SIGNS = {"ok": ("✓", "$success"), "warn": ("!", "bold $warning"), "fail": ("×", "bold $error")}


class MachineScreen(ModalScreen[bool]):
    """The findings, what needs attention first; ends with whether to look again."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, diagnosis: Diagnosis) -> None:
        super().__init__()
        self._words = words
        self._diagnosis = diagnosis

    def compose(self) -> ComposeResult:
        """Lay the findings out."""
        order = ("fail", "warn", "ok")
        findings = sorted(self._diagnosis.findings, key=lambda finding: order.index(finding.state))
        with VerticalScroll(classes="dialog wide"):
            yield Static(Content.styled(self._words("machine.title"), "bold $primary"), markup=False)
            for finding in findings:
                yield Static(_shown(finding), markup=False, classes="finding")
            yield KeyBar(self._words, _KEYS)


def _shown(finding: Finding) -> Content:
    sign, style = _SIGNS[finding.state]
    parts = [Content.styled(sign, style), Content(" "), plain(finding.check).stylize("bold"), Content("  ")]
    parts.append(plain(finding.said))
    if finding.to_do is not None:
        gap = " " * (cell_len(sign) + 1)
        parts += [Content(f"\n{gap}→ "), plain(finding.to_do).stylize("$primary")]
    return Content.assemble(*parts)
