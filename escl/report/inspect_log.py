"""A run as logs of Inspect (inspect.aisi.org.uk), so that its viewer and its data frames show escl's dialogues.

The form is version 2 of Inspect's EvalLog in JSON, which its `read_eval_log` reads. One log holds one supporter on one
set of cards, because a log has one mean for each score. Nothing is made up: what escl does not know is left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from escl import __version__
from escl.core.dialogue import Speaker
from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.core.message import as_text
from escl.core.printable import printable
from escl.core.settings import fingerprint
from escl.errors import StorageError, UsageError
from escl.evaluation.results import Results, results_of
from escl.report.dialogue_lines import DialogueLine, ReadLabel, dialogue_lines
from escl.report.esc_eval import ExportedFile
from escl.report.terminal import LIMITS
from escl.shelf.written import write_whole
from escl.stats.summary import Tally
from escl.store.run import RunStore

Json = Mapping[str, object]

VERSION: Final = 2
_UNSAFE: Final = re.compile(r"[^\w.-]+")


def export_inspect(store: RunStore, path: Path, folder: Path, *, judging_id: int | None = None) -> list[ExportedFile]:
    """Write a run into `folder`: a log for each supporter and language, crisis cards apart.

    Raises:
        StorageError: A file is there already, or the disk refuses.
        UsageError: Two logs would have one name.
    """
    results = results_of(store, judging_id=judging_id)
    logs: dict[tuple[str, Language, bool], list[DialogueLine]] = {}
    for line in dialogue_lines(store, path, judging_id=judging_id):
        is_crisis = line.card is not None and line.card.crisis is not None
        logs.setdefault((line.supporter, line.language, is_crisis), []).append(line)
    files: dict[Path, tuple[bytes, int, int]] = {}
    for (supporter, language, crisis), lines in logs.items():
        name = _UNSAFE.sub("_", supporter).lstrip(".") or "_"
        file = folder / f"{name}_{language.value}{'_crisis' if crisis else ''}.json"
        if file in files:
            raise UsageError(f"two supporters would both be written to {file}")
        scores = [
            _score(cell, name, scorer)
            for name, scorer, cell in _cells(results)
            if (cell.supporter, cell.language, cell.crisis) == (supporter, language, crisis)
        ]
        done = [line for line in lines if line.state in ("complete", "failed")]
        log = _log(store, results, lines=lines, done=done, scores=scores)
        files[file] = msgspec.json.format(msgspec.json.encode(log, enc_hook=as_text)), len(done), len(lines) - len(done)
    there = next((file for file in files if file.exists()), None)
    if there is not None:
        raise StorageError(f"{there} is there already", hint="name a new folder; nothing was written")
    for file, (content, _, _) in files.items():
        write_whole(file, content + b"\n")
    return [ExportedFile(path=str(file), n_dialogues=n, n_left_out=left) for file, (_, n, left) in files.items()]


def _cells(results: Results) -> Iterator[tuple[str, str, Tally]]:
    """Yield every cell with its dimension's key and its scorer, those of the user's own dimensions at the end."""
    yield from ((cell.dimension.value, results.scorer or "", cell) for cell in results.cells)
    yield from ((own.dimension.key, own.scorer, cell) for own in results.own for cell in own.cells)


def _log(
    store: RunStore, results: Results, *, lines: list[DialogueLine], done: list[DialogueLine], scores: list[Json]
) -> Json:
    first, attempts = lines[0], store.attempts()
    if not attempts:
        raise store.database.damaged("the run", "no command has worked on it")
    crisis = first.card is not None and first.card.crisis is not None
    identity = f"{first.generation} {first.supporter} {first.language} {crisis} {results.scorer}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:22]
    started = attempts[0].started_utc
    ended = attempts[-1].ended_utc
    return {
        "version": VERSION,
        "status": "success" if len(done) == len(lines) and results.is_complete else "cancelled",
        "eval": {
            "eval_id": key,
            "run_id": first.generation[:22],
            "task_id": key,
            "created": started,
            "task": f"escl/{first.language.value}{'-crisis' if crisis else ''}",
            "dataset": {
                "name": "crisis role cards" if crisis else "role cards",
                "samples": len({line.card_id for line in lines}),
                "sample_ids": list(dict.fromkeys(line.card_id for line in lines)),
            },
            "model": f"escl/{printable(first.supporter)}",
            "config": {"epochs": max(line.repeat for line in lines) + 1},
            "packages": {"escl": __version__, **attempts[-1].versions},
            "metadata": {
                "generation_fingerprint": fingerprint(store.settings),
                "protocol": results.protocol,
                "scorer": results.scorer,
                "models": results.models,
                "notices": [*results.notices, LIMITS],
            },
        },
        "results": {
            "total_samples": len(lines),
            "completed_samples": sum(line.state == "complete" for line in lines),
            "scores": scores,
        },
        "stats": {"started_at": started, **({} if ended is None else {"completed_at": ended})},
        "samples": [_sample(line) for line in done],
    }


def _score(cell: Tally, name: str, scorer: str) -> Json:
    """Return a dimension's mean label (0-4) with its cluster-robust standard error, where there is one."""
    known = {"mean": cell.score.mean, "stderr": cell.score.error}
    values = {each: value / LABEL_TO_PERCENT for each, value in known.items() if value is not None}
    return {
        "name": name,
        "scorer": scorer,
        "scored_samples": cell.n_used,
        "unscored_samples": cell.n_asked - cell.n_used,
        "metrics": {each: {"name": each, "value": value} for each, value in values.items()},
        "metadata": {"label_counts": cell.label_counts, "clustered_by": "card", "failed": cell.failed},
    }


def _sample(line: DialogueLine) -> Json:
    messages = list(_messages(line))
    greeting = line.turns[0].text if line.turns and line.turns[0].speaker is Speaker.SUPPORTER else None
    sample: dict[str, object] = {
        "id": line.card_id,
        "epoch": line.repeat + 1,
        "input": next((message["content"] for message in messages if message["role"] == "user"), ""),
        "target": "",
        "messages": messages,
        "scores": {
            **{dimension.value: _read(found) for dimension, found in line.readings.items()},
            **{key: _read(found) for key, found in line.own.items()},
        },
        "metadata": {
            "card": line.card,
            "greeting": greeting,
            "failures": line.failures,
            "note": "The user is a model too, which played the card; the supporter did not see the card.",
        },
    }
    if line.state == "failed" and line.failures:
        first = line.failures[0]
        sample["error"] = {"message": f"{first.error}: {first.message}", "traceback": "", "traceback_ansi": ""}
    return sample


def _messages(line: DialogueLine) -> Iterator[dict[str, str]]:
    """Yield the turns as the supporter met them: without the greeting, the seeker as the user."""
    for at, turn in enumerate(line.turns):
        if at > 0 or turn.speaker is Speaker.SEEKER:
            yield {"role": "user" if turn.speaker is Speaker.SEEKER else "assistant", "content": turn.text}


def _read(found: ReadLabel) -> Json:
    """Return a reading as a score: the expected label, or where there is no label a value that says so."""
    return {
        "value": found.expected if found.expected is not None else "no label",
        "answer": None if found.label is None else str(found.label),
        "explanation": found.reply,
        "metadata": {"probabilities": found.probabilities, "off_label_mass": found.off_label_mass},
    }
