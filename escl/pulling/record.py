"""What is written down of a pulled model: a manifest that pins every file, and the texts of its licence beside it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from escl import __version__
from escl.convert.add_template import TEMPLATE_KEY
from escl.convert.chat_templates import NAMED
from escl.pulling.checkpoint import Brought, Made
from escl.pulling.generation import sampling_of
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import Manifest, ModelRole, sha256_of, user_shelf
from escl.shelf.reference import reference_of
from escl.shelf.source import AdapterSource, Making, ModelFile, Source


def of_converted(manifest: Manifest, made: Made, path: Path) -> Manifest:
    """Return the manifest, to be written as `path`, of a model that was made from a checkpoint."""
    header = read_gguf_header(made.file, max_items=1)
    adapters = manifest.adapter_source
    if adapters is not None:
        pinned = _source(made.sources[1])
        adapters = AdapterSource(
            repo=pinned.repo, revision=pinned.revision, files=pinned.files, folders=adapters.folders
        )
    sampling = manifest.sampling
    if sampling is None and manifest.role is ModelRole.SUPPORTER:
        sampling = sampling_of(made.sources[0].folder)
    return msgspec.structs.replace(
        manifest,
        name=_shown(path, manifest),
        architecture=header.architecture,
        file=_record(made.file, path.parent, made.sha256),
        adapters={
            language: {name: _record(file, path.parent, sha256) for name, (file, sha256) in by_dimension.items()}
            for language, by_dimension in made.adapters.items()
        },
        sampling=sampling,
        source=_source(made.sources[0]),
        adapter_source=adapters,
        licence_files=_kept_licences(made.licences, made.file.parent, path.parent),
        unpinned=(),
        chat_template=_named(manifest.chat_template),
        made=_making(header, made.quantization, converted=True),
    )


def of_ready(manifest: Manifest, brought: Brought, target: Path, quant: str | None, path: Path) -> Manifest:
    """Return the manifest, to be written as `path`, of a GGUF file that was taken as it is.

    Args:
        manifest: What is known of the model.
        brought: The repository, with the model's file first and the texts of its licence after it.
        target: Where the model's file is now.
        quant: As its name says.
        path: The manifest's place.
    """
    header = read_gguf_header(target, max_items=1)
    model, *_ = brought.files
    return msgspec.structs.replace(
        manifest,
        name=_shown(path, manifest),
        architecture=header.architecture,
        # With a chat template added it is another file than its source.
        file=_record(target, path.parent, model.sha256 if _is(target, model) else sha256_of(target)),
        source=Source(repo=brought.listing.repo, revision=brought.listing.revision, files=(model,)),
        licence_files=_kept_licences([_rest_of(brought)], target.parent, path.parent),
        unpinned=(),
        chat_template=_named(manifest.chat_template),
        made=_making(header, quant, converted=False),
    )


def _named(chat_template: str | None) -> str | None:
    """Return the name of a chat format; a file of this machine is told by its hash only."""
    return chat_template if chat_template in NAMED else None


def _is(path: Path, source: ModelFile) -> bool:
    return path.stat().st_size == source.size_bytes


def _rest_of(brought: Brought) -> Brought:
    return Brought(listing=brought.listing, folder=brought.folder, files=brought.files[1:], is_ours=brought.is_ours)


def _source(brought: Brought) -> Source:
    return Source(repo=brought.listing.repo, revision=brought.listing.revision, files=tuple(brought.files))


def _record(path: Path, folder: Path, sha256: str | None) -> ModelFile:
    return ModelFile(path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size, sha256=sha256)


def _kept_licences(brought: Iterable[Brought], beside: Path, folder: Path) -> tuple[ModelFile, ...]:
    """Copy the texts of the licences beside the model and return their records."""
    kept = []
    for one in brought:
        for file in one.files:
            copy = beside / "licences" / one.listing.repo.replace("/", "--") / file.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.folder / file.path, copy)
            kept.append(_record(copy, folder, file.sha256))
    return tuple(kept)


def _shown(path: Path, manifest: Manifest) -> str:
    """Return the name that runs and tables show: the manifest's own, or the repository with its quantization."""
    name = path.relative_to(user_shelf()).with_suffix("").as_posix()
    return reference_of(name).removeprefix("hf.co/") if name.startswith("hf.co/") else manifest.name


def _making(header: GGUFHeader, quant: str | None, *, converted: bool) -> Making:
    template = header.metadata.get(TEMPLATE_KEY)
    return Making(
        quantization=quant,
        converted=converted,
        escl=__version__,
        pulled_on=datetime.now(UTC).date().isoformat(),
        template_sha256=hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else None,
    )
