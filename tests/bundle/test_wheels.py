"""Wheels are bundled only when they install escl by themselves, and pip checks their hashes on the far side."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from escl.bundle.contents import gather
from escl.bundle.create import create
from escl.bundle.opened import verify
from escl.bundle.wheels import check_complete, collect, here, read_wheels, wheel_items
from escl.errors import BundleError


def wheel(
    folder: Path, name: str, version: str, *, tag: str = "py3-none-any", needs: str = "", licence: str = ""
) -> Path:
    """Write a wheel that pip can install."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    inner = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        fields = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{licence}"
        archive.writestr(f"{inner}/METADATA", fields + (f"Requires-Dist: {needs}\n" if needs else ""))
        archive.writestr(f"{inner}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{inner}/RECORD", "")
    return path


def test_a_missing_package_is_said_and_named_wherever_else_pip_would_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheels"
    wheel(tmp_path / "elsewhere", "toy_engine", "2.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "elsewhere"))
    wheel(folder, "escl", "0.1.0", needs="toy-engine>=2")
    with pytest.raises(BundleError, match="toy-engine"):
        check_complete(folder, [], None)
    wheel(folder, "toy_engine", "1.0")
    with pytest.raises(BundleError, match="toy-engine"):
        check_complete(folder, [], None)
    wheel(folder, "toy_engine", "2.0")
    check_complete(folder, [], None)


def test_wheels_for_another_machine_are_checked_for_that_machine(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "escl", "0.1.0", needs="toy-engine")
    wheel(folder, "toy_engine", "1.0", tag="cp312-cp312-win_amd64")
    check_complete(folder, ["win_amd64"], "3.12")
    for platforms, python in ((["win_amd64"], "3.11"), (["macosx_11_0_arm64"], "3.12"), ([], None)):
        with pytest.raises(BundleError, match="toy-engine"):
            check_complete(folder, platforms, python)


def test_only_wheels_of_one_version_each_are_taken(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no folder"):
        read_wheels(tmp_path / "wheels")
    wheel(tmp_path / "wheels", "toy", "1.0")
    with pytest.raises(BundleError, match="no wheel of escl"):
        read_wheels(tmp_path / "wheels")
    wheel(tmp_path / "wheels", "escl", "0.1.0")
    wheel(tmp_path / "wheels", "toy", "2.0")
    with pytest.raises(BundleError, match="two versions of toy"):
        read_wheels(tmp_path / "wheels")
    (tmp_path / "wheels" / "toy-2.0.tar.gz").write_bytes(b"")
    with pytest.raises(BundleError, match="is no wheel"):
        read_wheels(tmp_path / "wheels")


@pytest.mark.parametrize(
    ("licence", "read"),
    [
        ("License-Expression: MIT\n", "MIT"),
        ("License: BSD\nClassifier: License :: OSI Approved :: Apache Software License\n", "BSD"),
        ("Classifier: License :: OSI Approved :: Apache Software License\n", "Apache Software License"),
        ("License: Lizenz für alle\n", "Lizenz für alle"),
        ("Classifier: License :: OSI Approved :: Frei für alle\n", "Frei für alle"),
        ("License: a whole\n        text\n", None),
        ("", None),
    ],
)
def test_a_packages_licence_is_what_its_metadata_state(tmp_path: Path, licence: str, read: str | None) -> None:
    wheel(tmp_path / "wheels", "escl", "0.1.0", licence=licence)
    assert read_wheels(tmp_path / "wheels")[0].licence == read


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_wheel_with_a_flipped_byte_anywhere_is_read_or_refused(tmp_path: Path, method: int) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "escl-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("escl-0.1.0.dist-info/METADATA", "Name: escl\nVersion: 0.1.0\n" + "License: MIT\n" * 9)
    whole, refused = path.read_bytes(), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read_wheels(folder)
        except BundleError:
            refused += 1
    assert refused > len(whole) // 4


def test_pip_installs_from_the_bundle_and_refuses_a_wheel_that_was_changed(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "escl", "0.1.0", needs="toy")
    wheel(folder, "toy", "1.0")
    wheels = read_wheels(folder)
    create(tmp_path / "bundle", gather(wheels=wheel_items(wheels)), wheels=wheels, target=here())
    assert verify(tmp_path / "bundle").problems == []

    def pip() -> subprocess.CompletedProcess[str]:
        words = [
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-index",
            "--find-links",
            "wheels",
            "--require-hashes",
        ]
        command = [sys.executable, "-m", "pip", "--isolated", *words, "-r", "wheels/requirements.txt"]
        return subprocess.run(command, cwd=tmp_path / "bundle", check=False, capture_output=True, text=True, timeout=60)

    assert "Would install escl-0.1.0 toy-1.0" in pip().stdout
    wheel(tmp_path / "bundle" / "wheels", "toy", "1.0", licence="License: changed\n")
    assert "DO NOT MATCH THE HASHES" in pip().stderr


def test_the_folder_is_filled_with_escl_and_what_it_needs_in_the_versions_installed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, folder = tmp_path / "there", tmp_path / "wheels"
    installed = metadata.version("mdurl")
    for version in (installed, "99.0"):
        wheel(there, "mdurl", version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(there))
    collect(folder, escl=str(wheel(tmp_path / "made", "escl", "0.1.0", needs="mdurl")), native=True)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "escl-0.1.0-py3-none-any.whl",
        f"mdurl-{installed}-py3-none-any.whl",
    ]
    check_complete(folder, [], None)
    with pytest.raises(BundleError, match="pip could not make the wheels"):
        collect(folder, escl=str(wheel(tmp_path / "other", "escl", "0.2.0", needs="nowhere")), native=True)
