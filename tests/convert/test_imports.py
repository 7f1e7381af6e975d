"""Naming the converter is cheap and has no effects; llama.cpp is loaded by nobody but the quantizer's child."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("numpy", "gguf", "safetensors", "llama_cpp", "sentencepiece", "tokenizers")


def loaded_by(code: str) -> set[str]:
    """Return which heavy packages are loaded after `code` ran in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    return set(child.stdout.split())


def test_importing_the_interface_loads_nothing_heavy() -> None:
    assert loaded_by("import escl.convert, escl.cli.convert") == set()


def test_the_converter_itself_does_not_load_llama_cpp() -> None:
    assert "llama_cpp" not in loaded_by("import escl.convert.flow")
