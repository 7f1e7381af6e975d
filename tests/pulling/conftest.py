"""A hub on loopback, an empty home, and nothing of this machine's own settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from escl.shelf import hub as downloader
from tests.hub_server import Hub, running_hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process asks; the user's home and caches lie in tmp_path."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as server:
        monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama"))
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        url = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(downloader, "_LONGEST_PAUSE_S", 0.0)
        close_session()
        yield server
        close_session()
