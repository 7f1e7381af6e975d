"""The parts of a protocol: rubrics, the words of one language, how a transcript is rewritten, how replies are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from escl.core.dimension import LABELS, Dimension

_Old = Annotated[str, Meta(min_length=1, max_length=100)]
_New = Annotated[str, Meta(max_length=100)]


class Rubric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one dimension means and what each label stands for.

    Attributes:
        name: The dimension's name in the question to the scorer.
        definition: What is rated; without levels, the whole rubric word for word.
        levels: Five anchors, for the labels 0 to 4. None (in JSON: null) when the definition says it all.
    """

    name: str
    definition: str
    levels: tuple[str, str, str, str, str] | None

    @property
    def text(self) -> str:
        """The rubric as the scorer reads it."""
        if self.levels is None:
            return self.definition
        anchors = (f"{label}: {level}" for label, level in zip(LABELS, self.levels, strict=True))
        return "\n".join((self.definition, *anchors))


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A protocol's words in one language.

    Attributes:
        seeker_prompt: System message of the seeker; `{card}` stands for the card's text.
        greeting: Turn 0. The seeker and the scorer see it, the supporter does not.
        supporter_prompt: System message of the supporter.
        seeker_label: How a seeker's line begins in the transcript.
        supporter_label: How a supporter's line begins in the transcript.
        scorer_system: System message of the scorer; None leaves the scorer's own default.
        scorer_prompt: User message to the scorer; `{rubric}` comes first, then `{dialogue}`, and `{name}` is the
            rubric's name. All before `{dialogue}` is the same for every dialogue, so it is evaluated once.
        rubrics: One for each dimension.
    """

    seeker_prompt: str
    greeting: str
    supporter_prompt: str
    seeker_label: str
    supporter_label: str
    scorer_prompt: str
    rubrics: dict[Dimension, Rubric]
    scorer_system: str | None = None


class Rewriting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transcript as ESC-Eval's score.py makes it: labelled turns, joined, then words replaced in the whole.

    Utterances are taken as they are, line breaks and all, and the replacements reach into them: under such a protocol a
    speaker can forge turns.

    Attributes:
        separator: What stands between two turns.
        replacements: (old, new), carried out one after the other.
    """

    separator: Annotated[str, Meta(min_length=1, max_length=100)]
    replacements: Annotated[tuple[tuple[_Old, _New], ...], Meta(max_length=4)]

    def transcript(self, labelled: Iterable[str]) -> str:
        """Return the transcript of turns that begin with their labels, without white space around it."""
        text = self.separator.join(labelled)
        for old, new in self.replacements:
            text = text.replace(old, new)
        return text.strip()


class SamplingDefaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a speaker's replies are drawn, as far as a protocol says; None leaves it to the model's own settings.

    Attributes:
        max_tokens: New tokens at most.
        temperature: 0 is greedy.
    """

    max_tokens: Annotated[int, Meta(ge=1, le=1 << 20)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=10)] | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an imported protocol was read from. No model reads it, so it is no part of the protocol's hash.

    Attributes:
        sources: sha256 of each file by its name.
        supporters: How upstream's example supporters draw their replies, by class name.
        notes: What its user should know: a part that no source gave, a slip in a source.
    """

    sources: dict[str, str]
    supporters: dict[str, SamplingDefaults] = {}
    notes: tuple[str, ...] = ()


class ScorerPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The scorer's user message, cut where the dialogue begins: `prefix + rest` is the whole."""

    system: str | None
    prefix: str
    rest: str
