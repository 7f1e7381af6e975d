"""Where the files that ship with escl are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled(name: str) -> Path:
    """Return the folder `name` ("gguf" or "role_cards") that ships with escl.

    Raises:
        FileNotFoundError: The installation lacks it.
    """
    in_wheel, in_checkout = _PACKAGE / "bundled" / name, _PACKAGE.parent / name
    if in_wheel.is_dir():
        return in_wheel
    # Installed, the package's neighbours are other packages, and one of them is named gguf.
    if (_PACKAGE.parent / "pyproject.toml").is_file() and in_checkout.is_dir():
        return in_checkout
    raise FileNotFoundError(f"this installation of escl lacks its {name}/ folder; install it again")
