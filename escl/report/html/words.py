"""The page's own words, one table of them for each language that a page can be in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

from escl.core.dimension import Language

Table: TypeAlias = Mapping[str, "str | Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a page says in one language.

    Attributes:
        page: The words by section and name. What is said with a value in it has {names} for `str.format`.
    """

    language: Language
    page: Table

    def section(self, key: str) -> Mapping[str, str]:
        """Return the words of one section."""
        found = self.page[key]
        assert not isinstance(found, str)
        return {name: said for name, said in found.items() if isinstance(said, str)}

    def known(self, table: str, said: str) -> str:
        """Return what a word of the program's own is on the page; another stays as it is."""
        return self.section(table).get(said, said)


def words_of(language: Language) -> Words:
    """Return the words of a page in `language`."""
    text = resources.files(__package__).joinpath("words", f"{language.value}.toml").read_text(encoding="utf-8")
    return Words(language=language, page=tomllib.loads(text))
