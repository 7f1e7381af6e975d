"""A checkpoint of the hub becomes GGUF files on the shelf: room, download, conversion, adapters.

Each step leaves files that are whole or not there, so a step that is done is not done again: a GGUF file that the same
version of escl made from the same source files counts as made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from escl import __version__
from escl.convert import convert
from escl.convert.add_template import TEMPLATE_KEY
from escl.convert.chat_templates import TEMPLATE_GIVEN, chosen_template
from escl.convert.disk import check_room
from escl.core.dimension import Dimension, Language
from escl.core.printable import printable
from escl.errors import ConvertError, GGUFError, UsageError
from escl.memory.devices import Budget
from escl.pulling.fit import CANDIDATES, F16_BYTES, choose_quantization, quantized_bytes, read_sizes
from escl.pulling.selection import adapter_files, checkpoint_files, licence_files, weights_bytes
from escl.shelf import hub
from escl.shelf.gguf_header import Array, read_gguf_header
from escl.shelf.manifest import Manifest, sha256_of
from escl.shelf.other_caches import check_in_place, folder_in_hub_cache
from escl.shelf.places import snapshot
from escl.shelf.repository import Listing, RemoteFile, check_pinned
from escl.shelf.source import AdapterSource, ModelFile

OnProgress = Callable[[int, int, str], None]
"""Called with bytes done, bytes to do, and what is being done."""

OnNote = Callable[[str], None]
"""Called with a sentence that the user should know."""


@dataclass(slots=True)
class Tally:
    """Adds up the bytes of several files for one progress bar."""

    total: int
    on_progress: OnProgress
    done: int = 0

    def add(self, what: str, n: int) -> None:
        """Count `n` more bytes."""
        self.done = min(self.total, max(0, self.done + n))
        self.on_progress(self.done, self.total, printable(what))


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """Files of a repository on this disk.

    Attributes:
        is_ours: The folder is escl's own; else it is the Hugging Face cache's.
    """

    listing: Listing
    folder: Path
    files: list[ModelFile]
    is_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be made of a checkpoint.

    Attributes:
        manifest: Says role, template and adapters.
        base: The checkpoint's repository.
        adapters: Its adapters' repository, if it has any.
        target: Returns the GGUF file to write for a quantization.
        quantize: As the user asked; None lets the rule choose.
        budget: Asked only when the rule has to choose.
    """

    manifest: Manifest
    base: Listing
    adapters: Listing | None
    target: Callable[[str], Path]
    quantize: str | None
    budget: Callable[[], Budget]
    on_progress: OnProgress
    on_note: OnNote


@dataclass(slots=True)
class Made:
    """What was made, and of what."""

    quantization: str
    file: Path
    sha256: str
    sources: list[Brought]
    licences: list[Brought] = field(default_factory=list)
    adapters: dict[Language, dict[Dimension, tuple[Path, str]]] = field(default_factory=dict)


def make(job: Job) -> Made:
    """Download, convert and quantize a checkpoint and its adapters.

    Raises:
        DownloadError: A file cannot be had, or is not what was promised.
        ConvertError: The checkpoint cannot be carried over.
        StorageError: There is no room.
    """
    files = checkpoint_files(job.base)
    pinned = job.manifest.source.files if job.manifest.source else ()
    check_pinned(job.base, pinned, wanted=files)
    adapters = _wanted_adapters(job)
    small = [file for file in files if not file.path.endswith(".safetensors")]
    first = _bring(job, job.base, small, pinned)
    dimensions, n_weights = read_sizes(first.folder, weights_bytes(files))
    chosen = job.quantize
    if chosen is None:
        fit = choose_quantization(dimensions, n_weights, role=job.manifest.role, budget=job.budget())
        chosen = fit.quantization
        job.on_note(f"{chosen} of {', '.join(CANDIDATES)}: {fit.reason}")
    target = job.target(chosen)
    _check_room(job, files, adapters, quantized=n_weights * F16_BYTES + quantized_bytes(n_weights, chosen), at=target)
    base = _bring(job, job.base, files, pinned)
    made = Made(quantization=chosen, file=target, sha256="", sources=[base])
    made.sha256 = _convert(job, base.folder, target, base, quantize=chosen)
    if job.adapters is not None:
        _make_adapters(job, made, adapters)
    made.licences = [_bring(job, brought.listing, licence_files(brought.listing), ()) for brought in made.sources]
    return made


def _wanted_adapters(job: Job) -> dict[tuple[Language, Dimension], tuple[str, list[RemoteFile]]]:
    source = job.manifest.adapter_source
    if source is None or job.adapters is None:
        return {}
    found = {
        (language, dimension): (folder, adapter_files(job.adapters, folder))
        for language, by_dimension in source.folders.items()
        for dimension, folder in by_dimension.items()
    }
    check_pinned(job.adapters, source.files, wanted=[file for _, files in found.values() for file in files])
    return found


def _check_room(
    job: Job,
    files: Sequence[RemoteFile],
    adapters: dict[tuple[Language, Dimension], tuple[str, list[RemoteFile]]],
    *,
    quantized: int,
    at: Path,
) -> None:
    """Refuse before the download when the disk cannot take download and conversion; what is done needs no room."""
    needed = 0
    if folder_in_hub_cache(job.base, files) is None:
        needed += hub.missing_bytes(job.base, files, snapshot(job.base.repo, job.base.revision))
    if job.adapters is not None:
        wanted = [file for _, of_adapter in adapters.values() for file in of_adapter]
        if folder_in_hub_cache(job.adapters, wanted) is None:
            needed += hub.missing_bytes(job.adapters, wanted, snapshot(job.adapters.repo, job.adapters.revision))
        # In 16 bit, as they are made, they take no more than they came in.
        unmade = [of_adapter for key, (_, of_adapter) in adapters.items() if not _adapter_path(at, *key).is_file()]
        needed += sum(weights_bytes(of_adapter) for of_adapter in unmade)
    needed += 0 if at.is_file() else quantized
    at.parent.mkdir(parents=True, exist_ok=True)
    check_room(at, needed)


def _bring(job: Job, listing: Listing, files: Sequence[RemoteFile], pinned: Sequence[ModelFile]) -> Brought:
    tally = Tally(sum(file.size_bytes for file in files), job.on_progress)
    cached = check_in_place(listing, files, pinned=pinned, on_bytes=tally.add)
    if cached is not None:
        return Brought(listing=listing, folder=cached[0], files=cached[1], is_ours=False)
    folder = snapshot(listing.repo, listing.revision)
    brought = hub.fetch(listing, files, folder, pinned=pinned, on_bytes=tally.add)
    return Brought(listing=listing, folder=folder, files=brought, is_ours=True)


def _convert(
    job: Job,
    src: Path,
    dst: Path,
    source: Brought,
    *,
    quantize: str | None = None,
    base: Path | None = None,
) -> str:
    """Write `dst` unless it is there already, and return its sha256."""
    template = None if base else job.manifest.chat_template
    if dst.is_file():
        if not _made_of(dst, src, source, template):
            raise UsageError(f"{dst} is in the way: it was not made from these files and options", hint="remove it")
        return sha256_of(dst)
    dst.parent.mkdir(parents=True, exist_ok=True)
    what = f"converting {src.name if base else source.listing.repo}"
    done = convert(
        src,
        dst,
        quantize=quantize,
        base=base,
        chat_template=template,
        on_progress=lambda n, total: job.on_progress(n, total, what),
    )
    if not _made_of(dst, src, source, template):
        dst.unlink()
        raise ConvertError(f"{src} changed while it was converted; nothing was kept", hint="run the command again")
    for note in done.notes:
        job.on_note(f"{'adapters' if base else dst.name}: {note}")
    return done.sha256


def _made_of(path: Path, src: Path, source: Brought, template: str | None) -> bool:
    """Return whether this version of escl made the GGUF file `path` from the files that were checked, and so.

    Args:
        path: What is there.
        src: The folder of the checkpoint or adapter.
        source: Its repository.
        template: The chat template that was asked for; None is the checkpoint's own.
    """
    try:
        keys = read_gguf_header(path, max_items=4096).metadata
    except GGUFError:
        return False
    names, hashes = keys.get("escl.source.files"), keys.get("escl.source.sha256")
    if (
        keys.get("escl.converter.version") != __version__
        or not isinstance(names, Array)
        or not isinstance(hashes, Array)
    ):
        return False
    given = chosen_template(template)[0] if template is not None else None
    if (TEMPLATE_GIVEN in keys) != (given is not None) or (given is not None and keys.get(TEMPLATE_KEY) != given):
        return False
    folder = src.relative_to(source.folder).as_posix()
    checked = {
        PurePosixPath(file.path).name: file.sha256
        for file in source.files
        if PurePosixPath(file.path).parent.as_posix() == folder
    }
    used = dict(zip(names.items, hashes.items, strict=False))
    # An adapter is read with its base's config.json, which is not among its own files.
    return bool(used) and all(checked.get(str(name), sha256) == sha256 for name, sha256 in used.items())


def _adapter_path(model: Path, language: Language, dimension: Dimension) -> Path:
    return model.with_name(f"{dimension.value}_{language.value}.gguf")


def _make_adapters(
    job: Job, made: Made, wanted: dict[tuple[Language, Dimension], tuple[str, list[RemoteFile]]]
) -> None:
    source = job.manifest.adapter_source
    assert isinstance(source, AdapterSource)
    assert job.adapters is not None
    files = [file for _, files in wanted.values() for file in files]
    brought = _bring(job, job.adapters, files, source.files)
    made.sources.append(brought)
    for (language, dimension), (folder, _) in wanted.items():
        path = _adapter_path(made.file, language, dimension)
        base = made.sources[0].folder
        sha256 = _convert(job, brought.folder / folder, path, brought, base=base)
        made.adapters.setdefault(language, {})[dimension] = (path, sha256)
