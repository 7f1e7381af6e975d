"""An archive holds what the folder holds, any tar unpacks it, and it has one spelling only."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from escl.bundle.archive import header
from escl.bundle.install import install
from escl.bundle.opened import open_bundle, verify
from escl.errors import BundleError, UsageError
from tests.bundles import FILES, make, signer, tree


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    made = make(tmp_path / "b.tar", by=signer(tmp_path))
    return [Path(path) for path in made.paths]


def test_it_installs_what_a_folder_installs(tmp_path: Path) -> None:
    make(tmp_path / "stick")
    make(tmp_path / "whole.tar", volume_bytes=1 << 20)
    make(tmp_path / "cut.tar")
    assert (tmp_path / "whole.tar").is_file()
    assert (tmp_path / "cut.tar.003").is_file()
    homes = [tmp_path / f"home-{name}" for name in ("stick", "whole.tar", "cut.tar", "cut.tar.001")]
    for home in homes:
        install(tmp_path / home.name.removeprefix("home-"), home)
    assert all(tree(home) == tree(homes[0]) != {} for home in homes)


def test_no_volume_is_larger_than_asked_and_any_of_them_names_the_bundle(volumes: list[Path], tmp_path: Path) -> None:
    assert [path.name for path in volumes] == [f"b.tar.{number:03d}" for number in range(1, len(volumes) + 1)]
    assert {path.stat().st_size for path in volumes[:-1]} == {2048}
    assert 0 < volumes[-1].stat().st_size <= 2048
    fingerprints = {verify(path).fingerprint for path in (volumes[0], volumes[-1], tmp_path / "b.tar")}
    assert len(fingerprints) == 1


def test_tar_unpacks_the_joined_volumes_into_the_bundles_folder(volumes: list[Path], tmp_path: Path) -> None:
    joined = tmp_path / "joined.tar"
    joined.write_bytes(b"".join(path.read_bytes() for path in volumes))
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "xf", str(joined), "-C", str(tmp_path / "unpacked")], check=True)
    assert verify(tmp_path / "unpacked").problems == []
    assert verify(joined).fingerprint == verify(tmp_path / "unpacked").fingerprint
    assert (tmp_path / "unpacked" / "licences" / "toy.txt").read_bytes() == FILES["licences/toy.txt"]
    with tarfile.open(joined) as archive:
        assert all(member.isreg() for member in archive)


def test_a_missing_or_cut_volume_is_said(volumes: list[Path], tmp_path: Path) -> None:
    last = volumes[-1].read_bytes()
    volumes[-1].write_bytes(last[:-1])
    with pytest.raises(BundleError, match="manifest implies"):
        verify(tmp_path / "b.tar")
    volumes[-1].write_bytes(last)
    volumes[2].rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="manifest implies"):
        verify(tmp_path / "b.tar")
    volumes[0].unlink()
    with pytest.raises(BundleError, match="first volume"):
        verify(tmp_path / "b.tar")


def test_what_a_hostile_tar_adds_is_never_looked_at(tmp_path: Path) -> None:
    make(tmp_path / "b.tar", volume_bytes=1 << 20)
    sound = (tmp_path / "b.tar").read_bytes()
    link = tarfile.TarInfo("home/gguf/link.toml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for added in (link.tobuf(tarfile.USTAR_FORMAT), header("../evil.toml", 0), b"\0" * 512):
        (tmp_path / "b.tar").write_bytes(sound[:-1024] + added + sound[-1024:])
        with pytest.raises(BundleError):
            open_bundle(tmp_path / "b.tar")
        (tmp_path / "b.tar").write_bytes(added + sound)
        with pytest.raises(BundleError):
            open_bundle(tmp_path / "b.tar")


@pytest.mark.parametrize("content", [b"", b"\0" * 512, b"x" * 10_000, header("manifest.json", 1 << 32)])
def test_no_archive_of_ours_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(BundleError):
        verify(tmp_path / "b.tar")


def test_volumes_that_exist_are_not_mixed_with_new_ones(volumes: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        make(tmp_path / "b.tar", volume_bytes=1 << 20)
    with pytest.raises(UsageError, match="named as a volume"):
        make(tmp_path / "c.tar.001")
    assert verify(volumes[0]).problems == []
