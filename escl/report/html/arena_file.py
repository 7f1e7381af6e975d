"""What `escl arena --json` printed, read again for a page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from escl.errors import StorageError
from escl.evaluation.arena_results import ArenaResults

_MAX_BYTES: Final = 256 << 20


class _Printed(msgspec.Struct, frozen=True):
    results: ArenaResults


def read_arena(path: Path) -> ArenaResults:
    """Return the results in a file of `escl arena --json`.

    Raises:
        StorageError: It cannot be read, is too large, or holds no arena.
    """
    hint = "`escl arena RUN... --json` prints such a file"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}", hint=hint) from error
    if len(content) > _MAX_BYTES:
        raise StorageError(f"{path} is larger than {_MAX_BYTES >> 20} MiB", hint=hint)
    try:
        return msgspec.json.decode(content, type=_Printed).results
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} holds no arena: {error}", hint=hint) from error
