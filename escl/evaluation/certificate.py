"""Certificates: what a comparison of two scorers found, as a file that reports cite.

Owns the file's form, where it is kept and which certificates speak about a judging. Computes no statistics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.message import Message
from escl.core.settings import JudgingSettings
from escl.core.user_home import user_home
from escl.errors import StorageError
from escl.shelf.written import write_whole
from escl.stats.agreement import Agreement
from escl.stats.equivalence import Verdict

_MAX_BYTES: Final = 1 << 20
_MAX_FILES: Final = 1000


class CertifiedScorer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the two that were compared.

    Attributes:
        adapters: sha256 of each adapter, by "language/dimension".
        kv_types: How keys and values were stored while it read.
    """

    name: str
    sha256: str
    size_bytes: int
    adapters: dict[str, str]
    kv_types: tuple[str, ...]


class CertifiedRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run whose dialogues both have read.

    Attributes:
        file: Its name, without the folder.
        scorer_judging: Fingerprint of the scorer's readings.
        against_judging: Fingerprint of the reference's.
    """

    file: str
    generation_fingerprint: str
    scorer_judging: str
    against_judging: str


class FidelityCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dimension in one language; crisis cards are apart."""

    language: Language
    dimension: Dimension
    crisis: bool
    agreement: Agreement


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found.

    Attributes:
        llama_cpp: Version of llama-cpp-python that both were read with.
        margin: Points of 100 that a mean may shift and still count as the same.
        verdict: Over all cells: equivalent when each is, different when one is.
        words: The verdict as a sentence.
    """

    kind: Literal["scorer fidelity"] = "scorer fidelity"
    form: Literal[1] = 1
    made_utc: str
    escl: str
    llama_cpp: str
    protocol: str
    protocol_sha256: str
    scorer: CertifiedScorer
    against: CertifiedScorer
    runs: tuple[CertifiedRun, ...]
    margin: float
    verdict: Verdict
    words: str
    cells: tuple[FidelityCell, ...]


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that speaks about the scorer of a run.

    Attributes:
        differences: In what the run was scored otherwise than the certificate's dialogues, in words.
    """

    file: str
    certificate: Certificate
    differences: tuple[str, ...]


def certificates_folder() -> Path:
    """Return where certificates are kept: in the user's folder."""
    return user_home() / "certificates"


def default_path(certificate: Certificate) -> Path:
    """Return the file of a certificate: the same comparison of the same runs replaces its own."""
    compared = (certificate.runs, certificate.margin)
    key = hashlib.sha256(msgspec.json.encode(compared)).hexdigest()[:8]
    scorer, against = certificate.scorer.sha256[:8], certificate.against.sha256[:8]
    return certificates_folder() / f"fidelity-{scorer}-{against}-{key}.json"


def write_certificate(certificate: Certificate, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    content = msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n"
    hint = "name another file with --out, or make the folder writable"
    if path.parent != certificates_folder() and not path.parent.is_dir():
        raise StorageError(f"{path} cannot be written: its folder is not there", hint=hint)
    write_whole(path, content, hint=hint)


def read_certificate(path: Path) -> Certificate:
    """Return the certificate in a file.

    Raises:
        ValueError: It cannot be read, is too large, or is no certificate.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"is larger than {_MAX_BYTES >> 20} MiB")
        return msgspec.json.decode(content, type=Certificate)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise ValueError(f"is no certificate: {error}") from error


def kept_certificates() -> Iterator[tuple[Path, Certificate | str]]:
    """Yield each file of the certificates' folder with its certificate, or with the reason why it is none."""
    for path in islice(sorted(certificates_folder().glob("*.json")), _MAX_FILES):
        try:
            yield path, read_certificate(path)
        except ValueError as error:
            yield path, str(error)


def citations(judging: JudgingSettings, kv_types: tuple[str, ...]) -> list[Citation]:
    """Return the kept certificates about the scorer of a judging, the latest first; broken files are passed over.

    Args:
        judging: Whose scorer and adapters must be those of the certificate, hash by hash.
        kv_types: How its keys and values were stored.
    """
    found = [
        Citation(file=path.name, certificate=kept, differences=tuple(_differences(kept, judging, kv_types)))
        for path, kept in kept_certificates()
        if isinstance(kept, Certificate) and _is_about(kept, judging, kv_types)
    ]
    return sorted(found, key=lambda citation: citation.certificate.made_utc, reverse=True)


def _is_about(kept: Certificate, judging: JudgingSettings, kv_types: tuple[str, ...]) -> bool:
    """Return whether a certificate says anything about a judging: one of a KV type only about readings with that."""
    if (kept.scorer.sha256, kept.scorer.adapters) != (judging.sha256, judging.adapters):
        return False
    if kept.scorer.sha256 != kept.against.sha256:
        return True
    return kept.scorer.kv_types == kv_types and kept.against.kv_types != kv_types


def _differences(kept: Certificate, judging: JudgingSettings, kv_types: tuple[str, ...]) -> Iterator[str]:
    if kept.protocol_sha256 != judging.protocol_sha256:
        yield Message("certificate.protocol", {"protocol": kept.protocol})
    if kept.llama_cpp != judging.llama_cpp:
        yield Message("certificate.engine", {"there": kept.llama_cpp, "here": judging.llama_cpp})
    if kept.scorer.kv_types != kv_types:
        there, here = (" and ".join(types) or "unknown" for types in (kept.scorer.kv_types, kv_types))
        yield Message("certificate.kv", {"there": there, "here": here})
