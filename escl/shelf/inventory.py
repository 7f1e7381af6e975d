"""What is on the shelf: listed, described, checked again, removed. Reads headers and hashes files; loads no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from escl.errors import EsclError, StorageError
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import (
    Manifest,
    is_whole,
    load_manifest,
    manifest_path,
    manifests,
    place_of,
    sha256_of,
    shelf_name,
)
from escl.shelf.reference import quantization_in, reference_of
from escl.shelf.source import ModelFile, Source

State = Literal["here", "not here", "incomplete", "unreadable"]

_TEMPLATE: Final = "tokenizer.chat_template"


class ShelfModel(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the shelf.

    Attributes:
        name: What `escl run` and the like take.
        state: "incomplete": some files are missing or have another size; "unreadable": the manifest is malformed.
        size_bytes: Of the files that are there; None when there is none.
        pinned: Every file that is there has its hash in the manifest.
        problem: Why a manifest is unreadable.
    """

    name: str
    role: str
    state: State
    quantization: str | None
    size_bytes: int | None
    pinned: bool
    source: str | None
    licence: str | None
    manifest: str
    problem: str | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a model.

    Attributes:
        architecture: As the file says, or the manifest while there is no file.
        context_tokens: What the model was made for; None when unknown.
        template_sha256: Of the chat template in the file; None without one.
        manifest: None for a plain GGUF file.
    """

    name: str
    path: str
    state: State
    architecture: str
    quantization: str | None
    size_bytes: int | None
    n_adapters: int
    context_tokens: int | None
    template: str | None
    template_sha256: str | None
    manifest: Manifest | None

    def rows(self) -> list[tuple[str, str]]:
        """Return headings and values for a person."""
        rows = [
            ("name", self.name),
            ("file", f"{self.path} ({self.state})"),
            ("architecture", self.architecture),
            ("quantization", self.quantization or "unknown"),
            ("size", "-" if self.size_bytes is None else f"{self.size_bytes:,} bytes with {self.n_adapters} adapters"),
            ("context", "unknown" if self.context_tokens is None else f"{self.context_tokens:,} tokens"),
            ("chat template", f"sha256 {self.template_sha256}" if self.template_sha256 else "none, or not here"),
        ]
        manifest = self.manifest
        if manifest is None:
            return rows
        rows += [("role", manifest.role.value), ("is", manifest.description), ("licence", manifest.licence)]
        rows += [("licence note", manifest.licence_note)] if manifest.licence_note else []
        for heading, source in (("source", manifest.source), ("adapters from", manifest.adapter_source)):
            rows += [(heading, _told(source))] if source is not None else []
        rows += [("unpinned", ", ".join(manifest.unpinned))] if manifest.unpinned else []
        if manifest.made is not None:
            how = "converted" if manifest.made.converted else "taken as it was"
            rows.append(("made", f"{how} by escl {manifest.made.escl} on {manifest.made.pulled_on}"))
        return rows


class FileCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What hashing a file again showed.

    Attributes:
        model: What `escl run` and the like take.
        problem: None when the file is what its manifest says, or that promises nothing.
    """

    model: str
    path: str
    sha256: str | None
    problem: str | None
    pinned: bool

    @property
    def ok(self) -> bool:
        return self.problem is None

    def __str__(self) -> str:
        verdict = self.problem or ("ok" if self.pinned else "there, but its manifest states no hash")
        return f"{self.model}: {self.path}: {verdict}"


def inventory() -> list[ShelfModel]:
    """Return every model that has a manifest, those that are here first."""
    found = [_line(name, path) for name, path in manifests().items()]
    return sorted(found, key=lambda model: (model.state != "here", model.name))


def _line(name: str, path: Path) -> ShelfModel:
    try:
        manifest = load_manifest(path)
        there = [place for file in manifest.files() if (place := place_of(file, path.parent)).is_file()]
        state = _state(manifest, path.parent)
    except EsclError as error:
        return ShelfModel(
            name=reference_of(name),
            role="-",
            state="unreadable",
            quantization=None,
            size_bytes=None,
            pinned=False,
            source=None,
            licence=None,
            manifest=str(path),
            problem=error.message,
        )
    return ShelfModel(
        name=reference_of(name),
        role=manifest.role.value,
        state=state,
        quantization=_quantization(manifest) if there else None,
        size_bytes=sum(place.stat().st_size for place in there) if there else None,
        pinned=bool(there) and all(file.sha256 is not None for file in manifest.files()),
        source=f"hf.co/{manifest.source.repo}" if manifest.source else None,
        licence=manifest.licence,
        manifest=str(path),
    )


def _state(manifest: Manifest, folder: Path) -> State:
    whole = [is_whole(file, folder) for file in manifest.files()]
    if all(whole):
        return "here"
    return "incomplete" if any(place_of(file, folder).is_file() for file in manifest.files()) else "not here"


def _quantization(manifest: Manifest) -> str | None:
    return manifest.made.quantization if manifest.made else quantization_in(manifest.file.path)


def describe(reference: str) -> Description:
    """Return what is known of a model: a name on the shelf, a repository that was pulled, or a GGUF file.

    Raises:
        ManifestError: Nothing of that name.
        GGUFError: The file is damaged.
    """
    if reference.endswith(".gguf"):
        path = Path(reference)
        header = read_gguf_header(path)
        return _described(path.stem, path, header, "here", None, n_adapters=0, size_bytes=header.size_bytes)
    at = manifest_path(reference)
    manifest = load_manifest(at)
    path = place_of(manifest.file, at.parent)
    there = [place for file in manifest.files() if (place := place_of(file, at.parent)).is_file()]
    return _described(
        manifest.name,
        path,
        read_gguf_header(path) if path.is_file() else None,
        _state(manifest, at.parent),
        manifest,
        n_adapters=len(manifest.files()) - 1,
        size_bytes=sum(place.stat().st_size for place in there) if there else None,
    )


def _described(
    name: str,
    path: Path,
    header: GGUFHeader | None,
    state: State,
    manifest: Manifest | None,
    *,
    n_adapters: int,
    size_bytes: int | None,
) -> Description:
    keys = {} if header is None else header.metadata
    template = keys.get(_TEMPLATE)
    source = template if isinstance(template, str) else None
    architecture = header.architecture if header is not None else manifest.architecture if manifest else "unknown"
    context = keys.get(f"{architecture}.context_length")
    return Description(
        name=name,
        path=str(path),
        state=state,
        architecture=architecture,
        quantization=(_quantization(manifest) if manifest else None) or quantization_in(path.name),
        size_bytes=size_bytes,
        n_adapters=n_adapters,
        context_tokens=context if isinstance(context, int) else None,
        template=source,
        template_sha256=None if source is None else hashlib.sha256(source.encode()).hexdigest(),
        manifest=manifest,
    )


def verify(
    names: Sequence[str] | None, *, on_progress: Callable[[int, int, str], None] = lambda _done, _total, _what: None
) -> list[FileCheck]:
    """Return what hashing the files of models again shows.

    Args:
        names: Which models; None takes all that are here, incomplete, or have a manifest that cannot be read.
        on_progress: Called with bytes done, bytes to do, and the file.

    Raises:
        ManifestError: A name is unknown, or its manifest malformed.
    """
    found = [] if names else inventory()
    places = [manifest_path(name) for name in names or ()]
    places += [Path(model.manifest) for model in found if model.state in ("here", "incomplete")]
    files: list[tuple[str, ModelFile, Path]] = []
    for at in places:
        manifest = load_manifest(at)
        named = reference_of(shelf_name(at) or str(at))
        files += [(named, file, place_of(file, at.parent)) for file in all_files(manifest)]
    total = sum(path.stat().st_size for _, _, path in files if path.is_file())
    checks = [
        FileCheck(model=model.name, path=model.manifest, sha256=None, problem=model.problem, pinned=False)
        for model in found
        if model.state == "unreadable"
    ]
    done = 0
    for name, file, path in files:
        digest = None
        if path.is_file():
            digest, done = _hashed(path, done, total, on_progress)
        checks.append(
            FileCheck(
                model=name,
                path=str(path),
                sha256=digest,
                problem=_problem(file, path, digest),
                pinned=file.sha256 is not None,
            )
        )
    return checks


def _hashed(path: Path, done: int, total: int, on_progress: Callable[[int, int, str], None]) -> tuple[str, int]:
    def add(n: int) -> None:
        nonlocal done
        done += n
        on_progress(done, total, f"hashing {path.name}")

    try:
        digest = sha256_of(path, on_bytes=add)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest, done


def _problem(file: ModelFile, path: Path, digest: str | None) -> str | None:
    if digest is None:
        return "is not there"
    if file.sha256 is not None and digest != file.sha256:
        return f"has changed: sha256 {digest}, expected {file.sha256}"
    if file.size_bytes not in (None, path.stat().st_size):
        return f"has {path.stat().st_size:,} bytes, expected {file.size_bytes:,}"
    return None


def all_files(manifest: Manifest) -> list[ModelFile]:
    """Return the model's file, its adapters and the texts of its licence."""
    return [*manifest.files(), *manifest.licence_files]


def _told(source: Source) -> str:
    revision = source.revision or "unpinned: what the main branch has"
    hashes = f"{len(source.files)} files with sha256" if source.files else "no hashes known"
    return f"hf.co/{source.repo} at {revision}, {hashes}"
