"""The words around an evaluation: prompts, greeting, transcript, rubrics, question.

A protocol is one TOML or JSON file (docs/protocol.md). Owns its format and how its words are put together; knows no
model and no template. Text of cards and dialogues is inserted literally, never interpreted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from escl.core import strict
from escl.core.card import RoleCard
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.core.sampling import Sampling
from escl.core.user_home import user_home
from escl.core.wording import Origin, Rewriting, Rubric, SamplingDefaults, ScorerPrompt, Wording
from escl.errors import ProtocolError

DEFAULT_ROUNDS: Final = 5

_BUILT_IN: Final = Path(__file__).parent / "protocols"
_MARKERS: Final = {"seeker_prompt": ("{card}",), "scorer_prompt": ("{rubric}", "{dialogue}", "{name}")}
_MAX_CHARS: Final = 8000

_Table = TypeVar("_Table", bound=msgspec.Struct)


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A protocol in all its languages.

    Attributes:
        name: What `--protocol` calls it.
        version: Changes whenever a word changes that a model reads.
        languages: The words by language.
        rewriting: How the transcript is made; left out, each turn is one line that begins with its label.
        rounds: Rounds of a dialogue, unless the user says otherwise.
        sampling: The same for how each speaker's replies are drawn; what the model's manifest says goes first.
        origin: Of an imported protocol.
    """

    # What is left out stays out of the hash too, so that a protocol keeps its hash when the format grows.
    name: str
    version: int
    languages: dict[Language, Wording]
    rewriting: Rewriting | UnsetType = UNSET
    rounds: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    sampling: dict[Speaker, SamplingDefaults] | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET

    def sha256(self) -> str:
        """Return the hash of every word and setting of the protocol, 64 hex digits."""
        words = msgspec.structs.replace(self, origin=UNSET)
        return hashlib.sha256(msgspec.json.encode(words, order="sorted")).hexdigest()

    def default_rounds(self) -> int:
        """Return the rounds of a dialogue when the user does not say."""
        return DEFAULT_ROUNDS if self.rounds is UNSET else self.rounds

    def default_sampling(self, speaker: Speaker) -> Sampling:
        """Return how a speaker's replies are drawn when neither the user nor the model's manifest says."""
        said = {} if self.sampling is UNSET else msgspec.structs.asdict(self.sampling.get(speaker, SamplingDefaults()))
        return msgspec.structs.replace(Sampling(), **{key: value for key, value in said.items() if value is not None})

    def labelled_as(self, *, seeker: str, supporter: str) -> Protocol:
        """Return the protocol with other labels in its transcripts, in every language."""
        relabelled = {
            language: msgspec.structs.replace(wording, seeker_label=seeker, supporter_label=supporter)
            for language, wording in self.languages.items()
        }
        return msgspec.structs.replace(self, languages=relabelled)

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
        prompt = fill(self.wording(card.language).seeker_prompt, {"card": card.text})
        return [Message("system", prompt), *_as_messages(turns, me=Speaker.SEEKER)]

    def supporter_messages(self, language: Language, turns: Sequence[Turn]) -> list[Message]:
        """Return what the supporter sees before its next turn, without the greeting, which it did not say."""
        prompt = self.wording(language).supporter_prompt
        return [Message("system", prompt), *_as_messages(turns[1:], me=Speaker.SUPPORTER)]

    def transcript(self, language: Language, turns: Sequence[Turn]) -> str:
        """Return the dialogue as the scorer reads it.

        Each turn is one line, so that no utterance can forge a turn, unless the protocol has a rewriting of its own.
        """
        wording = self.wording(language)
        label = {Speaker.SEEKER: wording.seeker_label, Speaker.SUPPORTER: wording.supporter_label}
        if self.rewriting is not UNSET:
            return self.rewriting.transcript(label[turn.speaker] + turn.text for turn in turns)
        return "\n".join(label[turn.speaker] + " ".join(turn.text.split()) for turn in turns)

    def may_forge(self, language: Language, text: str) -> bool:
        """Return whether the scorer could take something in an utterance for the beginning of another turn."""
        if self.rewriting is UNSET:
            return False
        wording = self.wording(language)
        labels = {wording.seeker_label, wording.supporter_label}
        labels |= {self.rewriting.transcript([label]) for label in labels}
        return any(label in text for label in labels if label)

    def scorer_prompt(self, language: Language, dimension: Dimension, turns: Sequence[Turn]) -> ScorerPrompt:
        """Return the question to the scorer about one dimension of one dialogue."""
        return self.question(language, self.wording(language).rubrics[dimension], turns)

    def question(self, language: Language, rubric: Rubric, turns: Sequence[Turn]) -> ScorerPrompt:
        """Return the question to the scorer about one dialogue by a rubric that need not be the protocol's."""
        wording = self.wording(language)
        before, after = wording.scorer_prompt.split("{dialogue}")
        words = {"rubric": rubric.text, "name": rubric.name}
        return ScorerPrompt(
            system=wording.scorer_system,
            prefix=fill(before, words),
            rest=self.transcript(language, turns) + fill(after, words),
        )


def user_protocols() -> Path:
    """Return the folder of the user's own protocols."""
    return user_home() / "protocols"


def known_protocols() -> dict[str, Path]:
    """Return the protocol files by the name that `--protocol` takes; what ships with escl goes before the user's."""
    found: dict[str, Path] = {}
    for folder in (_BUILT_IN, user_protocols()):
        for path in sorted([*folder.glob("*.toml"), *folder.glob("*.json")]):
            found.setdefault(path.stem, path)
    return found


def load_protocol(name_or_path: str) -> Protocol:
    """Return the built-in protocol of that name, one of the user's, or the one in the file at that path.

    Raises:
        ProtocolError: No such protocol, or the file is malformed; the message names the field.
    """
    known = known_protocols()
    path = known.get(name_or_path, Path(name_or_path))
    if not path.exists():
        hint = f"known: {', '.join(known)}, or a TOML or JSON file; ESC-Eval's own comes with `escl protocol import`"
        raise ProtocolError(f"no protocol named {name_or_path}", hint=hint)
    try:
        document = strict.read_document(path)
        if twice := strict.doubled_key(document):
            raise ValueError(f"the key {strict.quoted(twice)} is given twice in one table")
        return protocol_of(document)
    except ValueError as error:
        raise ProtocolError(f"{path}: {error}") from error


def protocol_of(document: object) -> Protocol:
    """Return the protocol in a document that was read from TOML or JSON.

    Raises:
        ValueError: It is malformed; the message names the field.
    """
    # Languages and rubrics are read one by one first: msgspec does not say under which key of a dict it failed.
    for language, wording in _tables(document, "languages"):
        for dimension, rubric in _tables(wording, "rubrics"):
            _convert(rubric, Rubric, f"languages.{language}.rubrics.{dimension}")
        _check(_convert(wording, Wording, f"languages.{language}"), f"languages.{language}")
    protocol = _convert(document, Protocol, "the file")
    if not protocol.languages:
        raise ValueError("languages holds no language")
    if protocol.rewriting is not UNSET:
        _check_rewriting(protocol.rewriting)
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


def _check_rewriting(rewriting: Rewriting) -> None:
    for text in (rewriting.separator, *(part for pair in rewriting.replacements for part in pair)):
        if printable(text) != text:
            raise ValueError("rewriting holds a control or hidden character")


def _words(wording: Wording) -> dict[str, str]:
    """Return every text of the wording by its field."""
    words = {key: text for key, text in msgspec.structs.asdict(wording).items() if isinstance(text, str)}
    for dimension, rubric in wording.rubrics.items():
        at = f"rubrics.{dimension.value}"
        words |= {f"{at}.name": rubric.name, f"{at}.definition": rubric.definition}
        words |= {f"{at}.levels[{label}]": level for label, level in enumerate(rubric.levels or ())}
    return words


def fill(template: str, words: Mapping[str, str]) -> str:
    """Return the template with each `{key}` replaced by its word; braces inside the words mean nothing."""
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
