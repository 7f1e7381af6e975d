"""ESC-Eval's own files, to the byte: dialogues as `evaluate.py` writes them, labels as `score.py` does.

Formats read from haidequanbu/ESC-Eval, result/*.json and score/*.json: JSON objects with the keys "0", "1", ..., four
spaces deep, no ASCII escapes, no line break at the end. A result file has lists of labelled strings that alternate the
two labels (with a full-width colon), beginning and ending with the assistant; a score file has an object of seven
numbers for each dialogue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import LABELS, Dimension, Language
from escl.errors import DialogueFileError

SEEKER_LABEL: Final = "ESC-Role："
SUPPORTER_LABELS: Final = ("AI assistant：", "AI assitant：")
"""How a supporter's turn begins: as files have it now, and misspelt as those of ESC-Eval's first months."""

_Document = TypeVar("_Document", bound=dict[str, Any])

_MAX_BYTES = 1 << 28
_HAN = re.compile("[\u4e00-\u9fff]")


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """The dialogues of a result file by their key, and how their supporter is labelled."""

    dialogues: dict[str, list[Turn]]
    supporter_label: str


def read_upstream(path: Path) -> ResultFile:
    """Return the dialogues of an upstream result file.

    Raises:
        DialogueFileError: Unreadable, or not of that form; the message names the dialogue and the message.
    """
    found = _read(path, dict[str, list[str]], expected="lists of strings, as ESC-Eval's evaluate.py writes")
    label = _supporter_label(found)
    dialogues = {key: _turns(messages, label, f"{path}: dialogue {key}") for key, messages in found.items()}
    return ResultFile(dialogues=dialogues, supporter_label=label)


def read_scores(path: Path) -> dict[str, dict[Dimension, int]]:
    """Return the labels of an upstream score file by dialogue and dimension; -1 is score.py's sign for none.

    Raises:
        DialogueFileError: Unreadable, or not of that form; the message names the dialogue and the dimension.
    """
    expected = "the seven dimensions' labels by dialogue, as ESC-Eval's score.py writes"
    found = _read(path, dict[str, dict[Dimension, int]], expected=expected)
    for key, labels in found.items():
        missing = [dimension.value for dimension in Dimension if dimension not in labels]
        if missing:
            raise DialogueFileError(f"{path}: dialogue {key} has no label in {', '.join(missing)}")
        for dimension, label in labels.items():
            if label not in (-1, *LABELS):
                raise DialogueFileError(f"{path}: dialogue {key}, {dimension.value}: {label} is no label from 0 to 4")
    return found


def _read(path: Path, kind: type[_Document], *, expected: str) -> _Document:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise DialogueFileError(f"{path} is larger than {_MAX_BYTES >> 20} MiB")
        document = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_each_key_once)
        found: _Document = msgspec.convert(document, kind)
        # Half a surrogate pair, which JSON can escape, is no text that anything could store or write again.
        json.dumps(document, ensure_ascii=False).encode()
    except OSError as error:
        raise DialogueFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise DialogueFileError(f"{path}: {error}", hint=f"expected a JSON object of {expected}") from error
    if not found:
        raise DialogueFileError(f"{path} holds no dialogues")
    return found


def result_json(dialogues: Mapping[str, Sequence[Turn]], *, seeker_label: str, supporter_label: str) -> bytes:
    """Return the content of a result file, byte for byte as evaluate.py writes it."""
    label = {Speaker.SEEKER: seeker_label, Speaker.SUPPORTER: supporter_label}
    return _json({key: [label[turn.speaker] + turn.text for turn in turns] for key, turns in dialogues.items()})


def score_json(labels: Mapping[str, Mapping[str, int]]) -> bytes:
    """Return the content of a score file, byte for byte as score.py writes it: labels by dimension, by dialogue."""
    return _json(labels)


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=4).encode()


def _supporter_label(found: Mapping[str, Sequence[str]]) -> str:
    """Return the label that the file's first greeting has; the usual one when it has neither."""
    first = next(iter(found.values()))[:1]
    return next((label for label in SUPPORTER_LABELS if first and first[0].startswith(label)), SUPPORTER_LABELS[0])


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice, so one of its dialogues would be lost")
    return found


def language_of(turns: list[Turn]) -> Language:
    """Return the language the seeker speaks: Chinese where any seeker turn has a Han character.

    The seeker decides because a supporter may answer in the wrong language.
    """
    said = "".join(turn.text for turn in turns if turn.speaker is Speaker.SEEKER)
    return Language.CHINESE if _HAN.search(said) else Language.ENGLISH


def _turns(messages: list[str], supporter_label: str, where: str) -> list[Turn]:
    if len(messages) < 3:
        raise DialogueFileError(f"{where} has {len(messages)} messages; a greeting and one round are 3")
    label = {Speaker.SEEKER: SEEKER_LABEL, Speaker.SUPPORTER: supporter_label}
    turns = []
    speaker = Speaker.SUPPORTER
    for position, message in enumerate(messages):
        prefix = label[speaker]
        if not message.startswith(prefix):
            raise DialogueFileError(f"{where}, message {position} does not begin with {prefix!r}")
        turns.append(Turn(speaker=speaker, text=message.removeprefix(prefix)))
        speaker = speaker.other
    return turns
