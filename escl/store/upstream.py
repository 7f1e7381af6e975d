"""Dialogues in the form that ESC-Eval's `evaluate.py` writes: a JSON object of lists of labelled strings.

Format read from haidequanbu/ESC-Eval, result/*.json: keys "0", "1", ...; each list alternates the two labels (with a
full-width colon), beginning and ending with the assistant.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.errors import DialogueFileError

_PREFIX = {Speaker.SUPPORTER: "AI assistant：", Speaker.SEEKER: "ESC-Role："}
_MAX_BYTES = 1 << 28
_HAN = re.compile("[\u4e00-\u9fff]")


def read_upstream(path: Path) -> dict[str, list[Turn]]:
    """Return the dialogues of an upstream result file by their key.

    Raises:
        DialogueFileError: Unreadable, or not of that form; the message names the dialogue and the message.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DialogueFileError(f"{path} is larger than {_MAX_BYTES >> 20} MiB")
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_key_once)
        found = msgspec.convert(document, dict[str, list[str]])
    except (OSError, ValueError, msgspec.ValidationError, RecursionError) as error:
        raise DialogueFileError(
            f"{path}: {error}", hint="expected a JSON object of lists of strings, as ESC-Eval's evaluate.py writes"
        ) from error
    if not found:
        raise DialogueFileError(f"{path} holds no dialogues")
    return {key: _turns(messages, f"{path}: dialogue {key}") for key, messages in found.items()}


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


def _turns(messages: list[str], where: str) -> list[Turn]:
    if len(messages) < 3:
        raise DialogueFileError(f"{where} has {len(messages)} messages; a greeting and one round are 3")
    turns = []
    speaker = Speaker.SUPPORTER
    for position, message in enumerate(messages):
        prefix = _PREFIX[speaker]
        if not message.startswith(prefix):
            raise DialogueFileError(f"{where}, message {position} does not begin with {prefix!r}")
        turns.append(Turn(speaker=speaker, text=message.removeprefix(prefix)))
        speaker = speaker.other
    return turns
