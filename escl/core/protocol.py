"""The words around an evaluation: prompts, greeting, transcript, rubrics, question.

A protocol is one TOML file. Owns its format and how its words are put together; knows no model and no template.
Text of cards and dialogues is inserted literally, never interpreted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from escl.core import strict
from escl.core.card import RoleCard
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.dimension import LABELS, Dimension, Language
from escl.errors import ProtocolError

_BUILT_IN: Final = Path(__file__).parent / "protocols"
_MARKERS: Final = {"seeker_prompt": ("{card}",), "scorer_prompt": ("{rubric}", "{dialogue}", "{name}")}
_MAX_CHARS: Final = 8000

_Table = TypeVar("_Table", bound=msgspec.Struct)


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
    if not path.exists():
        raise ProtocolError(f"no protocol named {name_or_path}", hint=f"known: {', '.join(built_in)}, or a TOML file")
    try:
        return _read(strict.read_document(path))
    except ValueError as error:
        raise ProtocolError(f"{path}: {error}") from error


def _read(document: object) -> Protocol:
    # Languages and rubrics are read one by one first: msgspec does not say under which key of a dict it failed.
    for language, wording in _tables(document, "languages"):
        for dimension, rubric in _tables(wording, "rubrics"):
            _convert(rubric, Rubric, f"languages.{language}.rubrics.{dimension}")
        _check(_convert(wording, Wording, f"languages.{language}"), f"languages.{language}")
    protocol = _convert(document, Protocol, "the file")
    if not protocol.languages:
        raise ValueError("languages holds no language")
    return protocol


def _tables(document: object, key: str) -> Iterable[tuple[str, object]]:
    inner = document.get(key) if isinstance(document, dict) else None
    return inner.items() if isinstance(inner, dict) else ()


def _convert(value: object, kind: type[_Table], where: str) -> _Table:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.*?)`|enum value '(.*?)'", str(error))
        closest = strict.nearest(unknown[1] or unknown[2], _known_keys(kind)) if unknown else ""
        raise ValueError(f"{where}: {error}{closest}") from None


def _known_keys(kind: type[msgspec.Struct]) -> list[str]:
    inner: list[str] = [*Language] if kind is Protocol else [*Dimension] if kind is Wording else []
    return [*(field.name for field in msgspec.structs.fields(kind)), *inner]


def _check(wording: Wording, where: str) -> None:
    missing = [dimension.value for dimension in Dimension if dimension not in wording.rubrics]
    if missing:
        raise ValueError(f"{where}.rubrics lacks {', '.join(missing)}")
    for field, text in _words(wording).items():
        try:
            strict.paragraph(_MAX_CHARS)(text)
        except ValueError as error:
            raise ValueError(f"{where}.{field} {error}") from None
        if field.endswith(("label", "name")) and "\n" in text:
            raise ValueError(f"{where}.{field} holds a line break")
    for field, markers in _MARKERS.items():
        text = _words(wording)[field]
        for marker in markers:
            if text.count(marker) != 1:
                raise ValueError(f"{where}.{field} holds {marker} {text.count(marker)} times, not once")
    if wording.scorer_prompt.index("{rubric}") > wording.scorer_prompt.index("{dialogue}"):
        raise ValueError(f"{where}.scorer_prompt has {{dialogue}} before {{rubric}}; the rubric must come first")


def _words(wording: Wording) -> dict[str, str]:
    """Return every text of the wording by its field."""
    words = {key: text for key, text in msgspec.structs.asdict(wording).items() if isinstance(text, str)}
    for dimension, rubric in wording.rubrics.items():
        at = f"rubrics.{dimension.value}"
        words |= {f"{at}.name": rubric.name, f"{at}.definition": rubric.definition}
        words |= {f"{at}.levels[{label}]": level for label, level in zip(LABELS, rubric.levels, strict=True)}
    return words


def _fill(template: str, words: Mapping[str, str]) -> str:
    # One pass over the template's own markers: inserted text that happens to hold a marker stays as it is.
    pieces: list[str] = []
    rest = template
    while True:
        found = [(at, key) for key in words if (at := rest.find("{" + key + "}")) >= 0]
        if not found:
            return "".join([*pieces, rest])
        at, key = min(found)
        pieces += [rest[:at], words[key]]
        rest = rest[at + len(key) + 2 :]


def _as_messages(turns: Sequence[Turn], *, me: Speaker) -> list[Message]:
    return [Message("assistant" if turn.speaker is me else "user", turn.text) for turn in turns]
