"""docs/memory.md is what its command writes today."""

from __future__ import annotations

from pathlib import Path

from tools.memory_table import SIZES_GIB, page

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"


def test_the_page_is_what_the_planner_says_today() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(), "run: python -m tools.memory_table > docs/memory.md"
    for size in SIZES_GIB:
        assert written.count(f"\n| {size} | all resident |") == 2
