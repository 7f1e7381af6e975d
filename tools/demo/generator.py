"""Makes cards, dialogues and exact labels from the phrase banks. Standard library and escl.core only: no torch.

A supporter turn is put together from sentences of known families, so its marks are known:

comfort   a sentence that comforts or names the feeling
step      a suggestion that can be acted on
skill     an open question or a reflection
machine   a sentence that no person would say
broken    the last sentence breaks off or its words are jumbled
repeat    it opens by saying again ("As I said: ...") the sentence that an earlier supporter turn opened with

With n supporter turns (the greeting does not count), `level(k)` is k of 5: k scaled to five turns, rounded half up,
4 at most. The labels:

Fluency      4 - level(turns with broken)
Expression   4 - level(turns with repeat)
Empathy      level(turns with comfort)
Information  level(turns with step)
Humanoid     4 - level(turns with machine)
Skillful     level(turns with skill)
Overall      level(good turns): at least two of comfort, step, skill, and neither machine nor broken
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from escl.core.card import Category, RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol
from tools.demo import phrases_en, phrases_zh, stories
from tools.demo.bank import Bank
from tools.demo.stories import Story

MARKS = ("comfort", "step", "skill", "machine", "broken", "repeat")
BANKS: dict[Language, Bank] = {Language.ENGLISH: phrases_en.BANK, Language.CHINESE: phrases_zh.BANK}
_MARK_OF = {
    Dimension.FLUENCY: "broken",
    Dimension.EXPRESSION: "repeat",
    Dimension.EMPATHY: "comfort",
    Dimension.INFORMATION: "step",
    Dimension.HUMANOID: "machine",
    Dimension.SKILLFUL: "skill",
}
_SPOIL = (
    {"machine": True},
    {"broken": True},
    {"comfort": False, "step": False},
    {"skill": False, "step": False},
    {"comfort": False, "skill": False},
)
_REVERSED = frozenset({"broken", "repeat", "machine"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is true of one supporter turn."""

    comfort: bool = False
    step: bool = False
    skill: bool = False
    machine: bool = False
    broken: bool = False
    repeat: bool = False

    @property
    def good(self) -> bool:
        return self.comfort + self.step + self.skill >= 2 and not (self.machine or self.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A generated dialogue; `marks` and `parts` have one entry for each supporter turn after the greeting.

    Attributes:
        parts: The sentences of each turn with their families.
    """

    card: RoleCard
    turns: tuple[Turn, ...]
    marks: tuple[Marks, ...]
    parts: tuple[tuple[tuple[str, str], ...], ...]

    def label(self, dimension: Dimension) -> int:
        """Return the exact label, 0 to 4."""
        if dimension is Dimension.OVERALL:
            return level(sum(m.good for m in self.marks), len(self.marks))
        mark = _MARK_OF[dimension]
        reached = level(sum(getattr(m, mark) for m in self.marks), len(self.marks))
        return 4 - reached if mark in _REVERSED else reached


def level(count: int, turns: int) -> int:
    """Return count scaled to five turns, rounded half up, 4 at most."""
    return min(4, (10 * count + turns) // (2 * turns))


@dataclass(slots=True, kw_only=True)
class Talk:
    """A supporter at work: what it has said, in which dialogue."""

    rng: random.Random
    bank: Bank
    story: Story
    language: Language
    openings: list[tuple[str, str]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)

    def sentence(self, family: str) -> str:
        """Return a sentence of the family that this supporter has not said yet."""
        text = ""
        for _ in range(20):
            text = self._draw(family)
            if text not in self.said:
                break
        self.said.add(text)
        return text

    def _draw(self, family: str) -> str:
        rng, bank, topic = self.rng, self.bank, self.story.topic
        if family == "skill":
            # Nothing can be reflected before something was heard.
            family = rng.choice(("ask", "ask", "mirror")) if self.openings else "ask"
        if family == "step":
            steps = topic.steps if rng.random() < 0.8 else bank.steps
            step = rng.choice([step for step in steps if step not in self.said] or steps)
            self.said.add(step)
            text = rng.choice(bank.step_lead).replace("{step}", step)
        elif family == "mirror":
            text = rng.choice(bank.mirror_lead).replace("{mirror}", rng.choice(topic.mirrors))
        elif family == "ask":
            text = rng.choice(topic.asks if rng.random() < 0.4 else bank.ask)
        elif family == "broken" or (family == "neutral" and rng.random() < 0.25):
            text = rng.choice(stories.LONG_NEUTRAL[self.language])
        else:
            text = rng.choice(getattr(bank, family))
        feel = self.story.feel if rng.random() < 0.8 else rng.choice(topic.feels)
        text = text.replace("{thing}", rng.choice(topic.things)).replace("{feel}", feel)
        return text[0].upper() + text[1:]

    def turn(self, wanted: Marks) -> tuple[tuple[tuple[str, str], ...], Marks]:
        """Return the sentences of a turn with the wanted marks, with their families, and the marks it really has."""
        rng = self.rng
        families = [name for name in ("comfort", "machine", "step", "skill") if getattr(wanted, name)]
        if rng.random() < 0.4:
            rng.shuffle(families)
        parts: list[tuple[str, str]] = []
        repeat = wanted.repeat and bool(self.openings)
        if repeat:
            family, opening = rng.choice(self.openings)
            parts.append((family, rng.choice(self.bank.again_lead).replace("{again}", opening)))
            if family in families:
                families.remove(family)
        parts += [(name, self.sentence(name)) for name in families]
        if not parts or rng.random() < 0.2:
            at = rng.randrange(len(parts) + 1) if not repeat else len(parts)
            parts.insert(at, ("neutral", self.sentence("neutral")))
        if not repeat:
            self.openings.append(parts[0])
        if wanted.broken:
            parts.append(("broken", self._broken()))
        names = {name for name, _ in parts}
        has = Marks(**{name: name in names for name in MARKS[:5]}, repeat=repeat)
        return tuple(parts), has

    def _broken(self) -> str:
        rng, sentence = self.rng, self.sentence("broken")
        words = sentence.split(" ") if self.language is Language.ENGLISH else list(sentence)
        if rng.random() < 0.7:
            return (
                (" " if self.language is Language.ENGLISH else "")
                .join(words[: rng.randint(max(1, len(words) * 2 // 5), max(1, len(words) * 4 // 5))])
                .rstrip("，。, .:：")
            )
        body = [word.strip("。.") for word in words if word.strip("。.")]
        jumbled = [word for word in body for _ in range(rng.choice((1, 1, 2)))]
        rng.shuffle(jumbled)
        return (" " if self.language is Language.ENGLISH else "").join(jumbled) + rng.choice(("", ".."))


def join(language: Language, sentences: Sequence[str]) -> str:
    """Return the sentences as one message."""
    return (" " if language is Language.ENGLISH else "").join(s for s in sentences if s)


@dataclass(slots=True, kw_only=True)
class Seeking:
    """The seeker at work: what it has already told."""

    rng: random.Random
    bank: Bank
    story: Story
    language: Language
    told: set[str] = field(default_factory=set)

    def reply(self, number: int, heard: Sequence[Marks]) -> str:
        """Return the seeker's turn `number` (from 1), after the supporter's turns `heard`."""
        rng, story = self.rng, self.story
        if number == 1:
            first = [rng.choice(self.bank.greet)] if rng.random() < 0.6 else []
            told = self._tell("event") if rng.random() < 0.2 else story.hint
            return join(self.language, [*first, told])
        parts = [self._reaction(heard[-1])] if rng.random() < (0.85 if number in (3, 4) else 0.65) else []
        if number == 5:
            helpful = sum(m.good for m in heard[-3:]) * 2 >= len(heard[-3:])
            parts.append(rng.choice(self.bank.thanks if helpful else self.bank.doubt))
        elif number == 3:
            parts.append(rng.choice(self.bank.feel_line).replace("{feel}", story.feel))
            if rng.random() < 0.5:
                parts.append(self._tell("hard"))
        else:
            parts.append(self._tell("event" if number == 2 else "hard"))
            if number == 4 and story.facts and rng.random() < 0.5:
                parts.append(rng.choice(story.facts))
        return join(self.language, parts)

    def _tell(self, what: str) -> str:
        rng, story = self.rng, self.story
        if what == "event" and story.event and "event" not in self.told:
            self.told.add("event")
            return story.event
        for hard in story.hards:
            if hard not in self.told:
                self.told.add(hard)
                return hard
        return rng.choice(self.bank.feel_line).replace("{feel}", story.feel)

    def _reaction(self, marks: Marks) -> str:
        bank, rng = self.bank, self.rng
        if marks.broken and rng.random() < 0.7:
            return self._new(bank.after_broken)
        if marks.machine:
            return self._new(bank.after_machine)
        kinds = {"comfort": bank.after_comfort, "step": bank.after_step, "skill": bank.after_ask}
        present = [phrases for name, phrases in kinds.items() if getattr(marks, name)]
        return self._new(rng.choice(present) if present else bank.after_other)

    def _new(self, phrases: Sequence[str]) -> str:
        reaction = self.rng.choice([phrase for phrase in phrases if phrase not in self.told] or phrases)
        self.told.add(reaction)
        return reaction


def warm(rng: random.Random, number: int) -> Marks:
    """Return what the warm supporter does in its turn `number`, from 1."""
    step = (0.05, 0.3, 0.85, 0.9, 0.9)[min(number, 5) - 1]
    return Marks(
        comfort=rng.random() < 0.95, skill=rng.random() < (0.95 if number < 4 else 0.6), step=rng.random() < step
    )


def curt(rng: random.Random, number: int) -> Marks:
    """Return what the curt supporter does in its turn `number`, from 1."""
    return Marks(
        comfort=rng.random() < 0.05,
        step=rng.random() < 0.1,
        skill=rng.random() < 0.07,
        machine=rng.random() < 0.65,
        broken=rng.random() < 0.25,
        repeat=number > 1 and rng.random() < 0.4,
    )


def mixed(rng: random.Random, turns: int, focus: Dimension | None) -> list[Marks]:
    """Return plans for a dialogue of any style; the labels of `focus` come about equally often."""
    rates = {name: rng.random() for name in MARKS}
    for name in ("machine", "broken", "repeat"):
        if rng.random() < 0.4:
            rates[name] = 0.0 if rng.random() < 0.7 else 0.2
    plans = [{name: rng.random() < rates[name] for name in MARKS} for _ in range(turns)]
    if focus is None:
        return [Marks(**plan) for plan in plans]
    count = min(rng.choice((0, 1, 2, 3, rng.choice((4, 5)))), turns)
    chosen = set(rng.sample(range(turns), count))
    if focus is Dimension.EXPRESSION:
        chosen = set(rng.sample(range(1, turns), min(count, turns - 1)))
    for at, plan in enumerate(plans):
        if focus is not Dimension.OVERALL:
            plan[_MARK_OF[focus]] = at in chosen
        elif at in chosen:
            plan |= {"machine": False, "broken": False}
            for name in rng.sample(("comfort", "step", "skill"), 2):
                plan[name] = True
        elif Marks(**plan).good:
            plan |= rng.choice(_SPOIL)
    return [Marks(**plan) for plan in plans]


def dialogue(
    rng: random.Random,
    *,
    language: Language,
    protocol: Protocol,
    style: str = "mixed",
    focus: Dimension | None = None,
    rounds: int | None = None,
    free: float = 0.15,
    story: Story | None = None,
) -> Dialogue:
    """Return a dialogue; `style` is mixed, warm or curt, `rounds` None draws it (mostly 5), and so does `story`."""
    story = story or stories.story(rng, language, BANKS[language], free=free)
    rounds = rounds or (5 if rng.random() < 0.85 else rng.choice((2, 3, 4, 6)))
    plans = (
        mixed(rng, rounds, focus)
        if style == "mixed"
        else [(warm if style == "warm" else curt)(rng, number) for number in range(1, rounds + 1)]
    )
    seeker = Seeking(rng=rng, bank=BANKS[language], story=story, language=language)
    supporter = Talk(rng=rng, bank=BANKS[language], story=story, language=language)
    parts: list[tuple[tuple[str, str], ...]] = []
    turns, heard = [protocol.greeting(language)], [Marks(skill=True)]
    for number, plan in enumerate(plans, start=1):
        turns.append(Turn(speaker=Speaker.SEEKER, text=seeker.reply(number, heard)))
        said, has = supporter.turn(plan)
        turns.append(Turn(speaker=Speaker.SUPPORTER, text=join(language, [text for _, text in said])))
        parts.append(said)
        heard.append(has)
    card = RoleCard(
        id="generated",
        language=language,
        text=story.card,
        category=Category.FAMILY,
        subcategory=None,
        source="generated",
        crisis=None,
    )
    return Dialogue(card=card, turns=tuple(turns), marks=tuple(heard[1:]), parts=tuple(parts))


def answer(protocol: Protocol, language: Language, dimension: Dimension, label: int) -> str:
    """Return the scorer's reply in the form that the protocol asks for."""
    name = protocol.wording(language).rubrics[dimension].name
    return f"The {name} score is {label}." if language is Language.ENGLISH else f"{name}得分是{label}。"
