"""What other programs have downloaded already: the Hugging Face cache and llama.cpp's. Looks, and downloads nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from escl.shelf.repository import Listing, OnBytes, RemoteFile, checked_listing, verified
from escl.shelf.source import ModelFile, leaves_its_folder


def folder_in_hub_cache(listing: Listing, files: Sequence[RemoteFile]) -> Path | None:
    """Return the folder of the Hugging Face cache that has all of `files`, unchecked; None if it has not."""
    found = [in_hub_cache(listing, file) for file in files]
    if not files or any(path is None for path in found):
        return None
    assert found[0] is not None
    return found[0].parents[len(PurePosixPath(files[0].path).parts) - 1]


def check_in_place(
    listing: Listing,
    files: Sequence[RemoteFile],
    *,
    pinned: Sequence[ModelFile] = (),
    on_bytes: OnBytes = lambda _what, _n: None,
) -> tuple[Path, list[ModelFile]] | None:
    """Return the folder of the Hugging Face cache that has all of `files` whole, and their records; else None."""
    folder = folder_in_hub_cache(listing, files)
    if folder is None:
        return None
    records = []
    for file in files:
        record = verified(folder / file.path, file, pinned=pinned, on_bytes=on_bytes)
        if record is None:
            return None
        records.append(record)
    return folder, records


def elsewhere(listing: Listing, file: RemoteFile) -> Iterator[Path]:
    """Give the places where another program may have put the file."""
    cached = in_hub_cache(listing, file)
    if cached is not None:
        yield cached.resolve()
    if file.path.endswith(".gguf"):
        # llama.cpp joined owner, name and path by underscores, before it came to use the hub's own cache.
        path = _llama_cache() / f"{listing.repo}/{file.path}".replace("/", "_")
        if path.is_file():
            yield path.resolve()


def in_hub_cache(listing: Listing, file: RemoteFile) -> Path | None:
    """Return where the Hugging Face cache has a file, unchecked; None if it has not."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(listing.repo, file.path, revision=listing.revision)
    return Path(cached) if isinstance(cached, str) else None


def _llama_cache() -> Path:
    named = os.environ.get("LLAMA_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("llama.cpp", appauthor=False))


def cached_listing(repo: str, revision: str | None) -> Listing | None:
    """Return what the Hugging Face cache holds of a repository; its blobs are named by their hashes."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    reference = cache / "refs" / (revision or "main")
    commit = reference.read_text(encoding="ascii", errors="replace").strip() if reference.is_file() else revision
    if not commit or leaves_its_folder(commit) or not (cache / "snapshots" / commit).is_dir():
        return None
    snapshot = cache / "snapshots" / commit
    files: list[dict[str, object]] = []
    for path in sorted(path for path in snapshot.rglob("*") if path.is_file()):
        blob = path.resolve().name
        digest = {64: "sha256", 40: "git_sha1"}.get(len(blob)) if path.is_symlink() else None
        name = path.relative_to(snapshot).as_posix()
        files.append({"path": name, "size_bytes": path.stat().st_size} | ({digest: blob} if digest else {}))
    fields: dict[str, object] = {"repo": repo, "revision": snapshot.name, "files": files}
    return checked_listing(fields, source=f"the cache in {constants.HF_HUB_CACHE}")
