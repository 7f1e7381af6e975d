"""A file arrives with the bytes that the hub promised, however the network behaves, or an error says what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

import pytest
from huggingface_hub import close_session, constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escl.errors import DownloadError, StorageError, UsageError
from escl.shelf import hub as downloader
from escl.shelf.hub import fetch, list_repository, missing_bytes
from escl.shelf.repository import Listing, RemoteFile, checked_listing, listing_from_hub
from escl.shelf.source import ModelFile, leaves_its_folder
from tests.hub_server import Hub

CONTENT: Final = bytes(range(256)) * 40
NAME: Final = "w.safetensors"


def offer(hub: Hub, **more: object) -> None:
    hub.add("maker/toy", {NAME: CONTENT, "config.json": b"{}"}, **more)


def listed(tmp_path: Path) -> Listing:
    return list_repository("maker/toy", None, kept=tmp_path / "kept.json")


def bring(tmp_path: Path, *names: str) -> list[ModelFile]:
    listing = listed(tmp_path)
    return fetch(listing, [file for file in listing.files if file.path in (names or (NAME,))], tmp_path / "to")


@given(cuts=st.lists(st.integers(min_value=0, max_value=4000), max_size=6))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_that_break_off_anywhere_are_taken_up_at_the_byte_where_they_broke(
    hub: Hub, tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    tmp_path = tmp_path_factory.mktemp("cuts")
    offer(hub)
    hub.requests.clear()
    hub.faults.cuts[NAME] = list(cuts)
    idle = 0
    for cut in cuts:
        idle = 0 if cut else idle + 1
        if idle == 5:
            return
    bring(tmp_path)
    assert (tmp_path / "to" / NAME).read_bytes() == CONTENT
    starts = [0]
    for cut in cuts:
        starts.append(starts[-1] + cut)
    assert hub.starts(NAME) == [start for start in starts if start < len(CONTENT)]


def test_another_run_goes_on_where_the_last_one_gave_up(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    hub.faults.cuts[NAME] = [777, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"stopped coming at 777 of 10,240 bytes"):
        bring(tmp_path)
    listing = listed(tmp_path)
    assert (
        missing_bytes(listing, [file for file in listing.files if file.path == NAME], tmp_path / "to") == 10_240 - 777
    )
    hub.requests.clear()
    bring(tmp_path)
    assert hub.starts(NAME) == [777]


def test_a_partial_download_is_never_continued_with_other_content(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    hub.faults.cuts[NAME] = [777, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="stopped coming"):
        bring(tmp_path)
    hub.add("maker/toy", {NAME: CONTENT[::-1], "config.json": b"{}"})
    hub.requests.clear()
    bring(tmp_path)
    assert hub.starts(NAME) == [0]
    assert (tmp_path / "to" / NAME).read_bytes() == CONTENT[::-1]


def test_a_server_that_knows_no_ranges_gives_the_whole_file_again(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    hub.faults.cuts[NAME], hub.faults.no_ranges = [4000], True
    bring(tmp_path)
    assert (tmp_path / "to" / NAME).read_bytes() == CONTENT


def test_a_silent_connection_is_left_and_taken_up(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(hub)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.faults.stall[NAME] = 4000
    bring(tmp_path)
    assert hub.starts(NAME) == [0, 4000, 8000]


def test_busy_and_broken_answers_are_tried_again(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    hub.faults.status["config.json"] = [503, 429, 500, 502]
    assert bring(tmp_path, "config.json")[0].sha256 == hashlib.sha256(b"{}").hexdigest()
    (tmp_path / "to" / "config.json").unlink()
    hub.faults.status["config.json"] = [503] * 5
    with pytest.raises(DownloadError, match="the server answered 503"):
        bring(tmp_path, "config.json")


def test_more_bytes_than_announced_are_refused(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    listing = listed(tmp_path)
    file = RemoteFile(path=NAME, size_bytes=100, sha256=hashlib.sha256(CONTENT[:100]).hexdigest())
    with pytest.raises(DownloadError, match="more than the 100 bytes"):
        fetch(listing, [file], tmp_path / "to")


@pytest.mark.parametrize(("name", "digits"), [(NAME, 64), ("config.json", 40)])
def test_a_file_with_another_hash_is_thrown_away(hub: Hub, tmp_path: Path, name: str, digits: int) -> None:
    offer(hub, promised={name: "0" * digits})
    with pytest.raises(DownloadError, match=f"{name} of maker/toy arrived with another hash than 0000"):
        bring(tmp_path, name)
    assert not [path for path in (tmp_path / "to").rglob("*") if path.is_file()]


def test_a_file_that_was_there_and_changed_is_brought_again(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    bring(tmp_path)
    (tmp_path / "to" / NAME).write_bytes(CONTENT[:-1] + b"x")
    bring(tmp_path)
    assert (tmp_path / "to" / NAME).read_bytes() == CONTENT


def test_a_file_that_is_gone_is_named(hub: Hub, tmp_path: Path) -> None:
    offer(hub)
    hub.faults.gone.add(NAME)
    with pytest.raises(DownloadError, match=r"w\.safetensors of maker/toy is not there any more"):
        bring(tmp_path)


def test_a_full_disk_loses_nothing(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(hub)
    hub.faults.cuts[NAME] = [4000]
    real, calls = os.fsync, list[int]()

    def full(descriptor: int) -> None:
        real(descriptor)
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        bring(tmp_path)
    assert "is kept" in (caught.value.hint or "")
    bring(tmp_path)
    assert hub.starts(NAME) == [0, 4000]


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "..\\x", "", "x" * 500, "\\\\host\\share"])
def test_a_listing_that_leads_out_of_its_folder_is_refused(path: str) -> None:
    assert leaves_its_folder(path)
    files = [{"path": path, "size_bytes": 1}]
    with pytest.raises(DownloadError, match="would leave its folder"):
        checked_listing({"repo": "a/b", "revision": "0" * 40, "files": files}, source="the hub")


@pytest.mark.parametrize("path", ["a:b", "C:\\x", "C:x", "../c:x"])
def test_a_file_with_a_colon_in_its_name_is_left_out_and_hides_no_other(path: str) -> None:
    assert leaves_its_folder(path)
    files = [{"path": path, "size_bytes": 1}, {"path": "a", "size_bytes": 1}]
    listing = checked_listing({"repo": "a/b", "revision": "0" * 40, "files": files}, source="the hub")
    assert [file.path for file in listing.files] == ["a"]


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "main"},
        {"repo": "../b"},
        {"files": [{"path": "a", "size_bytes": -1}]},
        {"files": [{"path": "a", "size_bytes": 1 << 50}]},
        {"files": [{"path": "a", "size_bytes": 1, "sha256": "../../x"}]},
        {"files": None},
    ],
)
def test_an_impossible_listing_is_refused(change: dict[str, object]) -> None:
    fields: dict[str, object] = {"repo": "a/b", "revision": "0" * 40, "files": []}
    with pytest.raises(DownloadError, match="impossible answer"):
        checked_listing(fields | change, source="the hub")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{", b"\xff", b'{"sha": 3}', b'{"sha": "x", "siblings": "y"}', b"[" * 100_000],
)
def test_an_answer_that_is_no_listing_is_refused(content: bytes) -> None:
    with pytest.raises(DownloadError, match=r"cannot be read|impossible answer"):
        listing_from_hub(content, repo="a/b")


def test_an_endless_answer_is_not_read_to_its_end(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(hub)
    monkeypatch.setattr(downloader, "_MAX_LISTING_BYTES", 100)
    with pytest.raises(DownloadError, match="more than 100 bytes"):
        listed(tmp_path)


@pytest.mark.parametrize(("status", "is_passing"), [(503, True), (429, True), (408, True), (400, False), (410, False)])
def test_an_earlier_answer_does_only_while_the_hub_cannot_answer_and_that_is_said(
    hub: Hub, tmp_path: Path, status: int, is_passing: bool
) -> None:
    offer(hub)
    earlier, notes = listed(tmp_path), list[str]()
    hub.faults.status["/api/models/maker/toy"] = [status]

    def ask() -> Listing:
        return list_repository("maker/toy", None, kept=tmp_path / "kept.json", on_note=notes.append)

    if is_passing:
        assert ask() == earlier
        assert [f"answered {status}" in note and earlier.revision[:12] in note for note in notes] == [True]
    else:
        with pytest.raises(DownloadError, match=f"the hub answered {status}"):
            ask()
        assert notes == []


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "http://user:sec#ret@127.0.0.1:9", "gopher://user:sec@127.0.0.1:9"]
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_only(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    offer(hub)
    close_session()
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError, match="ALL_PROXY") as caught:
        listed(tmp_path)
    assert "sec" not in str(caught.value)


def test_control_characters_in_a_licence_do_not_reach_the_screen() -> None:
    answer = {"sha": "0" * 40, "siblings": [], "cardData": {"license": "mit\x1b[2J\u202e"}}
    assert listing_from_hub(json.dumps(answer).encode(), repo="a/b").licence == "mit\ufffd[2J\ufffd"
