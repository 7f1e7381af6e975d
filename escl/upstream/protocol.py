"""ESC-Eval's protocol, put together from the user's copy of its scripts and written where `--protocol` finds it.

escl ships none of its words: the repository has no licence, and the scorer needs them to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from escl.convert.system_prompt import default_system_prompt
from escl.core.dialogue import Speaker
from escl.core.dimension import Language
from escl.core.protocol import Protocol, protocol_of, user_protocols
from escl.core.wording import Origin, Rubric, Wording
from escl.errors import ProtocolError
from escl.shelf.gguf_header import Array, read_gguf_header
from escl.shelf.manifest import is_there, locate_model, sha256_of
from escl.shelf.written import write_whole
from escl.upstream.evaluate_script import EvaluateParts, read_evaluate
from escl.upstream.score_script import ScoreParts, read_score
from escl.upstream.script import find_scripts

NAME: Final = "esc-eval"
MODELING: Final = "modeling_internlm2.py"

_VERSION: Final = 1
_DEFAULT_SYSTEM_KEY: Final = "escl.chat.default_system_prompt"
_NO_SYSTEM_PROMPT: Final = (
    f"the scorer's system message is left open, so its own default holds; --modeling {MODELING} states it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPrompt:
    """The scorer's default system message, and the hash of the file it was read from when that is known."""

    text: str
    source_sha256: str | None


def read_protocol(path: Path, *, modeling: Path | None = None) -> Protocol:
    """Return ESC-Eval's protocol as its scripts state it.

    Args:
        path: Folder of ESC-Eval, or the zip file that GitHub makes of it.
        modeling: modeling_internlm2.py of internlm2-chat-7b, or the folder that holds it. When not given, esc-rank on
            the shelf is asked, whose GGUF file carries the text.

    Raises:
        ProtocolError: A file is missing or its shape differs; the message says what was expected where.
    """
    scripts = find_scripts(path, ("evaluate.py", "score.py"))
    evaluate, score = read_evaluate(scripts["evaluate.py"]), read_score(scripts["score.py"])
    system = _from_modeling(modeling) if modeling is not None else _from_shelf()
    sources = {name: script.sha256 for name, script in scripts.items()}
    if system is not None and system.source_sha256 is not None:
        sources[MODELING] = system.source_sha256
    protocol = Protocol(
        name=NAME,
        version=_VERSION,
        languages={language: _wording(language, evaluate, score, system) for language in Language},
        rewriting=score.rewriting,
        rounds=evaluate.rounds,
        sampling={Speaker.SEEKER: evaluate.seeker, Speaker.SUPPORTER: next(iter(evaluate.supporters.values()))},
        origin=Origin(sources=sources, supporters=evaluate.supporters, notes=tuple(_notes(evaluate, score, system))),
    )
    try:
        return protocol_of(msgspec.to_builtins(protocol))
    except ValueError as error:
        raise ProtocolError(f"{path}: what its scripts say is no protocol: {error}") from error


def _notes(evaluate: EvaluateParts, score: ScoreParts, system: SystemPrompt | None) -> Iterator[str]:
    if system is None:
        yield _NO_SYSTEM_PROMPT
    for label in evaluate.labels.values():
        if not any(old in label for old, _ in score.rewriting.replacements):
            # evaluate.py of the first months misspells a label.
            yield f"score.py does not rewrite the label {label} that this evaluate.py writes, though it means to"


def _wording(language: Language, evaluate: EvaluateParts, score: ScoreParts, system: SystemPrompt | None) -> Wording:
    return Wording(
        seeker_prompt=evaluate.openings[language].seeker_prompt,
        greeting=evaluate.openings[language].greeting,
        supporter_prompt=evaluate.supporter_prompt,
        seeker_label=evaluate.labels[Speaker.SEEKER],
        supporter_label=evaluate.labels[Speaker.SUPPORTER],
        scorer_system=None if system is None else system.text,
        scorer_prompt=score.question,
        rubrics={
            dimension: Rubric(name=score.names[dimension], definition=text, levels=None)
            for dimension, text in score.rubrics[language].items()
        },
    )


def _from_modeling(path: Path) -> SystemPrompt:
    file = path / MODELING if path.is_dir() else path
    text, problem = default_system_prompt(file)
    if text is None:
        raise ProtocolError(f"{file}: {problem}", hint=f"give {MODELING} of internlm/internlm2-chat-7b")
    return SystemPrompt(text=text, source_sha256=sha256_of(file))


def _from_shelf() -> SystemPrompt | None:
    """Return what esc-rank's GGUF file carries of its checkpoint; None when there is none that does."""
    if not is_there("esc-rank"):
        return None
    metadata = read_gguf_header(locate_model("esc-rank").path).metadata
    text = metadata.get(_DEFAULT_SYSTEM_KEY)
    if not isinstance(text, str):
        return None
    files, hashes = (metadata.get(key) for key in ("escl.source.files", "escl.source.sha256"))
    both = (
        zip(files.items, hashes.items, strict=False) if isinstance(files, Array) and isinstance(hashes, Array) else ()
    )
    known = {str(name): str(sha256) for name, sha256 in both}
    return SystemPrompt(text=text, source_sha256=known.get(MODELING))


def write_protocol(protocol: Protocol) -> Path:
    """Write the protocol to the user's folder, whole or not at all, and return the file.

    Raises:
        StorageError: The disk refuses.
    """
    path = user_protocols() / f"{protocol.name}.json"
    write_whole(path, msgspec.json.format(msgspec.json.encode(protocol), indent=2) + b"\n")
    return path
