"""What is known of a dialogue beside its words: the labels with their spread, what failed, and the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from escl.core.dimension import LABELS, Dimension
from escl.tui.plain import fitted, line, plain
from escl.tui.widgets.meters import spread

if TYPE_CHECKING:
    from escl.store.browse import Whole
    from escl.store.records import LabelReading, Reading
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
    for one in Dimension:
        if one in by_dimension:
            lines.append(_label(words(f"dimension.{one.value}"), by_dimension[one], words, wide=wide))
            lines += _disagreeing(by_dimension[one], whole)
    scorers = [*([whole.scorer] if whole.scorer is not None else []), *(f"+ {one.scorer}" for one in whole.others)]
    lines += [Content.styled(line(scorer), "$muted") for scorer in scorers]
    lines += _own(whole, words, wide=wide)
    for failure in whole.failures:
        asked = failure.own if failure.dimension is None else words(f"dimension.{failure.dimension.value}")
        where = "" if asked is None else f"{asked}: "
        lines.append(Content.assemble(("× ", "bold $error"), line(f"{where}{failure.error}: {failure.message}", 600)))
    return Content("\n").join(lines)


def _own(whole: Whole, words: Strings, *, wide: bool) -> list[Content]:
    """Return a line for each of the user's own dimensions, by whom below them."""
    lines: list[Content] = []
    for scorer in dict.fromkeys(one.scorer for one in whole.own):
        lines += [_label(line(one.name), one.reading, words, wide=wide) for one in whole.own if one.scorer == scorer]
        lines.append(Content.styled(line(scorer), "$muted"))
    return lines


def _label(named: str, reading: LabelReading, words: Strings, *, wide: bool) -> Content:
    name = fitted(named, _NAME)
    expected = reading.expected
    if reading.probabilities is None or expected is None:
        said = f" {words('dialogues.no_label')}: {line(reading.reply, 80)}"
        return Content.assemble(name, (said, "$warning"))
    return Content.assemble(name, " ", spread(reading.probabilities, reading.label, wide=wide), f" {expected:.1f}")


def _disagreeing(reading: Reading, whole: Whole) -> list[Content]:
    """Return a line for each other scorer whose label is far from this one."""
    from escl.store.browse import DISAGREEMENT

    lines: list[Content] = []
    for other in whole.others:
        second = next((one.expected for one in other.readings if one.dimension is reading.dimension), None)
        if second is None or reading.expected is None or abs(second - reading.expected) < DISAGREEMENT:
            continue
        lines.append(Content.assemble(("  ≠ ", "bold $warning"), f"{second:.1f} ", (line(other.scorer, 24), "$muted")))
    return lines


def mean_label(whole: Whole) -> float | None:
    """Return the mean expected label (0-4) over the dimensions; None where no label was read."""
    expected = [one.expected for one in whole.readings if one.expected is not None]
    return sum(expected) / len(expected) if expected else None


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
