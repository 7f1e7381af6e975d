"""The bill of materials of a bundle: CycloneDX 1.6 as JSON, with its models as machine-learning components.

Written by hand because cyclonedx-python-lib (11.12) knows no model cards; tests hold it against the schema that library
ships. Source: cyclonedx.org/docs/1.6/json. Values in, JSON out; touches no disk.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from escl import __version__
from escl.bundle.contents import CarriedModel, Contents
from escl.bundle.wheels import Wheel
from escl.core.printable import printable
from escl.shelf.gguf_header import GGUFHeader
from escl.shelf.source import Source

Json: TypeAlias = "str | int | Sequence[Json] | Mapping[str, Json]"

_TASKS: Final = {"scorer": "rating a dialogue", "judge": "rating a dialogue"}
_SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def bill_of_materials(
    name: str, created: str, contents: Contents, wheels: Sequence[Wheel], digests: Mapping[str, str]
) -> bytes:
    """Return the BOM of a bundle.

    Args:
        name: The bundle's.
        created: The bundle's, UTC.
        contents: What is in it.
        wheels: The packages among it.
        digests: SHA-256 by path inside the bundle.
    """
    models = [_model(model, digests) for model in contents.models]
    data = [_data(path, "definition", digests) for path in contents.protocols]
    data += [_data(path, "dataset", digests) for path in contents.cards]
    packages = [_package(wheel, digests) for wheel in wheels]
    components = [*models, *data, *packages]
    top = "escl-bundle"
    document: Json = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "tools": {"components": [{"type": "application", "name": "escl", "version": __version__}]},
            "component": {"type": "data", "bom-ref": top, "name": name, "version": created},
        },
        "components": components,
        "dependencies": [
            {"ref": top, "dependsOn": [str(component["bom-ref"]) for component in components]},
            *({"ref": path, "dependsOn": [model.path]} for model in contents.models for path in model.adapters),
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _model(model: CarriedModel, digests: Mapping[str, str]) -> dict[str, Json]:
    manifest = model.manifest
    limits = [manifest.notice] if manifest.notice else []
    component: dict[str, Json] = {
        **_file("machine-learning-model", model.path, digests),
        "name": printable(manifest.name),
        "description": printable(manifest.description),
        "licenses": [{"license": {"name": printable(manifest.licence)}}],
        "modelCard": {
            "modelParameters": {
                "task": _TASKS.get(manifest.role.value, "dialogue"),
                "architectureFamily": "transformer",
                "modelArchitecture": printable(manifest.architecture),
            },
            "considerations": {"technicalLimitations": [printable(limit) for limit in limits]},
        },
        "properties": [{"name": f"escl:{name}", "value": value} for name, value in _properties(model)],
    }
    if manifest.source is not None:
        component["pedigree"] = {"ancestors": [_ancestor(manifest.source)]}
    if model.adapters:
        component["components"] = [_adapter(path, model, digests) for path in model.adapters]
    return component


def _properties(model: CarriedModel) -> Iterator[tuple[str, str]]:
    manifest = model.manifest
    yield "role", manifest.role.value
    yield "name", model.reference
    yield "tensor-types", tensor_types(model.header)
    if manifest.licence_note:
        yield "licence-note", printable(manifest.licence_note)
    if manifest.made is not None:
        how = "converted from the source's checkpoint" if manifest.made.converted else "the source's own GGUF file"
        yield "made", f"{how}, by escl {manifest.made.escl} on {manifest.made.pulled_on}"


def _adapter(path: str, model: CarriedModel, digests: Mapping[str, str]) -> dict[str, Json]:
    source = model.manifest.adapter_source
    return {
        **_file("machine-learning-model", path, digests),
        "description": f"LoRA adapter of {printable(model.manifest.name)}",
        "licenses": [{"license": {"name": printable(model.manifest.licence)}}],
        **({"pedigree": {"ancestors": [_ancestor(source)]}} if source is not None else {}),
    }


def _ancestor(source: Source) -> dict[str, Json]:
    """Return what a model was made from; the purl's type is that of package-url/purl-spec for the hub."""
    at: dict[str, Json] = {"version": source.revision} if source.revision else {}
    return {
        "type": "machine-learning-model",
        "name": source.repo,
        **at,
        "purl": f"pkg:huggingface/{source.repo}" + (f"@{source.revision}" if source.revision else ""),
    }


def _data(path: str, kind: str, digests: Mapping[str, str]) -> dict[str, Json]:
    return {**_file("data", path, digests), "data": [{"type": kind, "name": path}]}


def _package(wheel: Wheel, digests: Mapping[str, str]) -> dict[str, Json]:
    licences: dict[str, Json] = {}
    if wheel.licence:
        licences = {"licenses": [{"license": {"name": printable(wheel.licence)}}]}
    return {
        **_file("library", f"wheels/{wheel.path.name}", digests),
        "name": wheel.name,
        "version": wheel.version,
        "purl": f"pkg:pypi/{wheel.name}@{wheel.version}",
        **licences,
    }


def _file(kind: str, path: str, digests: Mapping[str, str]) -> dict[str, Json]:
    return {
        "type": kind,
        "bom-ref": path,
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": digests[path]}],
    }


def tensor_types(header: GGUFHeader) -> str:
    """Return how a model's weights are stored, by share of the bytes: "Q4_K 85 %, Q6_K 15 %"."""
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[tensor.type_name] += tensor.size_bytes
    total = sum(sizes.values())
    shares = [f"{name} {100 * size / total:.0f} %" for name, size in sizes.most_common() if 200 * size >= total]
    return ", ".join(shares)
