"""A bundle holds what was asked for, hashed as it was read, or is not made at all."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from escl.bundle.contents import Contents, Item, gather
from escl.bundle.create import create
from escl.bundle.install import install
from escl.bundle.opened import verify
from escl.core.bundled import bundled
from escl.core.protocol import known_protocols, load_protocol, user_protocols
from escl.errors import BundleError, EsclError, StorageError, UsageError
from escl.shelf.manifest import Manifest, ModelFile, ModelRole, find_model, load_manifest, manifest_path
from escl.shelf.source import Making, Source
from escl.shelf.written import write_manifest
from escl.upstream.protocol import read_protocol, write_protocol
from tests.bundles import contents, make, read_manifest, signer
from tests.esc_eval_scripts import write_scripts


def test_a_model_comes_with_its_manifest_and_every_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = find_model("demo/scorer")
    create(tmp_path / "bundle", gather(models=["demo/scorer"]))
    install(tmp_path / "bundle", tmp_path / "home")
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    carried = find_model("demo/scorer")
    assert carried.path.is_relative_to(tmp_path / "home")
    assert (carried.sha256, carried.sampling, carried.notice) == (shipped.sha256, shipped.sampling, shipped.notice)
    assert {key: digest for key, (_, digest) in carried.adapters.items()} == {
        key: digest for key, (_, digest) in shipped.adapters.items()
    }


def test_a_plain_gguf_file_gets_a_name_on_the_far_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "my-model.gguf"
    model.write_bytes(find_model("demo/warm").path.read_bytes())
    create(tmp_path / "bundle", gather(models=[str(model)]))
    install(tmp_path / "bundle", tmp_path / "home")
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    assert find_model("my-model").sha256 == find_model(str(model)).sha256
    assert load_manifest(manifest_path("my-model")).file.sha256 == find_model(str(model)).sha256


def test_a_manifest_without_hashes_gets_them_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "here"))
    shipped = load_manifest(manifest_path("demo/scorer"))
    for file in shipped.files():
        copy = tmp_path / "here" / "gguf" / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((bundled("gguf") / "demo" / file.path).read_bytes())
    bare = msgspec.structs.replace(
        shipped,
        file=ModelFile(path=shipped.file.path),
        adapters={
            language: {key: ModelFile(path=file.path) for key, file in by_dimension.items()}
            for language, by_dimension in shipped.adapters.items()
        },
    )
    write_manifest(tmp_path / "here" / "gguf" / "mine.toml", bare)
    create(tmp_path / "bundle", gather(models=["mine"]))
    install(tmp_path / "bundle", tmp_path / "there")
    assert load_manifest(tmp_path / "there" / "gguf" / "mine.toml") == shipped


def test_a_pulled_model_keeps_its_reference_its_origin_and_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "a" * 40
    here = tmp_path / "here"
    monkeypatch.setenv("ESCL_HOME", str(here))
    weights = find_model("demo/warm").path.read_bytes()
    file = ModelFile(path="toy-Q8_0.gguf", size_bytes=len(weights), sha256=hashlib.sha256(weights).hexdigest())
    manifest = Manifest(
        name="maker/toy:Q8_0",
        role=ModelRole.SUPPORTER,
        description="pulled",
        architecture="qwen2",
        licence="mit",
        licence_files=(ModelFile(path="licences/maker--toy/LICENSE AGREEMENT"),),
        licence_note="only on Sundays",
        file=file,
        source=Source(repo="maker/toy", revision=revision, files=(file,)),
        made=Making(quantization="Q8_0", converted=False, escl="0.1.0", pulled_on="2026-01-31"),
    )
    write_manifest(here / "gguf" / "hf.co" / "maker" / "toy" / "Q8_0.toml", manifest)
    (here / "gguf" / "hf.co" / "maker" / "toy" / file.path).write_bytes(weights)
    licence = here / "gguf" / "hf.co" / "maker" / "toy" / manifest.licence_files[0].path
    licence.parent.mkdir(parents=True)
    licence.write_bytes(b"The maker's licence.\n")
    assert create(tmp_path / "bundle", gather(models=["hf.co/maker/toy"])).models == ["hf.co/maker/toy:Q8_0"]
    there = install(tmp_path / "bundle", tmp_path / "there")
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "there"))
    assert find_model("hf.co/maker/toy:Q8_0").sha256 == file.sha256
    assert load_manifest(manifest_path("hf.co/maker/toy")) == manifest
    record = Path(there.record)
    carried = tmp_path / "there" / "gguf" / "hf.co" / "maker" / "toy" / "licences" / "maker--toy" / "LICENSE AGREEMENT"
    assert carried.read_text() == "The maker's licence.\n"
    assert "only on Sundays" in (record / "licences" / "README.txt").read_text()
    bom = (record / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom) is None
    assert f"pkg:huggingface/maker/toy@{revision}" in bom


def test_a_protocol_of_the_users_own_has_the_same_name_on_the_far_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "here"))
    user_protocols().mkdir(parents=True)
    (user_protocols() / "ward-7.toml").write_bytes(known_protocols()["open"].read_bytes())
    create(tmp_path / "bundle", gather(protocols=["ward-7"]))
    install(tmp_path / "bundle", tmp_path / "there")
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "there"))
    assert load_protocol("ward-7").sha256() == load_protocol("open").sha256()


def test_two_models_that_would_be_one_file_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.gguf").write_bytes(find_model("demo/warm").path.read_bytes())
    with pytest.raises(BundleError, match="two different files"):
        gather(models=[str(tmp_path / "a" / "m.gguf"), str(tmp_path / "b" / "m.gguf")])


def test_malformed_cards_and_protocols_are_not_carried(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[[card]]\nid = 1\n")
    with pytest.raises(EsclError):
        gather(cards=[bad])
    with pytest.raises(EsclError):
        gather(protocols=[str(bad)])
    with pytest.raises(UsageError, match="ships with escl"):
        gather(protocols=["open"])


def test_an_imported_protocol_is_carried_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "here"))
    write_protocol(read_protocol(write_scripts(tmp_path / "copy")))
    imported = load_protocol("esc-eval")
    create(tmp_path / "bundle", gather(protocols=["esc-eval"]))
    install(tmp_path / "bundle", tmp_path / "there")
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "there"))
    assert load_protocol("esc-eval") == imported


def test_weights_that_are_not_what_their_manifest_promises_are_not_bundled(tmp_path: Path) -> None:
    item = Item(path="home/gguf/m.gguf", source=b"other weights", sha256="0" * 64)
    with pytest.raises(BundleError, match="not the file its manifest names"):
        create(tmp_path / "bundle", Contents(items=(item,), models=(), protocols=(), cards=()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [b"", b"shorter", b"y" * 300_000, b"x" * 400_000])
def test_a_file_that_changes_while_it_is_bundled_is_noticed(tmp_path: Path, change: bytes) -> None:
    source = tmp_path / "m.gguf"
    source.write_bytes(b"x" * 300_000)
    item = Item(path="home/gguf/m.gguf", source=source)

    def change_it(done: int, _total: int) -> None:
        if done > 360_000:  # in the second reading
            source.write_bytes(change)

    with pytest.raises(BundleError, match="changed while the bundle was made"):
        create(
            tmp_path / "bundle",
            Contents(items=(item,), models=(), protocols=(), cards=()),
            volume_bytes=65_536,
            on_progress=change_it,
        )
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 4096, 4097])
def test_files_are_cut_only_where_they_are_larger_than_a_volume(tmp_path: Path, size: int) -> None:
    make(tmp_path / "bundle", {"home/gguf/m.gguf": bytes(range(256)) * 17 if size == 4352 else b"z" * size})
    (file,) = [file for file in read_manifest(tmp_path / "bundle").files if file.path == "home/gguf/m.gguf"]
    expected = [2048] * (size // 2048) + ([size % 2048] if size % 2048 else [])
    assert [part.size_bytes for part in file.parts] == (expected if size > 2048 else [])
    assert verify(tmp_path / "bundle").problems == []
    install(tmp_path / "bundle", tmp_path / "home")
    assert (tmp_path / "home" / "gguf" / "m.gguf").read_bytes() == b"z" * size


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="exists"):
        make(tmp_path / "bundle")
    with pytest.raises(StorageError, match="does not exist"):
        make(tmp_path / "no" / "bundle")
    with pytest.raises(UsageError, match="cannot name a bundle"):
        make(tmp_path / "what a name")


def test_the_sums_and_the_signature_can_be_checked_without_escl(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    make(folder, by=signer(tmp_path))
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=False)
    assert sums.returncode == 0
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(tmp_path / "maker.key.pub"), "-rawin"]
    words += ["-in", "manifest.json", "-sigfile", "manifest.sig"]
    try:
        found = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here")
    assert found.returncode == 0, found.stderr


def test_equal_contents_make_equal_entries_whatever_their_order(tmp_path: Path) -> None:
    turned = Contents(items=contents().items[::-1], models=(), protocols=(), cards=())
    create(tmp_path / "one", contents())
    create(tmp_path / "two", turned)
    entries = [
        [file for file in read_manifest(tmp_path / name).files if file.path != "bom.cdx.json"]
        for name in ("one", "two")
    ]
    assert entries[0] == entries[1]
