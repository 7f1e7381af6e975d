"""docs/tui.md tells of every screen, with the keys that it has now and with pictures that are there."""

from __future__ import annotations

import re

from tools.tui_keys import PAGE, filled_in, screens

TEXT = PAGE.read_text(encoding="utf-8")


def test_its_tables_are_the_screens_own() -> None:
    assert filled_in(TEXT) == TEXT, "python -m tools.tui_keys writes them anew"


def test_every_screen_with_keys_is_on_it() -> None:
    assert set(re.findall(r"<!-- keys of (\w+) -->", TEXT)) == set(screens())


def test_its_pictures_are_there_and_small_and_no_others() -> None:
    shown = set(re.findall(r"\]\(tui/([\w-]+\.png)\)", TEXT))
    kept = {path.name: path.stat().st_size for path in (PAGE.parent / "tui").iterdir()}
    assert shown == set(kept)
    assert max(kept.values()) < 150_000
