"""The shelf is looked at file by file: verified, never verified, changed, missing, malformed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from escl.core.protocol import known_protocols
from escl.doctor.finding import Finding
from escl.doctor.stock import certificate_findings, has_real_models, protocol_findings, shelf_findings
from escl.errors import ExitCode
from escl.shelf import hash_memo, manifest

CONTENT = b"GGUF, or so it says"
MANIFEST = """\
name = "mine"
role = "supporter"
description = "d"
architecture = "qwen2"
licence = "MIT"
[file]
path = "mine.gguf"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))
    (tmp_path / "gguf").mkdir()
    return tmp_path


def put(home: Path, *, promised: bytes | None = CONTENT, more: str = "") -> Path:
    path = home / "gguf" / "mine.gguf"
    path.write_bytes(CONTENT)
    promise = "" if promised is None else f'sha256 = "{hashlib.sha256(promised).hexdigest()}"\n'
    (home / "gguf" / "mine.toml").write_text(MANIFEST + promise + more)
    return path


def about(name: str) -> Finding:
    (found,) = (finding for finding in shelf_findings() if name in finding.said)
    return found


def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file count as large: too large to be hashed for a look."""
    for module in (manifest, hash_memo):
        monkeypatch.setattr(module, "LARGE_BYTES", 1)


def test_a_small_file_is_hashed_and_verified(home: Path) -> None:
    put(home)
    found = about("mine")
    assert found.state == "ok"
    assert found.said.startswith("verified: ")
    assert "demo/scorer" in found.said


def test_a_changed_file_fails(home: Path) -> None:
    put(home, promised=b"something else")
    found = about("mine")
    assert (found.state, found.exit_code) == ("fail", ExitCode.BAD_INPUT)
    assert "is not the file that its manifest names" in found.said
    assert found.to_do


def test_a_file_of_another_size_fails(home: Path) -> None:
    put(home, more="size_bytes = 5\n")
    assert about("mine").state == "fail"


def test_a_model_without_a_promised_hash_is_here_and_no_more(home: Path) -> None:
    put(home, promised=None)
    assert about("mine").said == "here, their manifests state no hash: mine"


def test_a_large_file_is_verified_only_as_long_as_it_is_as_it_was_when_hashed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch)
    path = put(home)
    never = about("mine")
    assert never.state == "warn"
    assert never.said.startswith("not hashed here")
    hash_memo.remember(path, manifest.sha256_of(path), folder=home)
    assert about("mine").said == "verified: mine"
    path.write_bytes(CONTENT + b"!")
    assert about("mine").state == "warn"
    hash_memo.remember(path, manifest.sha256_of(path), folder=home)
    assert about("mine").state == "fail"


def test_a_malformed_manifest_fails_and_hides_no_other_model(home: Path) -> None:
    put(home)
    (home / "gguf" / "broken.toml").write_text("name = 3")
    assert about("broken").state == "fail"
    assert about("demo/scorer").state == "ok"


def test_the_real_models_are_missed_until_they_are_here(home: Path) -> None:
    missed = about("esc-role")
    assert missed.state == "warn"
    assert "esc-rank" in missed.said
    assert not has_real_models()
    (home / "gguf" / "esc-role").mkdir()
    (home / "gguf" / "esc-role" / "esc-role-Q4_K_M.gguf").write_bytes(CONTENT)
    assert "esc-rank not here" in about("esc-rank").said
    assert "esc-role" not in about("esc-rank").said


def test_a_model_that_is_known_but_not_here_is_not_mentioned(home: Path) -> None:
    put(home).unlink()
    assert not any("mine" in finding.said for finding in shelf_findings())


def test_the_official_protocol_is_missed_until_it_is_imported() -> None:
    (found,) = protocol_findings()
    assert found.state == "warn"
    assert "escl protocol import" in (found.to_do or "")


def test_a_protocol_of_the_users_is_read_and_a_broken_one_fails(home: Path) -> None:
    (home / "protocols").mkdir()
    shutil.copy(known_protocols()["open"], home / "protocols" / "esc-eval.toml")
    (found,) = protocol_findings()
    assert (found.state, found.said) == ("ok", "open, esc-eval")
    (home / "protocols" / "mine.toml").write_text("name = 3")
    broken, rest = protocol_findings()
    assert (broken.state, broken.exit_code) == ("fail", ExitCode.BAD_INPUT)
    assert "mine.toml" in broken.said
    assert rest.said == "open, esc-eval"


def test_a_broken_certificate_is_named(home: Path) -> None:
    assert list(certificate_findings()) == []
    (home / "certificates").mkdir()
    (home / "certificates" / "x.json").write_text("{")
    (found,) = certificate_findings()
    assert found.state == "warn"
    assert "x.json" in found.said
