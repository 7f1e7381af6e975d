"""An install is whole or not there, replaces nothing unasked, and takes no older bundle of the same signer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from escl.bundle import install as installing
from escl.bundle.install import install
from escl.bundle.manifest import Manifest, decode_manifest
from escl.bundle.trust import remember
from escl.errors import BundleError, StorageError
from tests.bundles import FILES, forge, make, signer, tree

INSTALLED = {path.removeprefix("home/"): content for path, content in FILES.items() if path.startswith("home/")}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    make(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_was_put_in_comes_out_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    installed = install(bundle, home)
    assert tree(home) == INSTALLED
    assert (Path(installed.record) / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()
    assert (Path(installed.record) / "licences" / "toy.txt").read_bytes() == FILES["licences/toy.txt"]
    assert set(INSTALLED) <= set(installed.written)


def test_a_second_install_writes_nothing(bundle: Path, tmp_path: Path) -> None:
    install(bundle, tmp_path / "home")
    again = install(bundle, tmp_path / "home")
    assert again.written == []
    assert tree(tmp_path / "home") == INSTALLED


def test_a_file_that_differs_is_replaced_only_when_asked(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "cards").mkdir(parents=True)
    (home / "cards" / "mine.toml").write_bytes(b"mine, from before")
    with pytest.raises(BundleError, match="exists and is another file"):
        install(bundle, home)
    assert tree(home) == {"cards/mine.toml": b"mine, from before"}
    install(bundle, home, replace=True)
    assert tree(home) == INSTALLED


@pytest.mark.parametrize("place", ["gguf", "cards/mine.toml"])
def test_a_link_in_the_home_is_never_followed(bundle: Path, tmp_path: Path, place: str) -> None:
    home, victim = tmp_path / "home", tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"untouched")
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).symlink_to(victim if place == "gguf" else victim / "file")
    for replace in (False, True):
        with pytest.raises(BundleError):
            install(bundle, home, replace=replace)
    assert tree(victim) == {"file": b"untouched"}


def test_a_pipe_in_the_home_is_not_taken_for_a_file(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "cards").mkdir(parents=True)
    os.mkfifo(home / "cards" / "mine.toml")
    with pytest.raises(BundleError, match="no plain file"):
        install(bundle, home, replace=True)
    assert list((home / "cards").iterdir()) == [home / "cards" / "mine.toml"]


def test_damage_in_the_last_file_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    path = bundle / "licences" / "toy.txt"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="sha256 differs"):
        install(bundle, tmp_path / "home")
    assert tree(tmp_path / "home") == {}


def test_an_install_stopped_anywhere_leaves_no_name_without_its_weights_and_can_be_repeated(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    n_steps = len(install(bundle, tmp_path / "first").written)
    for function in ("write_new", "_publish"):
        real = getattr(installing, function)
        for stop_at in range(n_steps):
            calls = iter(range(n_steps))

            def stopping(
                *args: object, real: object = real, calls: object = calls, at: int = stop_at, **kw: object
            ) -> None:
                if next(calls) == at:  # type: ignore[call-overload]
                    raise Stopped
                real(*args, **kw)  # type: ignore[operator]

            home = tmp_path / f"{function}-{stop_at}"
            monkeypatch.setattr(installing, function, stopping)
            with pytest.raises(Stopped):
                install(bundle, home)
            monkeypatch.setattr(installing, function, real)
            found = tree(home)
            assert all(INSTALLED[path] == content for path, content in found.items())
            assert "gguf/toy.toml" not in found or "gguf/toy/q8.gguf" in found
            install(bundle, home)
            assert tree(home) == INSTALLED


@pytest.mark.kill
def test_an_install_that_was_killed_is_done_by_the_same_command_and_leaves_no_rest(
    bundle: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    program = (
        "import os, sys; from pathlib import Path; from escl.bundle.install import install\n"
        "def die(done, total):\n"
        "    if done > 3000: os.kill(os.getpid(), 9)\n"
        "install(Path(sys.argv[1]), Path(sys.argv[2]), on_progress=die)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(bundle), str(home)], check=False, timeout=60)
    assert killed.returncode == -9
    assert list(home.glob(".bundle-*"))
    assert not (home / "gguf").exists()
    install(bundle, home)
    assert tree(home) == INSTALLED
    assert not list(home.glob(".bundle-*"))


def test_too_little_room_is_said_before_anything_is_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=100))
    with pytest.raises(StorageError, match="free"):
        install(bundle, tmp_path / "home")
    assert tree(tmp_path / "home") == {}


def test_two_installs_at_once_are_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with FileLock(tmp_path / "home" / ".bundle.lock"), pytest.raises(StorageError, match="another install"):
        install(bundle, tmp_path / "home")


def _made(folder: Path, created: str, *, by: str | None, keys: Path) -> Path:
    key = signer(keys, by) if by else None
    make(folder, by=key)
    forge(folder, lambda manifest: _dated(manifest, created), by=key)
    return folder


def _dated(manifest: Manifest, created: str) -> Manifest:
    return msgspec.structs.replace(manifest, created=created)


def test_a_bundle_older_than_the_newest_of_its_signer_is_refused(tmp_path: Path) -> None:
    old = _made(tmp_path / "old", "2026-01-01T00:00:00Z", by="a.key", keys=tmp_path)
    new = _made(tmp_path / "new", "2026-02-01T00:00:00Z", by="a.key", keys=tmp_path)
    others = _made(tmp_path / "others", "2025-01-01T00:00:00Z", by="b.key", keys=tmp_path)
    home = tmp_path / "home"
    install(new, home)
    with pytest.raises(BundleError, match="2026-02-01T00:00:00Z"):
        install(old, home)
    install(new, home)
    install(others, home)
    install(old, tmp_path / "fresh")
    install(new, tmp_path / "fresh")


def test_a_signer_that_cannot_be_noted_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _made(tmp_path / "first", "2026-01-01T00:00:00Z", by="a.key", keys=tmp_path)
    manifest = decode_manifest((made / "manifest.json").read_bytes())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "home").mkdir()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        remember(tmp_path / "home", manifest, trust=None)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_home_that_trusts_a_signer_takes_no_other_and_nothing_unsigned(tmp_path: Path) -> None:
    first = _made(tmp_path / "first", "2026-01-01T00:00:00Z", by="a.key", keys=tmp_path)
    second = _made(tmp_path / "second", "2026-01-02T00:00:00Z", by="a.key", keys=tmp_path)
    stranger = _made(tmp_path / "stranger", "2026-01-03T00:00:00Z", by="b.key", keys=tmp_path)
    unsigned = _made(tmp_path / "unsigned", "2026-01-04T00:00:00Z", by=None, keys=tmp_path)
    home = tmp_path / "home"
    a, b = signer(tmp_path, "a.key").public_key, signer(tmp_path, "b.key").public_key
    with pytest.raises(BundleError, match=f"signed by {a}, not by {b}"):
        install(first, home, trust=b)
    assert install(first, home, trust=a).is_trusted
    for refused in (stranger, unsigned):
        with pytest.raises(BundleError, match="takes bundles signed by"):
            install(refused, home)
    assert install(second, home).is_trusted
    assert install(stranger, home, trust=b).is_trusted
    assert not install(stranger, tmp_path / "fresh").is_trusted


def test_a_broken_memory_of_signers_is_no_empty_one(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "bundle", "2026-01-01T00:00:00Z", by="a.key", keys=tmp_path)
    install(bundle, tmp_path / "home")
    (tmp_path / "home" / "bundles.json").write_bytes(b'{"signers": ')
    with pytest.raises(BundleError, match=r"bundles\.json cannot be read"):
        install(bundle, tmp_path / "home")


def test_the_parts_of_a_large_file_are_no_larger_than_a_volume_and_are_joined(bundle: Path, tmp_path: Path) -> None:
    parts = sorted((bundle / "home" / "gguf").rglob("q8.gguf.part*"))
    assert [path.stat().st_size for path in parts] == [2048, 2048, 904]
    install(bundle, tmp_path / "home")
    assert (tmp_path / "home" / "gguf" / "toy" / "q8.gguf").read_bytes() == FILES["home/gguf/toy/q8.gguf"]
    assert (tmp_path / "home" / "gguf" / "toy" / "q8.gguf").stat().st_mode & 0o111 == 0
