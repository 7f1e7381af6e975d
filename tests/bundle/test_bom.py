"""The bill of materials is CycloneDX 1.6 and names every model, adapter and package with its hash."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from escl.bundle.contents import gather
from escl.bundle.create import create
from escl.bundle.wheels import read_wheels, wheel_items
from escl.core.bundled import bundled
from escl.shelf.manifest import find_model


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bom")
    (folder / "wheels").mkdir()
    with zipfile.ZipFile(folder / "wheels" / "escl-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("escl-0.1.0.dist-info/METADATA", "Name: escl\nVersion: 0.1.0\nLicense-Expression: MIT\n")
    wheels = read_wheels(folder / "wheels")
    contents = gather(
        models=["demo/seeker", "demo/scorer"], cards=[bundled("role_cards") / "en.toml"], wheels=wheel_items(wheels)
    )
    create(folder / "bundle", contents, wheels=wheels)
    text = (folder / "bundle" / "bom.cdx.json").read_text(encoding="utf-8")
    return text, json.loads(text)


def test_it_follows_the_schema_and_the_schema_can_refuse(bom: tuple[str, dict[str, Any]]) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bom[0]) is None
    assert validator.validate_str(bom[0].replace('"machine-learning-model"', '"model"', 1)) is not None


def test_it_names_every_file_that_runs_with_its_hash(bom: tuple[str, dict[str, Any]]) -> None:
    scorer = find_model("demo/scorer")
    components = bom[1]["components"]
    adapters = [inner for component in components for inner in component.get("components", [])]
    hashes = {component["bom-ref"]: component["hashes"][0]["content"] for component in [*components, *adapters]}
    assert hashes["home/gguf/demo/scorer.gguf"] == scorer.sha256
    assert {digest for _, digest in scorer.adapters.values()} <= set(hashes.values())
    cards = (bundled("role_cards") / "en.toml").read_bytes()
    assert hashes["home/cards/en.toml"] == hashlib.sha256(cards).hexdigest()
    (package,) = [component for component in components if component["type"] == "library"]
    assert (package["purl"], package["licenses"]) == ("pkg:pypi/escl@0.1.0", [{"license": {"name": "MIT"}}])


def test_a_models_card_says_what_it_is_and_how_it_is_stored(bom: tuple[str, dict[str, Any]]) -> None:
    (seeker,) = [component for component in bom[1]["components"] if component["name"] == "demo/seeker"]
    assert seeker["modelCard"]["modelParameters"]["modelArchitecture"] == "qwen2"
    assert "A toy" in seeker["modelCard"]["considerations"]["technicalLimitations"][0]
    properties = {entry["name"]: entry["value"] for entry in seeker["properties"]}
    assert properties["escl:role"] == "seeker"
    assert properties["escl:tensor-types"].startswith("Q8_0 ")
