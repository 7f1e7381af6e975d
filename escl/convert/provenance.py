"""Where a checkpoint came from: repository and revision when the folder shows them, a hash of every file read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A Hugging Face repository and the commit that was downloaded, as far as the folder tells."""

    repository: str | None
    revision: str | None


def origin_of(folder: Path) -> Origin:
    """Return where huggingface_hub downloaded `folder` from; unknown parts are None.

    A cache snapshot is .../models--owner--repo/snapshots/<commit>; a download to a folder of one's own leaves
    .cache/huggingface/download/<file>.metadata, whose first line is the commit.
    """
    real = folder.resolve()
    repository_folder = real.parent.parent.name
    if real.parent.name == "snapshots" and repository_folder.startswith("models--"):
        return Origin(repository=repository_folder.removeprefix("models--").replace("--", "/", 1), revision=real.name)
    return Origin(repository=None, revision=_downloaded_revision(real))


def _downloaded_revision(folder: Path) -> str | None:
    revisions = set()
    for path in (folder / ".cache" / "huggingface" / "download").glob("*.metadata"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < _CHUNK_BYTES:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            revisions.add(lines[0] if lines else "")
    # Files of several commits: no single revision would be true.
    revision = revisions.pop() if len(revisions) == 1 else ""
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def origin_metadata(origin: Origin) -> dict[str, str]:
    """Return the GGUF keys that say where the source came from."""
    known = {"escl.source.repository": origin.repository, "escl.source.revision": origin.revision}
    return {key: value for key, value in known.items() if value is not None}


def file_metadata(paths: Sequence[Path], sha256: Sequence[str]) -> dict[str, list[str]]:
    """Return the GGUF keys that name every source file and its hash, in the same order."""
    return {"escl.source.files": [path.name for path in paths], "escl.source.sha256": list(sha256)}
