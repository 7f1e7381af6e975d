"""`escl bundle` from the key to the installed model, and the exit codes on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from escl.errors import ExitCode
from escl.shelf.manifest import find_model

ROOT = Path(__file__).parents[2]


def escl(folder: Path, *words: str, code: ExitCode = ExitCode.OK) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESCL_")}
    found = subprocess.run(
        [sys.executable, "-c", program, "bundle", *words],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "ESCL_HOME": str(folder / "home"), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


def data(found: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def test_a_bundle_goes_from_one_machine_to_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = data(escl(tmp_path, "keygen", "maker.key", "--json"))["public_key"]
    words = ["--models", "demo/warm", "--sign", "maker.key", "--volume-size", "1MiB", "--json"]
    created = data(escl(tmp_path, "create", "stick", *words))
    assert created["signer"] == key
    verified = data(escl(tmp_path, "verify", "stick", "--trust", "maker.key.pub", "--json"))
    assert (verified["fingerprint"], verified["problems"]) == (created["fingerprint"], [])
    installed = data(escl(tmp_path, "install", "stick", "--trust", key, "--json"))
    assert "gguf/demo/warm.gguf" in installed["written"]
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    assert find_model("demo/warm").path == tmp_path / "home" / "gguf" / "demo" / "warm.gguf"


def test_damage_and_strangers_end_with_bad_input_and_are_named(tmp_path: Path) -> None:
    escl(tmp_path, "keygen", "maker.key")
    escl(tmp_path, "create", "stick", "--models", "demo/warm", "--sign", "maker.key")
    stranger = escl(tmp_path, "install", "stick", "--trust", "00" * 32, code=ExitCode.BAD_INPUT)
    assert "not by 0000" in stranger.stderr
    path = tmp_path / "stick" / "home" / "gguf" / "demo" / "warm.gguf"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    escl(tmp_path, "verify", "stick", "--quick")
    damaged = escl(tmp_path, "verify", "stick", code=ExitCode.BAD_INPUT)
    assert "damaged: home/gguf/demo/warm.gguf" in damaged.stdout
    escl(tmp_path, "install", "stick", code=ExitCode.BAD_INPUT)
    assert not (tmp_path / "home" / "gguf").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "stick"], ExitCode.USAGE, "nothing to put in"),
        (["create", "no/stick", "--models", "demo/warm"], ExitCode.STORAGE, "does not exist"),
        (["create", "stick", "--models", "demo/nobody"], ExitCode.BAD_INPUT, "no model named"),
        (["create", "stick", "--models", "demo/warm", "--sign", "no.key"], ExitCode.BAD_INPUT, "no.key"),
        (["create", "stick", "--models", "demo/warm", "--volume-size", "9GiB"], ExitCode.USAGE, "--volume-size"),
        (["create", "stick", "--wheels", "none"], ExitCode.BAD_INPUT, "escl bundle wheels none"),
        (["verify", "nothing"], ExitCode.BAD_INPUT, "no bundle"),
        (["install", "."], ExitCode.BAD_INPUT, "no manifest.json"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_code(tmp_path: Path, words: list[str], code: ExitCode, said: str) -> None:
    found = escl(tmp_path, *words, code=code)
    assert said in " ".join(found.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_keys_are_never_replaced_and_the_private_one_is_private(tmp_path: Path) -> None:
    escl(tmp_path, "keygen", "maker.key")
    assert (tmp_path / "maker.key").stat().st_mode & 0o077 == 0
    before = (tmp_path / "maker.key").read_bytes()
    escl(tmp_path, "keygen", "maker.key", code=ExitCode.USAGE)
    assert (tmp_path / "maker.key").read_bytes() == before
