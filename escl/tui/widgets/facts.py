"""What is known of a dialogue beside its words: the labels with their spread, what failed, and the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from escl.core.dimension import LABELS, Dimension
from escl.tui.plain import fitted, line, plain
from escl.tui.widgets.meters import spread

if TYPE_CHECKING:
    from escl.store.browse import Whole
    from escl.store.records import Reading
    from escl.tui.strings import Strings

_NAME = 12


def labels(whole: Whole | None, words: Strings, *, wide: bool) -> Content:
    """Return a line for each dimension: how probable each label is, the scorer's own, and the expected one."""
    if whole is None:
        return Content("")
    head = Content.assemble((fitted(words("dialogues.labels"), _NAME), "bold $primary"))
    axis = (" " * (1 + wide)).join(str(label) for label in LABELS)
    lines = [Content.assemble(head, (f" {axis}", "$muted"))]
    if not whole.readings:
        lines.append(Content.styled(words("dialogues.unscored"), "$muted"))
    by_dimension = {reading.dimension: reading for reading in whole.readings}
    lines += [_label(one, by_dimension[one], words, wide=wide) for one in Dimension if one in by_dimension]
    if whole.scorer is not None:
        lines.append(Content.styled(line(whole.scorer), "$muted"))
    for failure in whole.failures:
        where = "" if failure.dimension is None else words(f"dimension.{failure.dimension.value}") + ": "
        lines.append(Content.assemble(("× ", "bold $error"), line(f"{where}{failure.error}: {failure.message}", 600)))
    return Content("\n").join(lines)


def _label(dimension: Dimension, reading: Reading, words: Strings, *, wide: bool) -> Content:
    name = fitted(words(f"dimension.{dimension.value}"), _NAME)
    expected = reading.expected
    if reading.probabilities is None or expected is None:
        said = f" {words('dialogues.no_label')}: {line(reading.reply, 80)}"
        return Content.assemble(name, (said, "$warning"))
    return Content.assemble(name, " ", spread(reading.probabilities, reading.label, wide=wide), f" {expected:.1f}")


def card(whole: Whole | None, words: Strings) -> Content:
    """Return the card that the seeker plays."""
    if whole is None:
        return Content("")
    head = Content.styled(words("dialogues.card"), "bold $primary")
    name = Content.styled(f"  {line(whole.dialogue.card_id)}", "$muted")
    if whole.card is None:
        return Content.assemble(head, name, "\n", (words("dialogues.no_card"), "$muted"))
    one = whole.card
    kinds = [words(f"category.{one.category.value}"), one.subcategory, one.source, one.crisis]
    about = " · ".join(line(str(kind)) for kind in kinds if kind)
    return Content.assemble(head, name, "\n", plain(one.text), "\n", (about, "$muted"))
