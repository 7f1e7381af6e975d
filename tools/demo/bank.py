"""The shape of a phrase bank: topics, and families of phrases that belong to no topic.

Markers in phrases, filled in by the generator: {thing} the topic as a noun phrase, {feel} a feeling, {ago} {span}
{name} {job} {age} facts that card and seeker share, {step} a suggestion, {mirror} a reflection.
"""

from __future__ import annotations

from dataclasses import dataclass


def lines(block: str) -> tuple[str, ...]:
    """Return the block's lines, stripped, without empty ones."""
    return tuple(stripped for line in block.splitlines() if (stripped := line.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What one kind of worry sounds like.

    Attributes:
        things: Noun phrases for it, said by the supporter ("losing your job").
        words: Words that show up in cards about it.
        hints: The seeker's first words about it.
        events: What happened, in the first person; a card tells the same in the third.
        hard: What makes it hard, in the first person.
        feels: Feelings that go with it.
        steps: Concrete suggestions, as bare verb phrases.
        asks: Open questions about it.
        mirrors: Reflections, as clauses in the second person.
    """

    key: str
    things: tuple[str, ...]
    words: tuple[str, ...]
    hints: tuple[str, ...]
    events: tuple[str, ...]
    hard: tuple[str, ...]
    feels: tuple[str, ...]
    steps: tuple[str, ...]
    asks: tuple[str, ...]
    mirrors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Everything that is said in one language.

    Attributes:
        comfort, ask, step_lead, mirror_lead, machine, neutral: The supporter's families.
        again_lead: How it says a sentence again.
        steps: Suggestions that fit any topic.
        greet, opening, feel_line, fact_line: The seeker's own lines.
        after_machine, after_ask, after_step, after_comfort, after_broken, after_other: The seeker's reactions.
        thanks, doubt: The seeker's last turn, after a helpful and after an unhelpful talk.
    """

    topics: tuple[Topic, ...]
    comfort: tuple[str, ...]
    ask: tuple[str, ...]
    steps: tuple[str, ...]
    step_lead: tuple[str, ...]
    mirror_lead: tuple[str, ...]
    machine: tuple[str, ...]
    again_lead: tuple[str, ...]
    neutral: tuple[str, ...]
    greet: tuple[str, ...]
    feel_line: tuple[str, ...]
    fact_line: tuple[str, ...]
    after_machine: tuple[str, ...]
    after_ask: tuple[str, ...]
    after_step: tuple[str, ...]
    after_comfort: tuple[str, ...]
    after_broken: tuple[str, ...]
    after_other: tuple[str, ...]
    thanks: tuple[str, ...]
    doubt: tuple[str, ...]
    jobs: tuple[str, ...]
    names: tuple[str, ...]
    agos: tuple[str, ...]
    spans: tuple[str, ...]


def topic(key: str, block: str) -> Topic:
    """Return the topic written as `field: phrase / phrase` lines; a line without a field goes on with the last."""
    fields: dict[str, list[str]] = {}
    current = ""
    for line in lines(block):
        name, colon, rest = line.partition(": ")
        if colon and name in _FIELDS:
            current, line = name, rest
        fields.setdefault(current, []).extend(part.strip() for part in line.split(" / ") if part.strip())
    return Topic(key=key, **{name: tuple(fields[name]) for name in _FIELDS})


_FIELDS = ("things", "words", "hints", "events", "hard", "feels", "steps", "asks", "mirrors")
