"""The words around an evaluation: prompts, greeting, transcript, rubrics, question.

A protocol is one TOML file. Owns its format and how its words are put together; knows no model and no template.
Text of cards and dialogues is inserted literally, never interpreted.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.dimension import LABELS, Dimension, Language
from escl.errors import ProtocolError

_BUILT_IN = Path(__file__).parent / "protocols"


class Rubric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one dimension means and what each label stands for.

    Attributes:
        name: The dimension's name in the question to the scorer.
        definition: What is rated.
        levels: Five anchors, for the labels 0 to 4.
    """

    name: str
    definition: str
    levels: tuple[str, str, str, str, str]

    @property
    def text(self) -> str:
        """The rubric as the scorer reads it."""
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


class ScorerPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The scorer's user message, cut where the dialogue begins: `prefix + rest` is the whole."""

    system: str | None
    prefix: str
    rest: str


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A protocol in all its languages.

    Attributes:
        name: What `--protocol` calls it.
        version: Changes whenever a word changes that a model reads.
        languages: The words by language.
    """

    name: str
    version: int
    languages: dict[Language, Wording]

    def sha256(self) -> str:
        """Return the hash of every word of the protocol, 64 hex digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def wording(self, language: Language) -> Wording:
        """Return the words in `language`.

        Raises:
            ProtocolError: The protocol does not speak it.
        """
        if language not in self.languages:
            known = ", ".join(self.languages)
            raise ProtocolError(f"protocol {self.name} has no words for language {language.value}; it has {known}")
        return self.languages[language]

    def greeting(self, language: Language) -> Turn:
        """Return turn 0."""
        return Turn(speaker=Speaker.SUPPORTER, text=self.wording(language).greeting)

    def seeker_messages(self, card: RoleCard, turns: Sequence[Turn]) -> list[Message]:
        """Return what the seeker sees before its next turn: card as system message, the supporter as the user."""
        prompt = _fill(self.wording(card.language).seeker_prompt, {"card": card.text})
        return [Message("system", prompt), *_as_messages(turns, me=Speaker.SEEKER)]

    def supporter_messages(self, language: Language, turns: Sequence[Turn]) -> list[Message]:
        """Return what the supporter sees before its next turn, without the greeting, which it did not say."""
        prompt = self.wording(language).supporter_prompt
        return [Message("system", prompt), *_as_messages(turns[1:], me=Speaker.SUPPORTER)]

    def transcript(self, language: Language, turns: Sequence[Turn]) -> str:
        """Return the dialogue as the scorer reads it: one line for each turn, so that no utterance can forge a turn."""
        wording = self.wording(language)
        label = {Speaker.SEEKER: wording.seeker_label, Speaker.SUPPORTER: wording.supporter_label}
        return "\n".join(label[turn.speaker] + " ".join(turn.text.split()) for turn in turns)

    def scorer_prompt(self, language: Language, dimension: Dimension, turns: Sequence[Turn]) -> ScorerPrompt:
        """Return the question to the scorer about one dimension of one dialogue."""
        wording = self.wording(language)
        rubric = wording.rubrics[dimension]
        before, after = wording.scorer_prompt.split("{dialogue}")
        words = {"rubric": rubric.text, "name": rubric.name}
        return ScorerPrompt(
            system=wording.scorer_system,
            prefix=_fill(before, words),
            rest=self.transcript(language, turns) + _fill(after, words),
        )


def load_protocol(name_or_path: str) -> Protocol:
    """Return the built-in protocol of that name, or the one in the TOML file at that path.

    Raises:
        ProtocolError: No such protocol, or the file is malformed; the message names the field.
    """
    built_in = {path.stem: path for path in sorted(_BUILT_IN.glob("*.toml"))}
    path = built_in.get(name_or_path, Path(name_or_path))
    try:
        protocol = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Protocol)
    except FileNotFoundError:
        raise ProtocolError(f"no protocol named {name_or_path}", hint=f"known: {', '.join(built_in)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProtocolError(f"{path}: {error}") from error
    for language, wording in protocol.languages.items():
        _check(wording, f"{path}: languages.{language.value}")
    return protocol


def _check(wording: Wording, where: str) -> None:
    for field, text, markers in (
        ("seeker_prompt", wording.seeker_prompt, ("{card}",)),
        ("scorer_prompt", wording.scorer_prompt, ("{rubric}", "{dialogue}", "{name}")),
    ):
        for marker in markers:
            if text.count(marker) != 1:
                raise ProtocolError(f"{where}.{field} holds {marker} {text.count(marker)} times, not once")
    if wording.scorer_prompt.index("{rubric}") > wording.scorer_prompt.index("{dialogue}"):
        raise ProtocolError(f"{where}.scorer_prompt has {{dialogue}} before {{rubric}}; the rubric must come first")
    missing = [dimension.value for dimension in Dimension if dimension not in wording.rubrics]
    if missing:
        raise ProtocolError(f"{where}.rubrics lacks {', '.join(missing)}")


def _fill(template: str, words: Mapping[str, str]) -> str:
    # One pass over the template's own markers: inserted text that happens to hold a marker stays as it is.
    pieces, rest = [], template
    while True:
        found = [(at, key) for key in words if (at := rest.find("{" + key + "}")) >= 0]
        if not found:
            return "".join([*pieces, rest])
        at, key = min(found)
        pieces += [rest[:at], words[key]]
        rest = rest[at + len(key) + 2 :]


def _as_messages(turns: Sequence[Turn], *, me: Speaker) -> list[Message]:
    return [Message("assistant" if turn.speaker is me else "user", turn.text) for turn in turns]
