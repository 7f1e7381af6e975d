"""What is to be said and read in a run, in tokens: the other half of a prediction, beside the rates.

Nothing is tokenized: characters are turned into tokens by a stated ratio, and replies have a stated typical length.
Knows cards and protocols, no model and no machine.

Ratios: 4 characters of ASCII to a token, the common rule of thumb for English; 0.6 tokens for any other character,
DeepSeek's documented rule for Chinese (api-docs.deepseek.com/quick_start/token_usage). Typical replies: the mean turns
of the dialogues that ESC-Eval published (result/2024-06-24, two supporters, both languages): seekers 16 to 172
characters, supporters 740 to 1,420 English or 250 to 560 Chinese ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from escl.core.card import RoleCard
from escl.core.dimension import Dimension, Language
from escl.core.judging import JudgingRubric
from escl.core.own_dimension import OwnDimension
from escl.core.protocol import Protocol
from escl.core.wording import ScorerPrompt

SEEKER_REPLY: Final = 45
"""Tokens of a typical seeker's turn."""
SUPPORTER_REPLY: Final = 250
"""Tokens of a typical supporter's turn."""
CONTEXT_SAFETY: Final = 1.5
"""How much longer than the typical dialogue the longest is taken to be."""

_MESSAGE_FRAME: Final = 6
"""Tokens that a chat template puts around one message."""
_LABEL_REPLY: Final = 12
"""Tokens of a scorer's reply; verified as a draft, so they are prefill."""
_LABEL_DECODED: Final = 2
"""Tokens that the scorer generates one by one all the same: the label and the end."""
_LABEL_MAX: Final = 64


def tokens_in(text: str) -> int:
    """Return about how many tokens a text is."""
    n_ascii = sum(character.isascii() for character in text)
    return round(n_ascii / 4 + 0.6 * (len(text) - n_ascii))


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine has to do.

    Attributes:
        prefill: Tokens to read.
        decode: Tokens to generate.
        attended: Tokens in the cache before each of those, all together.
    """

    prefill: float = 0.0
    decode: float = 0.0
    attended: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            prefill=self.prefill + other.prefill,
            decode=self.decode + other.decode,
            attended=self.attended + other.attended,
        )

    def times(self, factor: int) -> Tokens:
        """Return the same work so many times."""
        return Tokens(prefill=self.prefill * factor, decode=self.decode * factor, attended=self.attended * factor)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a speaker's turn: `typical` ones, and at most `longest`."""

    typical: int
    longest: int


_NO_REPLY: Final = Reply(typical=0, longest=0)


def typical_reply(usual: int, max_tokens: int) -> Reply:
    """Return the reply of a speaker that says `usual` tokens unless it is cut before."""
    return Reply(typical=min(usual, max_tokens), longest=max_tokens)


class LanguageWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one dialogue in one language is made of, in mean tokens.

    Attributes:
        cards: Dialogues with each supporter, for one repeat.
        seeker_prompt: System message with the card, and the greeting.
        supporter_prompt: System message.
        rubrics: The openings of the scorer's prompts, all dimensions together.
        question: What stands around the transcript in one of the scorer's prompts.
        transcript: Of dialogues that are finished; None for those that a run will speak.
        asked: Questions to the scorer about each transcript.
        longest_rubric: The longest of the openings; 0 where they are about alike.
    """

    language: Language
    cards: int
    seeker_prompt: int
    supporter_prompt: int
    rubrics: int
    question: int
    transcript: int | None = None
    asked: int = len(Dimension)
    longest_rubric: int = 0


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """All dialogues of a run with one supporter, and how often.

    Attributes:
        outside: Replies of the supporters that take no memory here: endpoints and Python code. The seeker talks with
            each of them and the scorer reads it, but their own time is nobody's to predict.
    """

    languages: tuple[LanguageWork, ...]
    rounds: int
    repeats: int = 1
    outside: tuple[Reply, ...] = ()

    @property
    def dialogues(self) -> int:
        """Dialogues with each supporter."""
        return self.repeats * sum(work.cards for work in self.languages)

    def seeker(self, seeker: Reply, supporter: Reply, *, whole: bool) -> Tokens:
        """Return the seeker's work in all dialogues with one supporter.

        Args:
            seeker: Its replies.
            supporter: The other's.
            whole: Every turn reads the whole history again, as after a swap; else only what is new.
        """
        said = seeker.typical + supporter.typical + 2 * _MESSAGE_FRAME
        turns = self.rounds
        new = (turns - 1) * (supporter.typical + 2 * _MESSAGE_FRAME)
        again = turns * (turns - 1) // 2 * said
        before = again + turns * seeker.typical / 2
        return self._over_dialogues(
            lambda work: Tokens(
                prefill=turns * work.seeker_prompt + again if whole else work.seeker_prompt + new,
                decode=turns * seeker.typical,
                attended=(turns * work.seeker_prompt + before) * seeker.typical,
            )
        )

    def supporter(self, seeker: Reply, supporter: Reply, *, whole: bool) -> Tokens:
        """Return a supporter's work in all its dialogues; arguments as `seeker`."""
        turns = self.rounds
        new = turns * (seeker.typical + 2 * _MESSAGE_FRAME)
        asked = turns * (turns + 1) // 2 * (seeker.typical + _MESSAGE_FRAME)
        answered = turns * (turns - 1) // 2 * (supporter.typical + _MESSAGE_FRAME)
        again = asked + answered + turns * _MESSAGE_FRAME
        before = again + turns * supporter.typical / 2
        return self._over_dialogues(
            lambda work: Tokens(
                prefill=turns * work.supporter_prompt + again if whole else work.supporter_prompt + new,
                decode=turns * supporter.typical,
                attended=(turns * work.supporter_prompt + before) * supporter.typical,
            )
        )

    def scoring(self, seeker: Reply, supporters: Sequence[Reply]) -> Tokens:
        """Return the scorer's work: each rubric once for its adapter, then every dialogue in every dimension."""
        total = Tokens()
        for work in self.languages:
            dialogues = [self._transcript(work, seeker, supporter) for supporter in supporters]
            each = work.asked * work.cards * self.repeats
            read = sum(length + work.question + _LABEL_REPLY for length in dialogues)
            rubric = work.rubrics / len(Dimension)
            total += Tokens(
                prefill=work.rubrics + each * read,
                decode=each * len(dialogues) * _LABEL_DECODED,
                attended=each * (read + len(dialogues) * rubric) * _LABEL_DECODED,
            )
        return total

    def comparing(self) -> Tokens:
        """Return the judge's work on pairs of dialogues that are finished, each given as one transcript."""
        return self.scoring(_NO_REPLY, [_NO_REPLY])

    def context_of_dialogue(self, seeker: Reply, supporter: Reply) -> int:
        """Return the tokens of context that the longest dialogue is taken to need with the longest reply at its end."""
        said = seeker.typical + supporter.typical + 2 * _MESSAGE_FRAME
        prompt = max((max(work.seeker_prompt, work.supporter_prompt) for work in self.languages), default=0)
        return round(CONTEXT_SAFETY * (prompt + self.rounds * said)) + max(seeker.longest, supporter.longest)

    def context_of_labels(self, seeker: Reply, supporters: Sequence[Reply]) -> int:
        """Return the same for the scorer's longest prompt."""
        prompts = [
            self._transcript(work, seeker, supporter)
            + work.question
            + max(work.longest_rubric, work.rubrics // max(work.asked, 1))
            for work in self.languages
            for supporter in supporters
        ]
        return round(CONTEXT_SAFETY * max(prompts, default=0)) + _LABEL_MAX

    def _transcript(self, work: LanguageWork, seeker: Reply, supporter: Reply) -> int:
        if work.transcript is not None:
            return work.transcript
        # A speaker's name and a line break are about as long as a template's frame.
        return self.rounds * (seeker.typical + supporter.typical + 2 * _MESSAGE_FRAME)

    def _over_dialogues(self, each: Callable[[LanguageWork], Tokens]) -> Tokens:
        total = Tokens()
        for work in self.languages:
            total += each(work).times(work.cards * self.repeats)
        return total


def workload_of(
    cards: Sequence[RoleCard],
    protocol: Protocol,
    *,
    rounds: int,
    repeats: int = 1,
    outside: Sequence[int] = (),
    own: Sequence[OwnDimension] = (),
) -> Workload:
    """Return the work of playing these cards by this protocol with each supporter.

    Args:
        cards: With each supporter.
        protocol: Whose words are read.
        rounds: Of each dialogue.
        repeats: Dialogues for each card and supporter.
        outside: The longest replies, in tokens, of the supporters that take no memory here.
        own: Dimensions of the user's own that the scorer is asked about beside the seven.

    Raises:
        ProtocolError: The protocol has no words for a card's language.
    """
    languages = []
    for language in Language:
        played = [card for card in cards if card.language is language]
        if played:
            greeting = protocol.wording(language).greeting
            prompts = [protocol.seeker_messages(card, [])[0].content + greeting for card in played]
            languages.append(
                LanguageWork(
                    language=language,
                    cards=len(played),
                    seeker_prompt=_mean(prompts) + 2 * _MESSAGE_FRAME,
                    supporter_prompt=tokens_in(protocol.wording(language).supporter_prompt) + _MESSAGE_FRAME,
                    question=_question(protocol, language),
                    **_openings(protocol, language, [*Dimension], own),
                )
            )
    replies = tuple(typical_reply(SUPPORTER_REPLY, max_tokens) for max_tokens in outside)
    return Workload(languages=tuple(languages), rounds=rounds, repeats=repeats, outside=replies)


def scoring_workload(
    transcripts: Mapping[Language, Sequence[str]],
    protocol: Protocol,
    *,
    own: Sequence[OwnDimension] = (),
    seven: bool = True,
) -> Workload:
    """Return the work of scoring finished dialogues.

    Args:
        transcripts: The dialogues as the scorer reads them.
        protocol: Whose words stand around them.
        own: Dimensions of the user's own that the scorer is asked about.
        seven: Whether it is asked about the seven.

    Raises:
        ProtocolError: The protocol has no words for one of the languages.
    """
    languages = [
        LanguageWork(
            language=language,
            cards=len(texts),
            seeker_prompt=0,
            supporter_prompt=0,
            question=_question(protocol, language),
            transcript=_mean(texts),
            **_openings(protocol, language, [*Dimension] if seven else [], own),
        )
        for language, texts in transcripts.items()
        if texts
    ]
    return Workload(languages=tuple(languages), rounds=0)


def comparing_workload(
    read: Mapping[Language, Sequence[int]], rubric: JudgingRubric, dimensions: Sequence[Dimension]
) -> Workload:
    """Return the work of comparing dialogues.

    Args:
        read: For each language the tokens of the two transcripts together, of every question that is to be asked.
        rubric: Whose words stand around them.
        dimensions: In which dialogues are compared, each question in one of them.

    Raises:
        ProtocolError: The rubric has no words for one of the languages or dimensions.
    """
    languages = []
    for language, lengths in read.items():
        if lengths:
            prompts = [rubric.question(language, dimension, "", "") for dimension in dimensions]
            languages.append(
                LanguageWork(
                    language=language,
                    cards=len(lengths),
                    seeker_prompt=0,
                    supporter_prompt=0,
                    rubrics=sum(tokens_in(prompt.prefix) for prompt in prompts),
                    question=_mean([prompt.rest for prompt in prompts]) + 2 * _MESSAGE_FRAME,
                    transcript=round(sum(lengths) / len(lengths)),
                    asked=1,
                )
            )
    return Workload(languages=tuple(languages), rounds=0)


def asking_workload(questions: Mapping[Language, Sequence[ScorerPrompt]]) -> Workload:
    """Return the work of asking a scorer these questions, each read by itself from its first word on."""
    languages = [
        LanguageWork(
            language=language,
            cards=len(asked),
            seeker_prompt=0,
            supporter_prompt=0,
            rubrics=0,
            question=_mean([prompt.prefix for prompt in asked]) + 2 * _MESSAGE_FRAME,
            transcript=_mean([prompt.rest for prompt in asked]),
            asked=1,
        )
        for language, asked in questions.items()
        if asked
    ]
    return Workload(languages=tuple(languages), rounds=0)


def _mean(texts: Sequence[str]) -> int:
    return round(sum(map(tokens_in, texts)) / len(texts))


def _openings(
    protocol: Protocol, language: Language, dimensions: Sequence[Dimension], own: Sequence[OwnDimension]
) -> dict[str, int]:
    """Return the fields of a `LanguageWork` that say what stands before the transcripts."""
    prompts = [protocol.scorer_prompt(language, dimension, []) for dimension in dimensions]
    prompts += [protocol.question(language, one.languages[language], []) for one in own if language in one.languages]
    lengths = [tokens_in(prompt.prefix) for prompt in prompts]
    return {"rubrics": sum(lengths), "asked": len(lengths), "longest_rubric": max(lengths, default=0) if own else 0}


def _question(protocol: Protocol, language: Language) -> int:
    return tokens_in(protocol.scorer_prompt(language, Dimension.FLUENCY, []).rest) + 2 * _MESSAGE_FRAME
