"""Write the tables of keys in docs/tui.md from the screens themselves: `python -m tools.tui_keys`."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import escl.tui.screens
from escl.tui.keys import EVERYWHERE, IN_A_RUN, Key
from escl.tui.screens.help import written
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.strings import Strings

PAGE = Path(__file__).parents[1] / "docs" / "tui.md"
_TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def screens() -> dict[str, tuple[Key, ...]]:
    """Return the keys of every screen with a bar, by its class's name, and those of all of them."""
    found: dict[str, tuple[Key, ...]] = {"EVERYWHERE": EVERYWHERE, "IN_A_RUN": IN_A_RUN}
    for module in walk_packages(escl.tui.screens.__path__, "escl.tui.screens."):
        for one in vars(import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, EsclScreen) and one.KEYS and one.__module__ == module.name:
                found[one.__name__] = one.KEYS
    return found


def filled_in(page: str) -> str:
    """Return the page with the tables that it names as the screens have them now."""
    known, words = screens(), Strings("en")

    def table(found: re.Match[str]) -> str:
        rows = [f"| `{written(key)}` | {words(key.name)} |" for key in known[found[2]]]
        return "\n".join([found[1] + "| key | what it does |", "|---|---|", *rows, found[3]])

    return _TABLE.sub(table, page)


if __name__ == "__main__":
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit()
