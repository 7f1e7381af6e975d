"""Where the files that ship with escl are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled(name: str) -> Path:
    """Return the folder `name` ("gguf" or "role_cards") that ships with escl.

    Raises:
        FileNotFoundError: The installation lacks it.
    """
    for folder in (_PACKAGE / "bundled" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"this installation of escl lacks its {name}/ folder; install it again")
