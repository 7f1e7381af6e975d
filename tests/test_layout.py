"""The top of the checkout shadows nobody: its folder gguf/ holds models, `import gguf` is the package from PyPI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_import_gguf_from_the_root_finds_the_package() -> None:
    code = "import gguf; print(gguf.GGUFWriter.__module__, gguf.__file__)"
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    module, file = child.stdout.split()
    assert module == "gguf.gguf_writer"
    assert not Path(file).is_relative_to(ROOT / "gguf")


def test_the_folder_gguf_holds_no_python() -> None:
    assert (ROOT / "gguf").is_dir()
    assert not list((ROOT / "gguf").rglob("*.py"))
