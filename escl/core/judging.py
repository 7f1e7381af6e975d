"""The words around a comparison: two dialogues on the same role card, one criterion, a verdict from 0 to 4.

A judging rubric is one TOML or JSON file. Owns its format and how its words are put together; knows no model and no
template. Text of dialogues is inserted literally, and each turn is one line, so that no utterance can forge a turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.core import strict
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import fill
from escl.core.user_home import user_home
from escl.core.wording import ScorerPrompt
from escl.errors import ProtocolError

_BUILT_IN: Final = Path(__file__).parent / "judging_rubrics"
_MARKERS: Final = ("{criterion}", "{first}", "{second}", "{name}")
_MAX_CHARS: Final = 8000


class Criterion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In what respect two supporters are compared.

    Attributes:
        name: What the question calls it.
        definition: What makes one of the two better.
    """

    name: str
    definition: str


class JudgingWording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judging rubric's words in one language.

    Attributes:
        prompt: User message to the judge; `{criterion}` comes first, then `{first}` and `{second}`, the dialogues;
            `{name}` is the criterion's name. It asks for a label: 0 the first is clearly better, 1 somewhat, 2 both are
            equally good, 3 the second is somewhat better, 4 clearly.
        seeker_label: How a seeker's line begins.
        supporter_label: How a supporter's line begins.
        criteria: By dimension; those left out cannot be compared.
        judge_system: System message of the judge; None leaves the judge's own default.
    """

    prompt: str
    seeker_label: str
    supporter_label: str
    criteria: dict[Dimension, Criterion]
    judge_system: str | None = None


class JudgingRubric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judging rubric in all its languages.

    Attributes:
        name: What `--rubric` calls it.
        version: Changes whenever a word changes that a judge reads.
        languages: The words by language.
    """

    name: str
    version: int
    languages: dict[Language, JudgingWording]

    def sha256(self) -> str:
        """Return the hash of every word of the rubric, 64 hex digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def transcript(self, language: Language, turns: Sequence[Turn]) -> str:
        """Return a dialogue as the judge reads it, one line for each turn.

        Raises:
            ProtocolError: The rubric does not speak the language.
        """
        wording = self._wording(language)
        label = {Speaker.SEEKER: wording.seeker_label, Speaker.SUPPORTER: wording.supporter_label}
        return "\n".join(label[turn.speaker] + " ".join(turn.text.split()) for turn in turns)

    def question(self, language: Language, dimension: Dimension, first: str, second: str) -> ScorerPrompt:
        """Return the question which of two transcripts is better, cut where the first begins.

        Raises:
            ProtocolError: The rubric does not speak the language, or has no such criterion in it.
        """
        wording = self._wording(language)
        if dimension not in wording.criteria:
            known = ", ".join(wording.criteria)
            raise ProtocolError(f"judging rubric {self.name} has no criterion {dimension.value}; it has {known}")
        criterion = wording.criteria[dimension]
        before, after = wording.prompt.split("{first}")
        words = {"criterion": criterion.definition, "name": criterion.name, "second": second}
        return ScorerPrompt(system=wording.judge_system, prefix=fill(before, words), rest=first + fill(after, words))

    def _wording(self, language: Language) -> JudgingWording:
        if language not in self.languages:
            known = ", ".join(self.languages)
            raise ProtocolError(
                f"judging rubric {self.name} has no words for language {language.value}; it has {known}"
            )
        return self.languages[language]


def known_rubrics() -> dict[str, Path]:
    """Return the judging rubrics by the name that `--rubric` takes; what ships with escl goes before the user's."""
    found: dict[str, Path] = {}
    for folder in (_BUILT_IN, user_home() / "judging_rubrics"):
        for path in sorted([*folder.glob("*.toml"), *folder.glob("*.json")]):
            found.setdefault(path.stem, path)
    return found


def load_rubric(name_or_path: str) -> JudgingRubric:
    """Return the built-in judging rubric of that name, one of the user's, or the one in the file at that path.

    Raises:
        ProtocolError: No such rubric, or the file is malformed; the message names the field.
    """
    known = known_rubrics()
    path = known.get(name_or_path, Path(name_or_path))
    if not path.exists():
        raise ProtocolError(
            f"no judging rubric named {name_or_path}", hint=f"known: {', '.join(known)}, or a TOML or JSON file"
        )
    try:
        document = strict.read_document(path)
        if twice := strict.doubled_key(document):
            raise ValueError(f"the key {strict.quoted(twice)} is given twice in one table")
        return rubric_of(document)
    except ValueError as error:
        raise ProtocolError(f"{path}: {error}") from error


def rubric_of(document: object) -> JudgingRubric:
    """Return the judging rubric in a document that was read from TOML or JSON.

    Raises:
        ValueError: It is malformed; the message names the field.
    """
    try:
        rubric = msgspec.convert(document, JudgingRubric)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if not rubric.languages:
        raise ValueError("languages holds no language")
    for language, wording in rubric.languages.items():
        _check(wording, f"languages.{language.value}")
    return rubric


def _check(wording: JudgingWording, where: str) -> None:
    if not wording.criteria:
        raise ValueError(f"{where}.criteria holds no criterion")
    for field, text in _words(wording).items():
        try:
            strict.paragraph(_MAX_CHARS)(text)
        except ValueError as error:
            raise ValueError(f"{where}.{field} {error}") from None
        if field.endswith(("label", "name")) and "\n" in text:
            raise ValueError(f"{where}.{field} holds a line break")
    for marker in _MARKERS:
        if (times := wording.prompt.count(marker)) != 1:
            raise ValueError(f"{where}.prompt holds {marker} {times} times, not once")
    places = [wording.prompt.index(marker) for marker in ("{criterion}", "{first}", "{second}")]
    if places != sorted(places):
        raise ValueError(f"{where}.prompt must have {{criterion}}, {{first}} and {{second}} in this order")


def _words(wording: JudgingWording) -> dict[str, str]:
    """Return every text of the wording by its field."""
    words = {key: text for key, text in msgspec.structs.asdict(wording).items() if isinstance(text, str)}
    for dimension, criterion in wording.criteria.items():
        at = f"criteria.{dimension.value}"
        words |= {f"{at}.name": criterion.name, f"{at}.definition": criterion.definition}
    return words
