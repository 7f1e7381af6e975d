"""Where the user's own files are: models, protocols, and what escl remembers between commands."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def user_home() -> Path:
    """Return `$ESCL_HOME`, else the platform's data folder for escl; it need not exist yet."""
    home = os.environ.get("ESCL_HOME")
    return Path(home) if home else Path(platformdirs.user_data_dir("escl", appauthor=False))
