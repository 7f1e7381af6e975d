"""Where a checkpoint came from: repository and revision when the folder shows them, a hash of every file read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from escl.convert.folder import snapshot_above

_MAX_METADATA_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A Hugging Face repository and the commit that was downloaded, as far as the folder tells."""

    repository: str | None
    revision: str | None


def origin_of(folder: Path) -> Origin:
    """Return where huggingface_hub downloaded `folder`, or a folder above it, from; unknown parts are None.

    A cache snapshot is .../models--owner--repo/snapshots/<commit>; a download to a folder of one's own leaves
    .cache/huggingface/download/<file>.metadata, whose first line is the commit.
    """
    real = folder.resolve()
    snapshot = snapshot_above(real)
    if snapshot is not None:
        repository = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
        return Origin(repository=repository, revision=snapshot.name)
    return Origin(repository=None, revision=_downloaded_revision(real))


def _downloaded_revision(folder: Path) -> str | None:
    revisions = set()
    for root in (folder, *folder.parents):
        logs = root / ".cache" / "huggingface" / "download" / folder.relative_to(root)
        for path in logs.glob("*.metadata"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < _MAX_METADATA_BYTES:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                revisions.add(lines[0] if lines else "")
        if revisions:
            break
    # Files of several commits: no single revision would be true.
    revision = revisions.pop() if len(revisions) == 1 else ""
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else None


def origin_metadata(origin: Origin) -> dict[str, str]:
    """Return the GGUF keys that say where the source came from."""
    known = {"escl.source.repository": origin.repository, "escl.source.revision": origin.revision}
    return {key: value for key, value in known.items() if value is not None}


def file_metadata(paths: Sequence[Path], sha256: Sequence[str]) -> dict[str, list[str]]:
    """Return the GGUF keys that name every source file and its hash, in the same order."""
    return {"escl.source.files": [path.name for path in paths], "escl.source.sha256": list(sha256)}
