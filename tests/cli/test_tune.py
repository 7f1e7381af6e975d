"""`escl tune` measures a file once, shows what it tried, and takes other quantizations of it along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.errors import ManifestError
from tests.tiny_gguf import Script, write_model

pytestmark = pytest.mark.model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return write_model(tmp_path / "mine-Q4_K_M.gguf", Script())


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["tune", *map(str, words)])


def tunings(*words: str | Path) -> dict[str, Any]:
    result = escl(*words, "--json", "--seconds", "15", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_file_and_its_other_quantizations_are_measured_once_and_shown(model: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "mine-IQ4_XS.gguf", Script(seed=1))
    (tmp_path / "mine-Q8_0.gguf").write_bytes(b"GGUF but broken")
    write_model(tmp_path / "another-Q8_0.gguf", Script())
    first = tunings(model)
    assert set(first) == {str(model), str(other)}
    for tuned in first.values():
        assert tuned["rates"]["source"] == "measured"
        assert set(tuned["rates"]["decode_tps"]) == {"1", "4", "8", "16", "32"}
        assert {trial["settings"]["repack"] for trial in tuned["trials"]} == {True, False}
    assert tunings(model) == first
    shown = escl(model, "--device", "cpu")
    assert "mine-Q8_0.gguf" in shown.stderr
    for words in ("prefill t/s", "for dialogue: weights", "for labels: weights", "measurements in", "(scorer)"):
        assert words in shown.stdout


def test_a_file_is_measured_again_when_asked(model: Path, tmp_path: Path) -> None:
    tunings(model)
    (kept,) = (tmp_path / "home" / "tuning").iterdir()
    old = kept.read_bytes()
    tunings(model, "--again")
    assert kept.read_bytes() != old


def test_a_model_that_is_not_there_is_an_error(model: Path) -> None:
    assert isinstance(escl(model.with_name("none.gguf")).exception, ManifestError)
