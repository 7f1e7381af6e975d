"""The only downloader: lists a repository of the Hugging Face Hub and brings files of it, checked, into a folder.

A download goes on where it stopped, in the same process or another day: what was received stays beside the target under
the name of its content. Nothing gets its final name before its hash is right. Files that other programs have downloaded
(the Hugging Face cache, llama.cpp's) are taken from there. Knows nothing of models and manifests.

huggingface_hub reads HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and the like when it is imported, so it is imported in here,
when something is to be brought. huggingface_hub's own download drops what it has when it is stopped; hence the loop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote

import msgspec

from escl import __version__
from escl.core.printable import printable
from escl.core.proxies import environment_explained
from escl.errors import DownloadError, StorageError
from escl.shelf.other_caches import cached_listing, elsewhere
from escl.shelf.places import PARTIAL
from escl.shelf.reference import is_commit
from escl.shelf.repository import Listing, OnBytes, RemoteFile, checked_listing, listing_from_hub, verified
from escl.shelf.source import ModelFile

if TYPE_CHECKING:
    from httpx2 import Client, Response

_TRIES: Final = 5
"""In a row without a byte received."""
_LONGEST_PAUSE_S: Final = 30.0
_GOES_ON: Final = "what was received is kept; the same command goes on from there"
_MAX_LISTING_BYTES: Final = 32 << 20


def list_repository(
    repo: str, revision: str | None, *, kept: Path, on_note: Callable[[str], None] = lambda _text: None
) -> Listing:
    """Return what `repo` holds at a commit, branch or tag (None: the main branch).

    Args:
        repo: "owner/name".
        revision: What to look for.
        kept: The file in which an answer is kept, so that without a network what is already here can be used.
        on_note: Told when an earlier answer had to do.

    Raises:
        DownloadError: No such repository or revision, no permission, or no network and no earlier answer.
    """
    try:
        listing = _ask(repo, revision)
    except _UnreachableError as error:
        earlier = _kept_listing(kept) or cached_listing(repo, revision)
        if earlier is None:
            raise DownloadError(error.message, hint=error.hint) from error
        on_note(f"{error.message}; what was known of {repo} before is used: commit {earlier.revision[:12]}")
        return earlier
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(listing))
    return listing


def missing_bytes(listing: Listing, files: Sequence[RemoteFile], folder: Path) -> int:
    """Return how many more bytes of the disk `files` will take in `folder`, at most."""
    disk = next(parent for parent in (folder, *folder.parents) if parent.exists()).stat().st_dev
    left = 0
    for file in files:
        linked = any(path.stat().st_dev == disk for path in elsewhere(listing, file))
        if not linked and not (folder / file.path).is_file():
            partial = _partial(folder, file)
            left += file.size_bytes - (partial.stat().st_size if partial.is_file() else 0)
    return max(0, left)


def fetch(
    listing: Listing,
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    pinned: Sequence[ModelFile] = (),
    on_bytes: OnBytes = lambda _what, _n: None,
) -> list[ModelFile]:
    """Bring `files` of `listing` into `folder` under their paths and return them with their hashes.

    No other process may do the same at the same time (escl.shelf.places.holding).

    Args:
        listing: The repository at its commit.
        files: Those to bring.
        folder: Made when it is not there.
        pinned: What a manifest promises of some of them.
        on_bytes: Called now and then.

    Raises:
        DownloadError: A file is gone, forbidden, not what was promised, or the network is.
        StorageError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        brought = [_bring(listing, file, folder, pinned=pinned, on_bytes=on_bytes) for file in files]
        with contextlib.suppress(OSError):
            (folder / PARTIAL).rmdir()
        return brought
    except OSError as error:
        raise StorageError(f"{error.filename or folder}: {error.strerror or error}", hint=_GOES_ON) from error


def _bring(
    listing: Listing, file: RemoteFile, folder: Path, *, pinned: Sequence[ModelFile], on_bytes: OnBytes
) -> ModelFile:
    target, partial = folder / file.path, _partial(folder, file)
    if target.is_file() and (done := verified(target, file, pinned=pinned, on_bytes=on_bytes)):
        on_bytes(f"have {file.path}", file.size_bytes)
        return done
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.parent.mkdir(exist_ok=True)
    for other in elsewhere(listing, file):
        if done := verified(other, file, pinned=pinned, on_bytes=on_bytes):
            _take_over(other, target, partial)
            on_bytes(f"found {file.path}", file.size_bytes)
            return done
    with _explained(listing.repo, f"{file.path} of {listing.repo}"):
        _receive(listing, file, partial, on_bytes)
    done = verified(partial, file, pinned=pinned, on_bytes=on_bytes)
    if done is None:
        partial.unlink()
        expected = next((one.sha256 for one in pinned if one.path == file.path and one.sha256), file.content)
        raise DownloadError(
            f"{file.path} of {listing.repo} arrived with another hash than {expected}; it was thrown away",
            hint="run the command again; if it happens again, the source or the way to it is not to be trusted",
        )
    partial.replace(target)
    return done


def _partial(folder: Path, file: RemoteFile) -> Path:
    return folder / PARTIAL / file.content


def _receive(listing: Listing, file: RemoteFile, partial: Path, on_bytes: OnBytes) -> None:
    """Append to `partial` until it has all bytes of the file."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(listing.repo, file.path, revision=listing.revision)
    partial.touch()
    idle, have = 0, partial.stat().st_size
    on_bytes(f"downloading {file.path}", have)
    while have < file.size_bytes:
        problem = _receive_some(url, file, partial, on_bytes)
        before, have = have, partial.stat().st_size
        if have > before:
            idle = 0
            continue
        idle += 1
        if idle == _TRIES:
            raise _UnreachableError(
                f"{file.path} of {listing.repo} stopped coming at {have:,} of {file.size_bytes:,} bytes: {problem}",
                hint=_GOES_ON,
            )
        time.sleep(min(2.0 ** (idle - 1), _LONGEST_PAUSE_S))


def _receive_some(url: str, file: RemoteFile, partial: Path, on_bytes: OnBytes) -> str:
    """Append what one request gives and return why it ended early; a refusal is raised as huggingface_hub does."""
    import httpx2
    from huggingface_hub import constants, hf_raise_for_status
    from huggingface_hub.errors import HfHubHTTPError

    have = partial.stat().st_size
    # Encoded bytes could not be asked for from the middle. The client drops the token when it is led to another host.
    headers = _headers() | {"Accept-Encoding": "identity", "Range": f"bytes={have}-"}
    try:
        with _session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
            hf_raise_for_status(response)
            with partial.open("ab") as stream:
                try:
                    _append(response, stream, have, file, on_bytes)
                finally:
                    stream.flush()
                    os.fsync(stream.fileno())
    except HfHubHTTPError as error:
        if _is_passing(error.response.status_code):
            return f"the server answered {error.response.status_code}"
        raise
    except httpx2.TransportError as error:
        return printable(str(error)) or type(error).__name__
    return "the server ended its answer"


def _is_passing(status: int) -> bool:
    """Return whether a status says that the same question may be answered later."""
    return status in (408, 429) or status >= 500


def _session() -> Client:
    from huggingface_hub import get_session

    with environment_explained():
        return get_session()


def _headers() -> dict[str, str]:
    from huggingface_hub import constants, get_token

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {"User-Agent": f"escl/{__version__}"} | ({} if token is None else {"Authorization": f"Bearer {token}"})


def _append(response: Response, stream: BinaryIO, have: int, file: RemoteFile, on_bytes: OnBytes) -> None:
    if response.status_code == 200:
        # The server does not know ranges: it begins again.
        stream.truncate(0)
        on_bytes(f"downloading {file.path}", -have)
        have = 0
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise DownloadError(f"{file.path}: the server sent another part than the one it was asked for")
    for chunk in response.iter_bytes():
        have += len(chunk)
        if have > file.size_bytes:
            stream.truncate(0)
            raise DownloadError(
                f"{file.path}: the server sent more than the {file.size_bytes:,} bytes it had announced"
            )
        stream.write(chunk)
        on_bytes(f"downloading {file.path}", len(chunk))


def _take_over(path: Path, target: Path, partial: Path) -> None:
    """Let `target` be the file `path`: a second name for the same bytes, or a copy on another disk."""
    partial.unlink(missing_ok=True)
    try:
        os.link(path, partial)
    except OSError:
        shutil.copyfile(path, partial)
    partial.replace(target)


class _UnreachableError(DownloadError):
    """The hub cannot be asked now, for want of a network or by the user's wish."""


def _ask(repo: str, revision: str | None) -> Listing:
    """Return the hub's own answer. Its size is bounded, which huggingface_hub's `model_info` does not do."""
    from huggingface_hub import constants, hf_raise_for_status

    at = f"/revision/{quote(revision, safe='')}" if revision else ""
    url, content = f"{constants.ENDPOINT}/api/models/{repo}{at}", b""
    wait_s = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with (
        _explained(repo, f"{repo} at {revision}" if revision else repo),
        _session().stream("GET", url, params={"blobs": "true"}, headers=_headers(), timeout=wait_s) as response,
    ):
        hf_raise_for_status(response)
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _MAX_LISTING_BYTES:
                raise DownloadError(f"the hub, asked for {repo}, gives more than {_MAX_LISTING_BYTES:,} bytes")
    listing = listing_from_hub(content, repo=repo)
    if is_commit(revision) and listing.revision != revision:
        raise DownloadError(f"the hub was asked for {repo} at {revision} and answered with {listing.revision}")
    return listing


def _kept_listing(path: Path) -> Listing | None:
    try:
        return checked_listing(msgspec.json.decode(path.read_bytes()), source=str(path))
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError, DownloadError):
        return None


@contextlib.contextmanager
def _explained(repo: str, what: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a DownloadError that says what to do."""
    import httpx2
    from huggingface_hub import constants, errors, get_token

    has_token = get_token() is not None
    log_in = "the token in use may not see it" if has_token else "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError as error:
        hint = f"accept its conditions at {constants.ENDPOINT}/{repo}; then {log_in if not has_token else 'try again'}"
        raise DownloadError(f"{repo} is given only to who accepts its conditions", hint=hint) from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{what}: the repository has no such revision") from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(f"{constants.ENDPOINT} has no {repo}, or does not show it", hint=log_in) from error
    except errors.RemoteEntryNotFoundError as error:
        raise DownloadError(f"{what} is not there any more", hint="was the repository changed just now?") from error
    except errors.OfflineModeIsEnabled as error:
        hint = "unset HF_HUB_OFFLINE where there is a network, or bring the model in a bundle"
        raise _UnreachableError(f"{what} is not here, and HF_HUB_OFFLINE forbids to ask for it", hint=hint) from error
    except errors.HfHubHTTPError as error:
        raise _refusal(error.response, what, log_in) from error
    except httpx2.TransportError as error:
        hint = f"is there a network, and is {constants.ENDPOINT} the right address (HF_ENDPOINT, proxies)? {_GOES_ON}"
        raise _UnreachableError(
            f"{constants.ENDPOINT} cannot be reached: {printable(str(error))}", hint=hint
        ) from error
    except (errors.HFValidationError, httpx2.HTTPError, ValueError) as error:
        raise DownloadError(f"{what}: {printable(str(error))[:300]}") from error


def _refusal(response: Response, what: str, log_in: str) -> DownloadError:
    """Return the error for an answer that huggingface_hub has no name for."""
    from huggingface_hub import constants

    said = printable(response.headers.get("X-Error-Message", ""))[:200]
    message = f"{what}: the hub answered {response.status_code}{': ' + said if said else ''}"
    if _is_passing(response.status_code):
        return _UnreachableError(message, hint=_GOES_ON)
    is_asked_for = response.status_code in (401, 403)
    return DownloadError(message, hint=log_in if is_asked_for else f"is {constants.ENDPOINT} (HF_ENDPOINT) the hub?")
