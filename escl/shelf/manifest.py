"""The shelf: what a model is, where its files are, and how a name becomes a model.

A manifest is one TOML file: role, files with size and hash, sampling defaults, adapters. Paths in it are relative to it
and cannot leave its folder. Owns reading and checking manifests; loads no weights and downloads nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec

from escl.core.bundled import bundled
from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.core.sampling import Sampling
from escl.core.strict import parse_toml
from escl.errors import ManifestError
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.hash_memo import LARGE_BYTES, remember, remembered
from escl.shelf.model_check import check_model
from escl.shelf.places import user_shelf
from escl.shelf.reference import hub_reference, is_commit, reference_of
from escl.shelf.source import AdapterSource, Making, ModelFile, Source, leaves_its_folder, unpinned_fields

__all__ = [
    "LocatedModel",
    "Manifest",
    "Model",
    "ModelFile",
    "ModelRole",
    "find_model",
    "load_manifest",
    "locate_model",
    "user_shelf",
]

_HASH_BLOCK = 1 << 22
_MAX_MANIFEST_BYTES = 1 << 20


class ModelRole(StrEnum):
    """What a model is for."""

    SEEKER = "seeker"
    SUPPORTER = "supporter"
    SCORER = "scorer"
    JUDGE = "judge"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest as it stands in the TOML file.

    Attributes:
        file: The model, or where it will be once it is pulled; on a pulled model's manifest with size and hash.
        licence: As the source states it.
        licence_files: The source's own texts of it and its card, kept beside the model.
        licence_note: Where licences conflict, or what else must be known before use.
        notice: Shown wherever results of this model are shown.
        system_prompt: What a supporter is told in place of the protocol's words; None leaves those.
        making: How to get the files, shown when they are missing.
        chat_template: The name of a chat format that the converter knows ("vicuna"), for a model without one.
        adapters: LoRA files of a scorer, by language and dimension.
        source: Where `escl models pull` takes the model from.
        adapter_source: Where it takes the adapters from.
        unpinned: What the sources leave open ("source.revision", "source.files", ...); must list all of it.
        made: How the files on this shelf were made; only on a pulled model's manifest.
    """

    name: str
    role: ModelRole
    description: str
    architecture: str
    licence: str
    file: ModelFile
    licence_note: str | None = None
    licence_files: tuple[ModelFile, ...] = ()
    notice: str | None = None
    making: str | None = None
    sampling: Sampling | None = None
    chat_template: str | None = None
    system_prompt: str | None = None
    adapters: dict[Language, dict[Dimension, ModelFile]] = {}
    source: Source | None = None
    adapter_source: AdapterSource | None = None
    unpinned: tuple[str, ...] = ()
    made: Making | None = None

    def files(self) -> list[ModelFile]:
        """Return the model's file and its adapters."""
        return [self.file, *(file for by_dimension in self.adapters.values() for file in by_dimension.values())]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is there: its files exist, and their hashes are known and as the manifest says.

    Attributes:
        name: What the user called it, made short; unique within a run.
        adapters: Path and sha256 of the LoRA file for a language and dimension; empty for a model without adapters.
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    sampling: Sampling | None = None
    system_prompt: str | None = None
    notice: str | None = None
    adapters: dict[tuple[Language, Dimension], tuple[Path, str]] = {}


class LocatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose files exist; nothing but their names was compared with the manifest.

    Attributes:
        sha256: What the manifest promises of the file, else what it was when it was last hashed; None when neither is
            known.
    """

    name: str
    path: Path
    sha256: str | None
    sampling: Sampling | None = None
    adapters: dict[tuple[Language, Dimension], Path] = {}


def manifests() -> dict[str, Path]:
    """Return the manifests on the shelf, by the name that `--seeker` and the like take; the user's own win."""
    found: dict[str, Path] = {}
    for root in (bundled("gguf"), user_shelf()):
        for path in sorted(root.rglob("*.toml")):
            found[path.relative_to(root).with_suffix("").as_posix()] = path
    return found


def find_model(
    reference: str, *, role: ModelRole | None = None, on_hash: Callable[[Path, int], None] | None = None
) -> Model:
    """Return the model that `reference` names: a GGUF file, a manifest file, or a name on the shelf.

    Args:
        reference: Path or name.
        role: What it is wanted for; a manifest that says otherwise is refused.
        on_hash: Called with a path and its size before it is hashed, which takes seconds for a large file.

    Raises:
        ManifestError: Nothing of that name, a malformed manifest, or files missing or changed.
        GGUFError: The model's file is damaged or is no language model.
    """
    as_path = Path(reference)
    if as_path.suffix == ".gguf":
        return _plain_model(as_path, on_hash)
    manifest, folder = _named(reference, role)
    return _manifest_model(manifest, folder, on_hash)


def locate_model(reference: str, *, role: ModelRole | None = None) -> LocatedModel:
    """Return where the files of a model are, without reading them: what planning needs, for 9 GB at once.

    Args:
        reference: As `find_model`.
        role: As `find_model`.

    Raises:
        ManifestError: Nothing of that name, a malformed manifest, or a file missing.
    """
    as_path = Path(reference)
    if as_path.suffix == ".gguf":
        path = _there(ModelFile(path=as_path.name), as_path.parent, None)
        return LocatedModel(name=printable(as_path.stem), path=path, sha256=known_sha256(path))
    manifest, folder = _named(reference, role)
    path = _there(manifest.file, folder, manifest.making)
    return LocatedModel(
        name=manifest.name,
        path=path,
        sha256=manifest.file.sha256 or known_sha256(path),
        sampling=manifest.sampling,
        adapters={
            (language, dimension): _there(file, folder, manifest.making)
            for language, by_dimension in manifest.adapters.items()
            for dimension, file in by_dimension.items()
        },
    )


def known_sha256(path: Path) -> str | None:
    """Return a file's hash without reading much: a small file's own, a large one's if it is as it was when hashed."""
    if path.stat().st_size < LARGE_BYTES:
        return sha256_of(path)
    return remembered(path, folder=user_shelf().parent)


def _named(reference: str, role: ModelRole | None) -> tuple[Manifest, Path]:
    """Return the manifest that `reference` names, and its folder."""
    path = manifest_path(reference)
    manifest = load_manifest(path)
    if role is not None and manifest.role is not role:
        raise ManifestError(f"{manifest.name} is a {manifest.role.value}, not a {role.value}")
    return manifest, path.parent


def manifest_path(reference: str) -> Path:
    """Return the manifest that `reference` names: a file, a name on the shelf, or a repository that was pulled.

    Raises:
        ManifestError: There is none; the hint says what there is, or how to get it.
    """
    as_path = Path(reference)
    if as_path.suffix == ".toml":
        return as_path
    known = manifests()
    if reference in known:
        return known[reference]
    hub = hub_reference(reference)
    if hub is None:
        raise ManifestError(
            f"no model named {reference}",
            hint=f"give a path ending in .gguf or .toml, or a name on the shelf: {', '.join(map(reference_of, known))}",
        )
    pulled = [name for name in known if name == hub.shelf_name or (not hub.quant and name.startswith(f"{hub.folder}/"))]
    if not pulled:
        hint = f"where there is a network: escl models pull {reference}"
        raise ManifestError(f"{reference} is not on the shelf", hint=hint)
    if len(pulled) > 1:
        quants = ", :".join(name.rpartition("/")[2] for name in pulled)
        raise ManifestError(f"{reference} is on the shelf more than once", hint=f"add which one: :{quants}")
    source = load_manifest(known[pulled[0]]).source
    if is_commit(hub.revision) and (source is None or source.revision != hub.revision):
        found = "an unknown revision" if source is None else f"revision {source.revision}"
        hint = f"escl models rm {reference.partition('@')[0]}, then pull it again"
        raise ManifestError(f"{reference}: the shelf has {found} of it", hint=hint)
    return known[pulled[0]]


def shelf_name(path: Path) -> str | None:
    """Return the name on the shelf of the manifest `path`; None when it is not on the shelf, or another one wins."""
    here = path.resolve()
    return next((name for name, at in manifests().items() if at.resolve() == here), None)


def is_there(name: str) -> bool:
    """Return whether the shelf has a manifest of that name and the model file it names."""
    path = manifests().get(name)
    return path is not None and _where(load_manifest(path).file, path.parent).is_file()


def load_manifest(path: Path) -> Manifest:
    """Return the manifest in the TOML file `path`.

    Raises:
        ManifestError: Unreadable or malformed; the message names the file and the field.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_MANIFEST_BYTES + 1)
        if len(raw) > _MAX_MANIFEST_BYTES:
            raise ManifestError(f"{path} has more than {_MAX_MANIFEST_BYTES:,} bytes")
        manifest = msgspec.convert(parse_toml(raw.decode("utf-8")), Manifest)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ManifestError(f"{path}: {error}") from error
    left_open = unpinned_fields(manifest.source, manifest.adapter_source)
    if set(manifest.unpinned) != set(left_open):
        raise ManifestError(
            f"{path}: unpinned lists {list(manifest.unpinned)}, but what is not pinned is {list(left_open)}"
        )
    return manifest


def _plain_model(path: Path, on_hash: Callable[[Path, int], None] | None) -> Model:
    file = ModelFile(path=path.name)
    resolved, sha256 = _checked(file, path.parent, None, on_hash)
    check_model(read_gguf_header(resolved), path=resolved)
    return Model(name=printable(path.stem), path=resolved, sha256=sha256, size_bytes=resolved.stat().st_size)


def _manifest_model(manifest: Manifest, folder: Path, on_hash: Callable[[Path, int], None] | None) -> Model:
    path, sha256 = _checked(manifest.file, folder, manifest.making, on_hash)
    check_model(read_gguf_header(path), path=path)
    adapters = {
        (language, dimension): _checked(file, folder, manifest.making, on_hash)
        for language, by_dimension in manifest.adapters.items()
        for dimension, file in by_dimension.items()
    }
    return Model(
        name=manifest.name,
        path=path,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        sampling=manifest.sampling,
        system_prompt=manifest.system_prompt,
        notice=manifest.notice,
        adapters=adapters,
    )


def _checked(
    file: ModelFile, folder: Path, making: str | None, on_hash: Callable[[Path, int], None] | None
) -> tuple[Path, str]:
    """Return the absolute path of `file` and its sha256 after checking both against the manifest."""
    path = _there(file, folder, making)
    size = path.stat().st_size
    if on_hash is not None:
        on_hash(path, size)
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    remember(path, digest, folder=user_shelf().parent)
    if file.sha256 is not None and digest != file.sha256:
        raise ManifestError(f"{path} is not the file its manifest names: sha256 {digest}, expected {file.sha256}")
    return path, digest


def _there(file: ModelFile, folder: Path, making: str | None) -> Path:
    """Return the absolute path of `file`, which exists and has the size that the manifest says."""
    path = place_of(file, folder)
    if not path.is_file():
        raise ManifestError(f"{path} is not there", hint=making and making.replace("{folder}", str(path.parent.parent)))
    size = path.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        raise ManifestError(f"{path} has {size:,} bytes, but its manifest says {file.size_bytes:,}", hint=making)
    return path


def is_whole(file: ModelFile, folder: Path) -> bool:
    """Return whether a manifest's file is there with the size that the manifest says."""
    path = place_of(file, folder)
    return path.is_file() and file.size_bytes in (None, path.stat().st_size)


def place_of(file: ModelFile, folder: Path) -> Path:
    """Return where a manifest's file is, or would be: inside its folder, or for what ships, on the user's shelf.

    Raises:
        ManifestError: The path leaves the folder.
    """
    if leaves_its_folder(file.path):
        raise ManifestError(f"{folder}: the manifest's path {file.path!r} leaves its folder")
    return _where(file, folder)


def _where(file: ModelFile, folder: Path) -> Path:
    """Return the file's absolute path: beside its manifest, or for a manifest that ships, on the user's own shelf."""
    beside = (folder / file.path).resolve()
    if beside.is_file() or not folder.is_relative_to(bundled("gguf")):
        return beside
    own = (user_shelf() / folder.relative_to(bundled("gguf")) / file.path).resolve()
    return own if own.is_file() else beside


def sha256_of(path: Path, *, on_bytes: Callable[[int], None] = lambda _n: None) -> str:
    """Return the sha256 of a file, 64 hex digits; `on_bytes` is called with the bytes of each block."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()
