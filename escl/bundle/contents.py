"""What goes into a bundle: models with their manifests and adapters, protocols, cards and licence texts.

Owns where each comes from and what it is called inside. Reads manifests and headers, no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from escl.bundle.manifest import MAX_SMALL_BYTES
from escl.bundle.paths import HOME, LICENCES, check_path
from escl.core.card_file import load_cards
from escl.core.printable import printable
from escl.core.protocol import known_protocols, load_protocol, user_protocols
from escl.errors import BundleError, UsageError
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import (
    Manifest,
    Model,
    ModelFile,
    ModelRole,
    find_model,
    load_manifest,
    locate_model,
    manifest_path,
    place_of,
    shelf_name,
)
from escl.shelf.model_check import check_model
from escl.shelf.reference import reference_of
from escl.shelf.written import manifest_toml

_README: Final = "licences/README.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file that goes into a bundle.

    Attributes:
        path: Its name inside.
        source: The file, or its bytes.
        sha256: What the shelf promises of it, if it does.
    """

    path: str
    source: Path | bytes
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedModel:
    """A model in a bundle.

    Attributes:
        reference: What it is called on the far side, in `--seeker` and the like.
        path: Of the model's file inside.
        adapters: Paths inside.
        header: Of the model's file.
    """

    reference: str
    manifest: Manifest
    path: str
    adapters: tuple[str, ...]
    header: GGUFHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that goes into a bundle but the BOM; `items` are unlike in path."""

    items: tuple[Item, ...]
    models: tuple[CarriedModel, ...]
    protocols: tuple[str, ...]
    cards: tuple[str, ...]


def gather(
    *,
    models: Iterable[str] = (),
    protocols: Iterable[str] = (),
    cards: Iterable[Path] = (),
    licences: Iterable[Path] = (),
    wheels: Sequence[Item] = (),
) -> Contents:
    """Return what a bundle of these will hold.

    Args:
        models: GGUF files, manifest files or names on the shelf.
        protocols: Names of the user's own, or files; `open` ships with escl and needs no carrying.
        cards: Files of role cards.
        licences: Texts to carry along.
        wheels: The items of `escl.bundle.wheels.wheel_items`.

    Raises:
        EsclError: Something is not there, malformed, or cannot be named inside a bundle.
    """
    carried = [_model(reference) for reference in models]
    protocol_items = [_protocol(reference) for reference in protocols]
    card_items = [_cards(path) for path in cards]
    items = [item for _, of_model in carried for item in of_model]
    items += protocol_items + card_items + list(wheels)
    items += [Item(path=f"{LICENCES}/{path.name}", source=path) for path in licences]
    if carried:
        items.append(Item(path=_README, source=_licence_list([model.manifest for model, _ in carried])))
    return Contents(
        items=_unlike(items),
        models=tuple(model for model, _ in carried),
        protocols=tuple(item.path for item in protocol_items),
        cards=tuple(item.path for item in card_items),
    )


def _model(reference: str) -> tuple[CarriedModel, list[Item]]:
    """Return a model with its files and a manifest that states the size and hash of each, whatever its own states."""
    if Path(reference).suffix == ".gguf":
        path, text = Path(reference), b""
        name, manifest = path.stem, _manifest_for(path)
    else:
        path = manifest_path(reference)
        name = shelf_name(path) or path.stem
        text, manifest = _small(path), load_manifest(path)
    if not all(file.sha256 and file.size_bytes is not None for file in manifest.files()):
        # Takes as long as reading; `create` notices if what it reads later is not what was hashed here.
        manifest = _pinned(manifest, find_model(reference))
        text = manifest_toml(manifest)
    located = locate_model(reference)
    folder = PurePosixPath(HOME, "gguf", name).parent
    weights = _weights(manifest.file, located.path, folder)
    adapters = [
        _weights(manifest.adapters[language][dimension], file, folder)
        for (language, dimension), file in located.adapters.items()
    ]
    model = CarriedModel(
        reference=reference_of(name),
        manifest=manifest,
        path=weights.path,
        adapters=tuple(item.path for item in adapters),
        header=_header(located.path),
    )
    texts = [_weights(file, place_of(file, path.parent), folder) for file in manifest.licence_files]
    return model, [Item(path=f"{HOME}/gguf/{name}.toml", source=text), weights, *adapters, *texts]


def _manifest_for(path: Path) -> Manifest:
    """Return a manifest for a GGUF file that has none, so that it has a name on the far side too."""
    header = _header(path)
    licence = header.metadata.get("general.license")
    return Manifest(
        name=printable(path.stem),
        role=ModelRole.SUPPORTER,
        description=printable(f"{path.name}, put into a bundle without a manifest"),
        architecture=str(header.metadata["general.architecture"]),
        licence=printable(licence) if isinstance(licence, str) and licence else "not stated in the file",
        file=ModelFile(path=path.name),
    )


def _pinned(manifest: Manifest, model: Model) -> Manifest:
    """Return the manifest with the size and hash of every file."""

    def pinned(file: ModelFile, path: Path, sha256: str) -> ModelFile:
        return msgspec.structs.replace(file, size_bytes=path.stat().st_size, sha256=sha256)

    adapters = {
        language: {key: pinned(file, *model.adapters[language, key]) for key, file in by_dimension.items()}
        for language, by_dimension in manifest.adapters.items()
    }
    file = pinned(manifest.file, model.path, model.sha256)
    return msgspec.structs.replace(manifest, file=file, adapters=adapters)


def _weights(file: ModelFile, path: Path, folder: PurePosixPath) -> Item:
    return Item(path=(folder / file.path).as_posix(), source=path, sha256=file.sha256)


def _header(path: Path) -> GGUFHeader:
    header = read_gguf_header(path)
    check_model(header, path=path)
    return header


def _protocol(reference: str) -> Item:
    load_protocol(reference)
    path = known_protocols().get(reference, Path(reference))
    if reference in known_protocols() and path.parent != user_protocols():
        raise UsageError(f"the protocol {reference} ships with escl", hint="leave it away; it is there anyway")
    return Item(path=f"{HOME}/protocols/{path.name}", source=_small(path))


def _cards(path: Path) -> Item:
    load_cards(path)
    return Item(path=f"{HOME}/cards/{path.name}", source=_small(path))


def _small(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SMALL_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_SMALL_BYTES:
        raise BundleError(f"{path} is larger than {MAX_SMALL_BYTES // 2**20} MiB")
    return content


def _licence_list(shelf: Iterable[Manifest]) -> bytes:
    """Return a text that says of each model under which licence it stands, as its source states it."""
    lines = ["The licences of the models in this bundle, as their sources state them. Read them before use.", ""]
    for manifest in shelf:
        lines += [f"{manifest.name}: {manifest.licence}", f"    {manifest.description}"]
        lines += [f"    {words}" for words in (manifest.licence_note, manifest.notice) if words]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def _unlike(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return the items sorted by path, one for each path; files that models share come once."""
    by_path: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: item.path):
        check_path(item.path)
        other = by_path.setdefault(item.path, item)
        if other.source != item.source:
            raise BundleError(f"two different files would be {item.path} in the bundle", hint="rename one of them")
    return tuple(by_path.values())
