"""What each row of a new run offers, in words: from what is here and how many cards each choice would leave."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

from escl.core.card import Category
from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.tui.draft import REPEATS, ROUNDS, Draft, Preset, Scoring
from escl.tui.widgets.fields import Option

if TYPE_CHECKING:
    from escl.tui.offers import Offers, Tally
    from escl.tui.strings import Strings

CHOICES: Final = {
    "crisis": "new.kind",
    "language": "new.language",
    "category": "new.category",
    "source": "new.source",
    "unseen": "new.training",
    "preset": "new.preset",
    "rounds": "new.rounds",
    "repeats": "new.repeats",
    "protocol": "new.protocol",
    "seeker": "new.seeker",
    "scoring": "new.scorer",
    "rubrics": "new.rubrics",
}
"""The draft's fields that are one of a few, with what they are called."""


def options_of(
    words: Strings,
    draft: Draft,
    tally: Tally | None = None,
    offers: Offers | None = None,
    *,
    usual: tuple[str, str] = ("", ""),
) -> dict[str, list[Option]]:
    """Return what can be chosen in each field, with what it would come to where that is known.

    `usual` names the seeker and the scorer that a run takes where none is named, "" while that is unknown.
    """
    counted = {} if tally is None else tally.by_field

    def option(field: str, value: Hashable, text: str) -> Option:
        n = counted.get(field, {}).get(value)
        return Option(value=value, text=text, aside="" if n is None else words("new.count", n=n))

    protocols = (draft.protocol,) if offers is None else offers.protocols
    return {
        "crisis": [option("crisis", False, words("new.quality")), option("crisis", True, words("new.crisis"))],
        "language": [
            option("language", None, words("new.both")),
            *(option("language", one, words(f"language.{one.value}")) for one in Language),
        ],
        "category": [
            option("category", None, words("new.all")),
            *(option("category", one, words(f"category.{one.value}")) for one in Category),
        ],
        "source": [
            option("source", None, words("new.all")),
            *(option("source", one, one) for one in ([] if tally is None else tally.sources)),
        ],
        "unseen": [option("unseen", False, words("new.all")), option("unseen", True, words("new.unseen"))],
        "preset": _presets(words, tally),
        "rounds": [
            Option(value=None, text=words("new.as_protocol")),
            *(Option(value=n, text=str(n)) for n in ROUNDS),
        ],
        "repeats": [Option(value=n, text=str(n)) for n in REPEATS],
        "protocol": [Option(value=one, text=one) for one in protocols],
        "seeker": [
            Option(value=None, text=words("new.usual"), note=usual[0]),
            *(Option(value=one, text=one) for one in ([] if offers is None else offers.seekers)),
        ],
        "scoring": [
            Option(value=Scoring(), text=words("new.usual"), note=usual[1]),
            *(Option(value=Scoring(scorer=one), text=one) for one in ([] if offers is None else offers.scorers)),
            Option(value=Scoring(is_wanted=False), text=words("new.nobody")),
        ],
        "rubrics": [
            Option(value=None, text=words("new.seven")),
            *(Option(value=one, text=str(one)) for one in ([] if offers is None else offers.rubrics)),
        ],
    }


def _presets(words: Strings, tally: Tally | None) -> list[Option]:
    texts = {Preset.QUICK: "new.quick", Preset.STANDARD: "new.standard", Preset.FULL: "new.full"}
    return [
        Option(value=one, text=words(name, n=one.sample), note=_sight(words, one, tally)) for one, name in texts.items()
    ]


def _sight(words: Strings, preset: Preset, tally: Tally | None) -> str:
    """Return which difference between two supporters so many cards would show."""
    from escl.stats.power import assumed_sight

    if tally is None:
        return ""
    n = min(preset.sample or tally.n_matching, tally.n_matching)
    seen = assumed_sight(n)
    return "" if seen is None else words("new.sight", points=f"{seen * LABEL_TO_PERCENT:.0f}")
