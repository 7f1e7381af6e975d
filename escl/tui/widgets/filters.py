"""Which dialogues are listed, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from escl.tui.plain import line
from escl.tui.widgets.meters import meter

if TYPE_CHECKING:
    from escl.store.browse import Wanted
    from escl.tui.strings import Strings

_METER = 12


def filters(wanted: Wanted, words: Strings, *, searched: tuple[int, int] | None = None) -> Content:
    """Return what is wanted, and below it the order; while words are looked for, in how many of how many they were."""
    shown = chosen(wanted, words) or words("dialogues.all")
    below = Content.styled(words(f"dialogues.order.{wanted.order}"), "$muted")
    if searched is not None:
        done, total = searched
        said = words("dialogues.searched", done=f"{done:,}", n=f"{total:,}")
        below = Content.assemble(meter(done, total, _METER), (f" {said}", "$muted"))
    return Content.assemble((shown, "bold"), "\n", below)


def chosen(wanted: Wanted, words: Strings) -> str:
    """Return by what the dialogues were chosen; empty where all are listed."""
    dimension = words("dialogues.mean" if wanted.dimension is None else f"dimension.{wanted.dimension.value}")
    shown = [line(wanted.supporter)] if wanted.supporter is not None else []
    shown += [words(f"language.{wanted.language.value}")] if wanted.language is not None else []
    shown += [words(f"category.{wanted.category}")] if wanted.category is not None else []
    if wanted.below is not None:
        shown.append(words("dialogues.below", dimension=dimension, label=f"{wanted.below:g}"))
    elif wanted.dimension is not None:
        shown.append(dimension)
    shown += [words(f"dialogues.{wanted.doubt}")] if wanted.doubt is not None else []
    shown += [words("dialogues.troubled")] if wanted.troubled else []
    shown += [f"“{line(wanted.text)}”"] if wanted.text else []
    return " · ".join(shown)
