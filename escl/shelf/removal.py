"""Removing a model from the user's shelf: what would go, and letting it go."""

from __future__ import annotations

from pathlib import Path

import msgspec

from escl.core.bundled import bundled
from escl.errors import GGUFError, ManifestError, StorageError, UsageError
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.inventory import all_files
from escl.shelf.manifest import load_manifest, manifest_path, manifests, place_of
from escl.shelf.places import discard_downloads, downloads, user_shelf
from escl.shelf.reference import HubReference, hub_reference
from escl.shelf.source import ModelFile
from escl.shelf.written import write_manifest


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be removed.

    Attributes:
        paths: Files and folders.
        repos: Repositories whose downloads are among them.
        record: The manifest of the pulled model.
    """

    paths: list[str]
    size_bytes: int
    repos: list[str]
    record: str | None


def removal(reference: str) -> Removal:
    """Return what removing a model would remove: files on the user's shelf, its record, what is left of its download.

    A manifest that the user wrote is no record and stays, so that the model can be pulled again.

    Raises:
        ManifestError: Nothing of that name.
        UsageError: There is nothing to remove: it ships with escl, or lies outside the user's shelf.
    """
    hub = hub_reference(reference)
    shelf = user_shelf().resolve()
    if hub is not None and not _has_manifest(hub):
        left = [] if hub.quant else sorted(_unnamed(shelf / hub.folder, is_ours=True))
        if left or downloads(hub.repo).is_dir():
            return _removal(left, [hub.repo] if downloads(hub.repo).is_dir() else [], None)
    at = manifest_path(reference)
    manifest, here = load_manifest(at), at.resolve()
    # A file that another manifest names too stays for that one.
    places = {place_of(file, at.parent) for file in all_files(manifest)} - _named_files(but=here)
    ships = bundled("gguf")
    root = shelf / at.parent.relative_to(ships) if at.is_relative_to(ships) else here.parent
    folder = (root / manifest.file.path).parent
    beside = _unnamed(folder, is_ours=False) if folder != shelf else set()
    paths = [path for path in sorted(places | beside) if path.is_file() and path.is_relative_to(shelf)]
    sources = [source.repo for source in (manifest.source, manifest.adapter_source) if source is not None]
    repos = [repo for repo in sources if downloads(repo).is_dir()]
    own = here.is_relative_to(shelf)
    if not paths and not repos and not own:
        is_bundled = all(place.is_file() for place in places)
        where = "it does not lie on your own shelf" if is_bundled else "nothing of it is here"
        raise UsageError(f"there is nothing to remove of {reference}: {where}")
    return _removal(paths, repos, here if own else None)


def _has_manifest(hub: HubReference) -> bool:
    """Return whether the shelf has a model of the repository, of its quantization if it names one."""
    return any(name == hub.shelf_name or (not hub.quant and name.startswith(f"{hub.folder}/")) for name in manifests())


def _named_files(but: Path | None = None) -> set[Path]:
    """Return the files that any manifest names, except the manifest `but`."""
    others = [path for path in manifests().values() if path.resolve() != but]
    return {place_of(file, path.parent) for path in others for file in _files_of(path)}


def _unnamed(folder: Path, *, is_ours: bool) -> set[Path]:
    """Return the GGUF files of a folder that no manifest names: what stopped pulls left there.

    Args:
        folder: Of the shelf.
        is_ours: Only escl puts files there; else those alone are given that escl converted.
    """
    found = {path.resolve() for path in folder.glob("*.gguf") if path.is_file()} - _named_files()
    return {path for path in found if is_ours or _is_converted(path)}


def _is_converted(path: Path) -> bool:
    try:
        return "escl.converter.version" in read_gguf_header(path, max_items=1).metadata
    except GGUFError:
        return False


def _removal(paths: list[Path], repos: list[str], record: Path | None) -> Removal:
    inside = [path for repo in repos for path in downloads(repo).rglob("*") if path.is_file()]
    return Removal(
        paths=[*map(str, paths), *(str(downloads(repo)) for repo in repos)],
        size_bytes=sum(path.stat().st_size for path in (*paths, *inside)),
        repos=repos,
        record=None if record is None else str(record),
    )


def _files_of(path: Path) -> list[ModelFile]:
    try:
        return all_files(load_manifest(path))
    except ManifestError:
        return []


def remove(found: Removal) -> None:
    """Remove what `removal` found, the record first: a model without a record can be pulled again.

    Raises:
        StorageError: Something cannot be removed.
    """
    shelf = user_shelf().resolve()
    try:
        if found.record is not None:
            _forget(Path(found.record))
        for path in map(Path, found.paths):
            if not path.is_dir():
                path.unlink(missing_ok=True)
        touched = [*found.paths, *([found.record] if found.record else [])]
        for folder in sorted({Path(path).resolve().parent for path in touched}, reverse=True):
            _prune(folder, shelf)
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be removed: {error.strerror or error}") from error
    for repo in found.repos:
        discard_downloads(repo)


def _forget(path: Path) -> None:
    """Remove a pulled model's record; of a manifest that names where to pull it from, only what was recorded."""
    manifest = load_manifest(path)
    name = path.resolve().relative_to(user_shelf().resolve()).with_suffix("").as_posix()
    if name.startswith("hf.co/") or (bundled("gguf") / f"{name}.toml").is_file() or manifest.source is None:
        path.unlink()
        return
    bare = {"size_bytes": None, "sha256": None}
    adapters = {
        language: {dimension: msgspec.structs.replace(file, **bare) for dimension, file in by_dimension.items()}
        for language, by_dimension in manifest.adapters.items()
    }
    write_manifest(
        path,
        msgspec.structs.replace(
            manifest,
            file=msgspec.structs.replace(manifest.file, **bare),
            adapters=adapters,
            licence_files=(),
            made=None,
        ),
    )


def _prune(folder: Path, shelf: Path) -> None:
    """Remove a folder of the shelf and those above it as far as they are empty."""
    for one in (folder, *folder.parents):
        if one == shelf or not one.is_relative_to(shelf) or not one.is_dir() or any(one.iterdir()):
            return
        one.rmdir()
