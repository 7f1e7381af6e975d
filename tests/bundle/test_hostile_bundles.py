"""A bundle from an unknown hand writes nothing but what its manifest names, where escl looks for such files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from escl.bundle.install import install
from escl.bundle.manifest import Manifest, Part
from escl.bundle.opened import open_bundle, verify
from escl.bundle.paths import MANIFEST, SIGNATURE, SUMS, check_path, check_together
from escl.errors import BundleError
from tests.bundles import forge, make, signer, tree, with_file

BAD_PATHS = [
    "../x.toml", "home/gguf/../../x.toml", "/etc/x.toml", "C:/x.toml", "home/gguf/C:x.toml", "home\\gguf\\x.toml",
    "home/gguf/x.toml:stream", "home/gguf/nul.toml", "home/gguf/COM1.gguf", "home/gguf/lpt9/x.gguf", "home/gguf/Con",
    "home/gguf/x.toml.", "home/gguf/x.toml ", "home/gguf/ x.toml", "home/gguf/x /y.toml",
    "home/gguf/nul .toml", "home/gguf/a./x.toml", "home/gguf/.hidden.toml", "home/gguf/-x.toml",
    "home/gguf//x.toml", "home/gguf/./x.toml", "home/gguf/x\n.toml", "home/gguf/é.toml", "home/gguf/~/x.toml",
    "home/gguf/x.py", "home/gguf/x", "home/gguf/licences",
    "home/cards/licences/x", "home/hashes.json", "home/bundles.json", "home/bundles/x/manifest.json",
    "home/protocols/x.yaml", "home/other/x.toml", "other/x", "x", "", "home", "wheels",
    "home/gguf/" + "x" * 200 + ".toml",
]  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    make(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_name_that_leads_elsewhere_or_is_unsafe_on_any_system_is_refused(path: str) -> None:
    with pytest.raises(BundleError):
        check_path(path)


def test_a_licence_beside_a_model_may_be_called_what_its_source_calls_it() -> None:
    check_path("home/gguf/toy/licences/maker--toy/LICENSE")
    check_path("home/gguf/licences/maker--toy/LICENSE AGREEMENT v2.txt")


@pytest.mark.parametrize(
    "path", ["../evil.toml", "/tmp/evil.toml", "home/gguf/../../../evil.toml", "home/gguf/nul.toml"]
)
def test_a_well_formed_bundle_with_such_a_name_installs_nothing(bundle: Path, tmp_path: Path, path: str) -> None:
    forge(bundle, with_file(path))
    with pytest.raises(BundleError):
        install(bundle, tmp_path / "home")
    assert tree(tmp_path / "home") == {}
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "names",
    [
        ["home/gguf/a.toml", "home/gguf/A.toml"],
        ["home/gguf/a.toml", "home/gguf/a.toml"],
        ["home/gguf/a.toml", "home/GGUF/A.TOML"],
        ["home/gguf/a.toml", "home/gguf/a.toml/b.toml"],
        ["home/gguf/A.toml/b.toml", "home/gguf/a.TOML"],
        ["manifest.json", "MANIFEST.json"],
    ],
)
def test_names_that_are_one_file_on_some_system_are_refused(names: list[str]) -> None:
    with pytest.raises(BundleError):
        check_together(names)


def test_a_file_that_looks_like_a_part_of_another_is_refused(bundle: Path) -> None:
    forge(bundle, with_file("licences/toy.txt.part001"))
    (bundle / "licences" / "toy.txt.part001").write_bytes(b"x")
    assert verify(bundle).problems == []
    forge(bundle, lambda manifest: _in_parts(manifest, "licences/toy.txt"))
    with pytest.raises(BundleError, match="one file on some systems"):
        verify(bundle)


def _in_parts(manifest: Manifest, path: str) -> Manifest:
    files = tuple(
        msgspec.structs.replace(file, parts=(Part(size_bytes=file.size_bytes, sha256=file.sha256),))
        if file.path == path
        else file
        for file in manifest.files
    )
    return msgspec.structs.replace(manifest, files=files)


def _surplus(folder: Path) -> None:
    (folder / "home" / "gguf" / "more.toml").write_text("x")


def _missing(folder: Path) -> None:
    (folder / "licences" / "toy.txt").unlink()


def _longer(folder: Path) -> None:
    with (folder / "licences" / "toy.txt").open("ab") as file:
        file.write(b"!")


def _link(folder: Path) -> None:
    path = folder / "licences" / "toy.txt"
    shutil.move(path, folder.parent / "toy.txt")
    path.symlink_to(folder.parent / "toy.txt")


def _linked_folder(folder: Path) -> None:
    shutil.move(folder / "licences", folder.parent / "licences")
    (folder / "licences").symlink_to(folder.parent / "licences", target_is_directory=True)


def _pipe(folder: Path) -> None:
    path = folder / "licences" / "toy.txt"
    path.unlink()
    os.mkfifo(path)


def _linked_manifest(folder: Path) -> None:
    shutil.move(folder / MANIFEST, folder.parent / MANIFEST)
    (folder / MANIFEST).symlink_to(folder.parent / MANIFEST)


def _spelt_otherwise(folder: Path) -> None:
    content = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(content.replace(b"\n ", b"\n\t", 1))


def _huge_manifest(folder: Path) -> None:
    with (folder / MANIFEST).open("ab") as file:
        file.truncate(1 << 30)


def _nested_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b'{"files":' + b"[" * 100_000)


def _folders_without_end(folder: Path) -> None:
    folder.joinpath("wheels", *(["d"] * 40)).mkdir(parents=True)


@pytest.mark.parametrize(
    "damage",
    [
        _surplus, _missing, _longer, _link, _linked_folder, _pipe, _linked_manifest, _spelt_otherwise, _huge_manifest,
        _nested_manifest, _folders_without_end,
    ],
)  # fmt: skip
def test_what_is_not_exactly_the_manifests_is_refused_before_anything_is_written(
    bundle: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(bundle)
    with pytest.raises(BundleError):
        verify(bundle, full=False)
    with pytest.raises(BundleError):
        install(bundle, tmp_path / "home")
    assert tree(tmp_path / "home") == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"signer": null,', b'"signer": null, "signer": null,'),
        (b"{", b" {"),
        (b'"bundle"', b'"\\u0062undle"'),
        (b"5000", b"5000.0"),
        (b"5000", b"5e3"),
    ],
)
def test_a_manifest_has_one_spelling_even_when_its_sums_fit(bundle: Path, old: bytes, new: bytes) -> None:
    content = (bundle / MANIFEST).read_bytes()
    assert old in content
    changed = content.replace(old, new, 1)
    (bundle / MANIFEST).write_bytes(changed)
    text = (bundle / SUMS).read_text()
    text = text.replace(hashlib.sha256(content).hexdigest(), hashlib.sha256(changed).hexdigest())
    (bundle / SUMS).write_text(text)
    with pytest.raises(BundleError, match=MANIFEST):
        open_bundle(bundle)


@pytest.mark.parametrize("size_bytes", [-1, 1 << 43, 1 << 70])
def test_impossible_sizes_are_refused(bundle: Path, size_bytes: int) -> None:
    forge(bundle, with_file("home/gguf/big.gguf", size_bytes=size_bytes))
    with pytest.raises(BundleError):
        open_bundle(bundle)


def test_a_small_file_cannot_claim_gigabytes(bundle: Path) -> None:
    forge(bundle, with_file("home/gguf/big.toml", size_bytes=1 << 32))
    with pytest.raises(BundleError, match="such a file is small"):
        open_bundle(bundle)


def test_a_hundred_thousand_files_are_refused(bundle: Path) -> None:
    def many(manifest: Manifest) -> Manifest:
        one = manifest.files[0]
        files = tuple(msgspec.structs.replace(one, path=f"licences/{number:06}") for number in range(20_000))
        return msgspec.structs.replace(manifest, files=files)

    forge(bundle, many)
    with pytest.raises(BundleError, match="more than 10,000 files"):
        open_bundle(bundle)


def test_a_signature_by_another_key_than_the_named_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    make(folder, by=signer(tmp_path))
    named = open_bundle(folder).manifest.signer
    forge(folder, lambda manifest: manifest, by=signer(tmp_path, "other.key"))
    assert open_bundle(folder).manifest.signer != named
    content = (folder / MANIFEST).read_bytes()
    other = signer(tmp_path, "third.key").sign(content)
    old = (folder / SIGNATURE).read_bytes()
    text = (folder / SUMS).read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(other).hexdigest())
    (folder / SUMS).write_text(text)
    (folder / SIGNATURE).write_bytes(other)
    with pytest.raises(BundleError, match="not by the key that it names"):
        open_bundle(folder)


def test_a_signature_cannot_be_left_away(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    make(folder, by=signer(tmp_path))
    (folder / SIGNATURE).unlink()
    with pytest.raises(BundleError, match=r"lacks manifest\.sig"):
        open_bundle(folder)
