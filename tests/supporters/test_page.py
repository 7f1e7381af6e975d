"""Every file that docs/supporters.md shows is read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from escl.core.sampling import Sampling
from escl.shelf.manifest import load_manifest
from escl.supporters.outside import DIALECTS, EndpointSupporter, PythonSupporter
from escl.supporters.reference import outside_supporter

PAGE = (Path(__file__).parents[2] / "docs/supporters.md").read_text(encoding="utf-8")
TOML = {block.split("[")[1].split("]")[0]: block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)}


def written(folder: Path, block: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(block, encoding="utf-8")
    return path


def test_the_pages_manifest_of_a_model(tmp_path: Path) -> None:
    manifest = load_manifest(written(tmp_path, TOML["file"]))
    assert manifest.system_prompt == "You listen. Answer in two sentences."
    assert manifest.sampling == Sampling(temperature=0.6, top_p=0.9, top_k=20, repeat_penalty=1.0, max_tokens=300)


def test_the_pages_endpoint(tmp_path: Path) -> None:
    found = outside_supporter(str(written(tmp_path, TOML["endpoint"])))
    assert isinstance(found, EndpointSupporter)
    assert (found.dialect, found.key_env, found.concurrency) == ("vllm", "LAB_API_KEY", 8)
    assert all(f"`{dialect}`" in PAGE for dialect in DIALECTS)
    for reference in re.findall(r"escl run (http\S+)", PAGE):
        assert isinstance(outside_supporter(reference), EndpointSupporter)


def test_the_pages_python_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = outside_supporter(str(written(tmp_path, TOML["python"])))
    assert isinstance(found, PythonSupporter)
    assert (found.target, found.processes) == ("mine:Model", 2)
