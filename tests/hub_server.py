"""A server on loopback that answers as the Hugging Face Hub does, and fails as a network can.

Two servers, as there: the hub itself lists repositories and gives small files; large ones (Git LFS) are led to a second
host, which must never see the token. Answers follow what huggingface_hub 2.4 asks: /api/models/<repo>[/revision/<rev>]
and /<repo>/resolve/<rev>/<path>, X-Error-Code and X-Error-Message on refusals.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import close_session, constants

from escl.shelf import hub as downloader

LARGE = (".safetensors", ".gguf", "tokenizer.model", ".bin")


@dataclass(slots=True)
class Repository:
    """Files at one commit.

    Attributes:
        gated: Given only with the token "hf_allowed".
        promised: Hashes that the listing states in place of the true ones, by path.
    """

    files: dict[str, bytes]
    revision: str
    licence: str | None = "mit"
    gated: bool = False
    promised: dict[str, str] = field(default_factory=dict)

    def listing(self) -> dict[str, object]:
        siblings = []
        for path, content in self.files.items():
            entry: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
            if path.endswith(LARGE):
                sha256 = self.promised.get(path, hashlib.sha256(content).hexdigest())
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            elif path in self.promised:
                entry["blobId"] = self.promised[path]
            siblings.append(entry)
        card = {"license": self.licence} if self.licence else {}
        return {"id": "", "sha": self.revision, "siblings": siblings, "cardData": card, "tags": []}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, and of which of the two hosts."""

    host: str
    path: str
    start: int
    token: str | None


@dataclass(slots=True)
class Faults:
    """What goes wrong.

    Attributes:
        cuts: For a path, after how many bytes each answer in turn breaks off; afterwards answers are whole.
        stall: Paths whose answers stop in the middle until `released` is set.
        gone: Paths that the listing names and that are not there.
        status: For a path, the status of each answer in turn; afterwards answers are normal.
        no_ranges: The second host answers with the whole file, whatever part it is asked for.
    """

    cuts: dict[str, list[int]] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    status: dict[str, list[int]] = field(default_factory=dict)
    no_ranges: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)


class Hub:
    """The two servers and what they saw."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.requests: list[Request] = []
        self._hub, self._cdn = _server(self, "hub"), _server(self, "cdn")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def second_host(self) -> str:
        return f"http://127.0.0.1:{self._cdn.server_port}"

    def add(self, repo: str, source: Path | dict[str, bytes], **more: object) -> Repository:
        """Offer the files of a folder, or given ones, as a repository."""
        files = source if isinstance(source, dict) else files_of(source)
        revision = hashlib.sha1(repo.encode() + b"".join(files.values()), usedforsecurity=False).hexdigest()
        repository = Repository(files=files, revision=revision, **more)  # type: ignore[arg-type]
        self.repositories[repo] = repository
        return repository

    def starts(self, path: str) -> list[int]:
        """Return from which byte each request for a large file's content asked, in turn."""
        return [request.start for request in self.requests if request.host == "cdn" and request.path.endswith(path)]

    def close(self) -> None:
        self.faults.released.set()
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    """Give a hub that is closed at the end."""
    hub = Hub()
    try:
        yield hub
    finally:
        hub.close()


@contextlib.contextmanager
def asked_by_this_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Give a hub that huggingface_hub asks in this process; the user's home and caches lie in `home`."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as server:
        monkeypatch.setenv("ESCL_HOME", str(home / "home"))
        monkeypatch.setenv("LLAMA_CACHE", str(home / "llama"))
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        url = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hf"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(downloader, "_LONGEST_PAUSE_S", 0.0)
        close_session()
        yield server
        close_session()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _server(hub: Hub, host: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _Answer(self, hub, host).give()

        def do_HEAD(self) -> None:
            _Answer(self, hub, host).give()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class _Answer:
    def __init__(self, handler: BaseHTTPRequestHandler, hub: Hub, host: str) -> None:
        self.handler, self.hub, self.host = handler, hub, host
        self.path = unquote(urlsplit(handler.path).path)
        self.token = handler.headers.get("Authorization")
        asked = handler.headers.get("Range", "bytes=0-")
        self.start = int(asked.removeprefix("bytes=").partition("-")[0])

    def give(self) -> None:
        self.hub.requests.append(Request(self.host, self.path, self.start, self.token))
        with contextlib.suppress(ConnectionError):
            if self.path.startswith("/api/models/"):
                self.list(self.path.removeprefix("/api/models/"))
            else:
                self.file()

    def list(self, rest: str) -> None:
        repo, _, revision = rest.partition("/revision/")
        repository = self.hub.repositories.get(repo)
        if codes := self.hub.faults.status.get(self.path):
            self.refuse(codes.pop(0), None, "try again")
        elif repository is None:
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
        elif revision and revision not in (repository.revision, "main"):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
        else:
            self.send(200, json.dumps(repository.listing()).encode(), {"Content-Type": "application/json"})

    def file(self) -> None:
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        repository = self.hub.repositories.get(repo)
        if repository is None or revision != repository.revision:
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
        elif codes := self.hub.faults.status.get(path):
            self.refuse(codes.pop(0), None, "try again")
        elif repository.gated and self.token != "Bearer hf_allowed" and self.host == "hub":
            words = f"Access to model {repo} is restricted."
            self.refuse(401 if self.token is None else 403, "GatedRepo", words)
        elif path not in repository.files or path in self.hub.faults.gone:
            self.refuse(404, "EntryNotFound", "Entry not found")
        elif self.host == "hub" and path.endswith(LARGE):
            self.send(302, b"", {"Location": self.hub.second_host + self.handler.path})
        else:
            self.content(path, repository.files[path])

    def content(self, path: str, whole: bytes) -> None:
        start = 0 if self.hub.faults.no_ranges else self.start
        if start > len(whole) or (start == len(whole) and whole):
            self.refuse(416, None, "no such part")
            return
        part = whole[start:]
        self.handler.send_response(206 if "Range" in self.handler.headers and not self.hub.faults.no_ranges else 200)
        self.handler.send_header("Content-Length", str(len(part)))
        self.handler.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.handler.end_headers()
        cuts = self.hub.faults.cuts.get(path)
        if cuts:
            self.handler.wfile.write(part[: cuts.pop(0)])
            self.handler.wfile.flush()
            self.handler.close_connection = True
            return
        stall = self.hub.faults.stall.get(path)
        if stall is not None and not self.hub.faults.released.is_set():
            self.handler.wfile.write(part[:stall])
            self.handler.wfile.flush()
            self.hub.faults.stalled.set()
            self.hub.faults.released.wait(20)
            self.handler.close_connection = True
            return
        self.handler.wfile.write(part)

    def refuse(self, status: int, code: str | None, words: str) -> None:
        headers = {"X-Error-Message": words} | ({"X-Error-Code": code} if code else {})
        self.send(status, json.dumps({"error": words}).encode(), headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)
