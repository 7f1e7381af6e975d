"""What of an environment must not reach a child process that reads files of strangers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SECRET_NAME: Final = re.compile("token|secret|passw|credential|api_?key|access_?key|private_?key|auth|cookie", re.I)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables whose names do not say that they hold a secret."""
    return {name: value for name, value in environment.items() if not _SECRET_NAME.search(name)}
