"""Dimensions of a user's own, as the docs' example has them: values that tests share."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from escl.core import strict
from escl.core.own_dimension import OwnDimension, own_of

EXAMPLE = re.findall(
    r"^```toml my-rubrics\.toml\n(.*?)^```",
    (Path(__file__).parents[1] / "docs" / "rubrics.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)[0]
"""The text of the docs' file."""

PATIENCE, PLAIN_WORDS = own_of(strict.parse_toml(EXAMPLE))


def write(path: Path, *dimensions: OwnDimension) -> Path:
    """Write a rubrics file (JSON) and return its path."""
    document = {"dimensions": {own.key: own.languages for own in dimensions}}
    path.write_bytes(msgspec.json.encode(document))
    return path
