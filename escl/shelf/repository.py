"""What a repository on the hub holds: values, the check of what a server says, and of what was received.

Knows no network. File names, sizes and hashes come from a server and are checked here before anything uses them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from escl.core.printable import printable
from escl.errors import DownloadError
from escl.shelf.source import ModelFile, Repository, Revision, Sha256, SizeBytes, leaves_its_folder

OnBytes = Callable[[str, int], None]
"""Called with what is being done and the bytes of it done since the last call."""

_MAX_FILES: Final = 20_000
_MAX_FILE_BYTES: Final = 1 << 42
_MAX_LICENCE_CHARS: Final = 100
_HASH_BLOCK: Final = 1 << 22


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a repository, as the hub describes it.

    Attributes:
        sha256: Of a large file (Git LFS or Xet); None for one that Git itself holds.
        git_sha1: Git's name for the content of a small file.
    """

    path: str
    size_bytes: Annotated[SizeBytes, msgspec.Meta(le=_MAX_FILE_BYTES)]
    sha256: Sha256 | None = None
    git_sha1: Revision | None = None

    @property
    def content(self) -> str:
        """What names the content: two files of one name and different content differ in this."""
        return self.sha256 or self.git_sha1 or f"unhashed-{self.size_bytes}"


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository at one commit.

    Attributes:
        licence: As its card states it; None when it states none.
    """

    repo: Repository
    revision: Revision
    files: tuple[RemoteFile, ...]
    licence: str | None = None


def checked_listing(fields: dict[str, object], *, source: str) -> Listing:
    """Return the listing that a server's answer amounts to, without files whose names not every system can hold.

    Raises:
        DownloadError: A name leaves its folder, a size or hash is impossible, or there are too many files.
    """
    try:
        listing = msgspec.convert(fields, Listing)
    except msgspec.ValidationError as error:
        raise DownloadError(f"{source} gives an impossible answer: {error}") from error
    if len(listing.files) > _MAX_FILES:
        raise DownloadError(f"{source} lists {len(listing.files):,} files; at most {_MAX_FILES:,} are accepted")
    # A colon leads to another disk or stream on Windows. Nothing that a model needs has one in its name.
    listing = msgspec.structs.replace(listing, files=tuple(file for file in listing.files if ":" not in file.path))
    for file in listing.files:
        if leaves_its_folder(file.path):
            raise DownloadError(f"{source} lists a file that would leave its folder: {file.path!r}")
    return listing


class _Lfs(msgspec.Struct):
    sha256: str
    size: int


class _Sibling(msgspec.Struct, rename="camel"):
    rfilename: str
    size: int | None = None
    blob_id: str | None = None
    lfs: _Lfs | None = None


class _Card(msgspec.Struct):
    license: str | list[str] | None = None
    license_name: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    sha: str
    siblings: list[_Sibling] = []
    card_data: _Card | None = None


def listing_from_hub(content: bytes, *, repo: str) -> Listing:
    """Return the listing in the JSON that the hub answers to /api/models/<repo>?blobs=true.

    Raises:
        DownloadError: It is not such an answer, or an impossible one.
    """
    source = f"the hub, asked for {repo},"
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DownloadError(f"{source} gives an answer that cannot be read: {error}") from error
    files = [
        {
            "path": one.rfilename,
            "size_bytes": one.lfs.size if one.lfs else one.size,
            "sha256": one.lfs.sha256 if one.lfs else None,
            "git_sha1": None if one.lfs else one.blob_id,
        }
        for one in answer.siblings
        if one.lfs is not None or one.size is not None
    ]
    fields: dict[str, object] = {"repo": repo, "revision": answer.sha, "files": files}
    card = answer.card_data or _Card()
    named = card.license_name or (card.license if isinstance(card.license, str) else ", ".join(card.license or ()))
    if named:
        fields["licence"] = " ".join(printable(named[:_MAX_LICENCE_CHARS]).split())
    return checked_listing(fields, source=source)


def check_pinned(listing: Listing, pinned: Sequence[ModelFile], *, wanted: Sequence[RemoteFile]) -> None:
    """Refuse a listing that differs from what a manifest promises, before anything is downloaded.

    Raises:
        DownloadError: A promised file is missing, or has another size or hash.
    """
    listed = {file.path: file for file in wanted}
    for file in pinned:
        found = listed.get(file.path)
        where = f"{listing.repo} at {listing.revision[:12]}"
        if found is None:
            raise DownloadError(f"{where} lacks {file.path}, which the manifest names")
        pairs = (("bytes", file.size_bytes, found.size_bytes), ("sha256", file.sha256, found.sha256))
        for what, promised, is_there in pairs:
            if promised is not None and is_there is not None and promised != is_there:
                raise DownloadError(
                    f"{where}: {file.path} has {what} {is_there}, but the manifest says {promised}",
                    hint="the source was changed, or the manifest is wrong; nothing was downloaded",
                )


def verified(path: Path, file: RemoteFile, *, pinned: Sequence[ModelFile] = (), on_bytes: OnBytes) -> ModelFile | None:
    """Return the file's record with its sha256 when the content of `path` is that of `file`, else None.

    Args:
        path: What is there.
        file: What it should be.
        pinned: What a manifest promises of it besides.
        on_bytes: Called while it is hashed.
    """
    if path.stat().st_size != file.size_bytes:
        return None
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            sha256.update(block)
            if file.sha256 is None:
                sha1.update(block)
            on_bytes(f"checking {file.path}", 0)
    digest = sha256.hexdigest()
    promised = {one.sha256 for one in pinned if one.path == file.path and one.sha256} | {file.sha256} - {None}
    if promised - {digest} or (file.sha256 is None and file.git_sha1 not in (None, sha1.hexdigest())):
        return None
    return ModelFile(path=file.path, size_bytes=file.size_bytes, sha256=digest)
