"""No bit of a bundle can change unseen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from escl.bundle.opened import verify
from escl.errors import BundleError
from tests.bundles import make, signer


@pytest.mark.parametrize(
    ("name", "is_signed", "flips"),
    [("stick", True, 1000), ("stick", False, 300), ("b.tar", True, 500), ("b.tar", False, 100)],
)
def test_every_flipped_bit_is_found(tmp_path: Path, name: str, is_signed: bool, flips: int) -> None:
    (tmp_path / "media").mkdir()
    bundle = tmp_path / "media" / name
    make(bundle, by=signer(tmp_path) if is_signed else None)
    files = sorted(path for path in (tmp_path / "media").rglob("*") if path.is_file())
    assert len(files) > 5
    assert verify(bundle).problems == []
    luck = random.Random(4)
    unseen = []
    for number in range(flips):
        # Each file gets its share of flips, small ones such as the signature too.
        path = files[number % len(files)]
        sound = path.read_bytes()
        bit = luck.randrange(len(sound) * 8)
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        if _seems_sound(bundle):
            unseen.append((path.name, bit))
        path.write_bytes(sound)
    assert unseen == []
    assert verify(bundle).problems == []


def _seems_sound(bundle: Path) -> bool:
    try:
        return not verify(bundle).problems
    except BundleError:
        return False


def test_a_quick_check_finds_every_flip_in_manifest_sums_and_signature(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    make(folder, by=signer(tmp_path))
    luck = random.Random(5)
    for name in ("manifest.json", "SHA256SUMS", "manifest.sig"):
        path = folder / name
        sound = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(sound)
            damaged[luck.randrange(len(sound))] ^= 1 << luck.randrange(8)
            path.write_bytes(damaged)
            with pytest.raises(BundleError):
                verify(folder, full=False)
        path.write_bytes(sound)


def test_all_damaged_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    make(folder)
    damaged = ["home/gguf/toy/q8.gguf.part002", "licences/toy.txt"]
    for name in damaged:
        content = bytearray((folder / name).read_bytes())
        content[0] ^= 1
        (folder / name).write_bytes(content)
    problems = verify(folder).problems
    assert len(problems) == 2
    assert all(any(name in problem for problem in problems) for name in damaged)
