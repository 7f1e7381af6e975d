"""A run as ESC-Eval's own files: result/NAME.json as evaluate.py writes it, score/NAME.json as score.py does.

Owns the names of the files and which dialogues go where; `escl.store.upstream` owns their bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from escl.core.dimension import Dimension, lowest_digit
from escl.core.settings import ImportSettings
from escl.errors import StorageError, UsageError
from escl.evaluation.results import chosen_judging
from escl.store.records import DialogueRow
from escl.store.run import RunStore
from escl.store.upstream import SEEKER_LABEL, SUPPORTER_LABELS, result_json, score_json

_UNSAFE = re.compile(r"[^\w.-]+")


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written.

    Attributes:
        n_left_out: Planned dialogues that are not in it: not finished, or not read in all seven dimensions.
    """

    path: str
    n_dialogues: int
    n_left_out: int


def export_esc_eval(store: RunStore, folder: Path, *, judging_id: int | None = None) -> list[ExportedFile]:
    """Write a run into `folder` in upstream's formats.

    Upstream has a file for each supporter and language, with the card's place in the card file as the key. Imported
    dialogues go back to the file and key they came from. Repeats after the first get files of their own, and so do
    crisis cards: whoever averages a file averages no crisis dialogue into quality.

    Args:
        store: The run.
        folder: Made when it is not there.
        judging_id: Whose readings; by default those of the judging asked for last.

    Raises:
        StorageError: A file is there already, or the disk refuses.
        UsageError: Two supporters would share a file.
    """
    judging_id, _ = chosen_judging(store, judging_id)
    labels = {} if judging_id is None else _upstream_labels(store, judging_id)
    files: dict[Path, tuple[bytes, int, int]] = {}
    for name, planned in _by_file(store).items():
        spoken = {key: store.turns(row.id) for key, row in planned.items() if row.state == "complete"}
        content = result_json(spoken, **_turn_labels(store, planned))
        files[folder / "result" / f"{name}.json"] = content, len(spoken), len(planned) - len(spoken)
        read = {key: labels[row.id] for key, row in planned.items() if row.id in labels}
        if read:
            # score.py writes all seven labels of a dialogue or none.
            rated = {key: found for key, found in read.items() if len(found) == len(Dimension)}
            content = score_json(rated)
            files[folder / "score" / f"{name}.json"] = content, len(rated), len(planned) - len(rated)
    _write({path: content for path, (content, _, _) in files.items()})
    return [ExportedFile(path=str(path), n_dialogues=n, n_left_out=left) for path, (_, n, left) in files.items()]


def _by_file(store: RunStore) -> dict[str, dict[str, DialogueRow]]:
    """Return the planned dialogues by file name, then by key."""
    imported = isinstance(store.settings, ImportSettings)
    crisis = {card.id for card in store.cards().values() if card.crisis is not None}
    files: dict[str, dict[str, DialogueRow]] = {}
    owners: dict[str, str] = {}
    for row in store.dialogues():
        name = _file_name(row, imported=imported, crisis=row.card_id in crisis)
        if owners.setdefault(name.casefold(), row.supporter) != row.supporter:
            raise UsageError(f"{owners[name.casefold()]} and {row.supporter} would both be written to {name}.json")
        file = files.setdefault(name, {})
        file[row.card_id if imported else str(len(file))] = row
    return files


def _file_name(row: DialogueRow, *, imported: bool, crisis: bool) -> str:
    supporter = _UNSAFE.sub("_", row.supporter).lstrip(".") or "_"
    if imported:
        return supporter
    # score.py takes a file for Chinese when "zh" is anywhere in its name.
    apart = "_crisis" if crisis else ""
    return f"{supporter}_{row.language.value}{apart}" + (f"_repeat{row.repeat + 1}" if row.repeat else "")


def _turn_labels(store: RunStore, planned: Mapping[str, DialogueRow]) -> dict[str, str]:
    settings, protocol = store.settings, store.protocol
    labels = {"seeker_label": SEEKER_LABEL, "supporter_label": SUPPORTER_LABELS[0]}
    if isinstance(settings, ImportSettings) and settings.supporter_label:
        labels["supporter_label"] = settings.supporter_label
    elif protocol.rewriting:
        wording = protocol.wording(next(iter(planned.values())).language)
        labels = {"seeker_label": wording.seeker_label, "supporter_label": wording.supporter_label}
    return labels


def _upstream_labels(store: RunStore, judging_id: int) -> dict[int, dict[str, int]]:
    """Return upstream's labels by dialogue id and dimension, in upstream's order."""
    replies: dict[int, dict[Dimension, str]] = {}
    for reading in store.readings(judging_id):
        replies.setdefault(reading.dialogue_id, {})[reading.dimension] = reading.reply
    return {
        dialogue_id: {each.value: lowest_digit(found[each]) for each in Dimension if each in found}
        for dialogue_id, found in replies.items()
    }


def _write(files: Mapping[Path, bytes]) -> None:
    for path in files:
        # Not Path.exists: a name may be longer than the system takes.
        if os.path.lexists(path):
            raise StorageError(f"{path} is there already", hint="name a new folder; nothing was written")
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
