"""A pull that was stopped anywhere is finished by the same command, and leaves nothing that nobody needs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from escl.errors import DownloadError, EsclError, UsageError
from escl.memory.devices import Budget
from escl.pulling import pull as pulling
from escl.pulling.pull import Pulled, pull
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.inventory import verify
from escl.shelf.manifest import Manifest, find_model, load_manifest
from tests.checkpoints import write_qwen2
from tests.hub_server import Hub, files_of
from tests.tiny_gguf import Script, write_model

ROOMY = Budget(host_bytes=64 << 30, device_bytes=None, device=None, shares_ram=False)
TEMPLATE = "{{ messages[0].content }}"


def bring(reference: str, *, template: str | None = None, keep: bool = False) -> Pulled:
    quantize = None if "GGUF" in reference else "Q8_0"
    return pull(reference, quantize=quantize, chat_template=template, keep_checkpoint=keep, budget=lambda: ROOMY)


def stop_before_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_path: Path, _manifest: Manifest) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pulling, "write_manifest", stopped)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def offer_bare(hub: Hub, tmp_path: Path) -> None:
    bare = write_model(tmp_path / "bare.gguf", Script(table={}, template=None)).read_bytes()
    hub.add("maker/bare-GGUF", {"bare-Q4_K_M.gguf": bare})


def test_a_file_that_got_a_template_and_no_record_is_finished_by_the_same_command(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_bare(hub, tmp_path)
    with monkeypatch.context() as patch:
        stop_before_the_manifest(patch)
        with pytest.raises(KeyboardInterrupt):
            bring("hf.co/maker/bare-GGUF", template="vicuna")
    with pytest.raises(UsageError, match="in the way: it is another file"):
        bring("hf.co/maker/bare-GGUF", template="llama-2")
    hub.requests.clear()
    done = bring("hf.co/maker/bare-GGUF", template="vicuna")
    assert not [request for request in hub.requests if "/resolve/" in request.path]
    assert all(check.ok for check in verify([done.name]))
    assert not (tmp_path / "home" / "downloads" / "models--maker--bare-GGUF").exists()


def test_a_file_with_other_weights_is_not_taken_for_what_a_stopped_pull_left(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_bare(hub, tmp_path)
    with monkeypatch.context() as patch:
        stop_before_the_manifest(patch)
        with pytest.raises(KeyboardInterrupt):
            bring("hf.co/maker/bare-GGUF", template="vicuna")
    left = tmp_path / "home" / "gguf" / "hf.co" / "maker" / "bare-GGUF" / "bare-Q4_K_M.gguf"
    content = bytearray(left.read_bytes())
    content[-1] ^= 1
    left.write_bytes(content)
    with pytest.raises(UsageError, match="in the way: it is another file"):
        bring("hf.co/maker/bare-GGUF", template="vicuna")
    assert left.read_bytes() == content


@pytest.mark.parametrize(("first", "second"), [(None, "file"), ("file", None), ("vicuna", None), ("file", "vicuna")])
def test_what_was_converted_with_another_template_is_not_taken(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str | None, second: str | None
) -> None:
    path = tmp_path / "x.jinja"
    path.write_text(TEMPLATE)
    choices = {None: None, "vicuna": "vicuna", "file": str(path)}
    write_qwen2(tmp_path / "src")
    hub.add("maker/toy", tmp_path / "src")
    with monkeypatch.context() as patch:
        stop_before_the_manifest(patch)
        with pytest.raises(KeyboardInterrupt):
            bring("hf.co/maker/toy", template=choices[first])
    with pytest.raises(UsageError, match="was not made from these files and options"):
        bring("hf.co/maker/toy", template=choices[second])
    done = bring("hf.co/maker/toy", template=choices[first])
    template = read_gguf_header(Path(done.path)).metadata["tokenizer.chat_template"]
    assert (template == TEMPLATE) is (first == "file")


def test_a_manifest_names_no_file_of_this_machine(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "x.jinja"
    path.write_text(TEMPLATE)
    write_qwen2(tmp_path / "src")
    hub.add("maker/toy", tmp_path / "src")
    offer_bare(hub, tmp_path)
    for reference in ("hf.co/maker/toy", "hf.co/maker/bare-GGUF"):
        done = bring(reference, template=str(path))
        assert str(tmp_path) not in Path(done.manifest).read_text()
        made = load_manifest(Path(done.manifest)).made
        assert made is not None
        assert made.template_sha256 == hashlib.sha256(TEMPLATE.encode()).hexdigest()


def test_nothing_is_left_of_a_pull_from_the_hubs_own_cache(hub: Hub, tmp_path: Path) -> None:
    write_qwen2(tmp_path / "src")
    weights = files_of(tmp_path / "src")
    hub.add("maker/toy", weights | {"README.md": b"about"})
    snapshot = tmp_path / "hf" / "models--maker--toy" / "snapshots" / hub.repositories["maker/toy"].revision
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "blobs").mkdir()
    for name, content in weights.items():
        blob = snapshot.parents[1] / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    assert bring("hf.co/maker/toy").checkpoint == [str(snapshot)]
    assert [path for path in files_in(tmp_path / "home") if path.startswith("downloads/")] == []
    assert bring("hf.co/maker/toy").checkpoint == []


def test_a_kept_checkpoint_is_said_again_and_a_removed_one_is_not(hub: Hub, tmp_path: Path) -> None:
    write_qwen2(tmp_path / "src")
    hub.add("maker/toy", tmp_path / "src")
    kept = bring("hf.co/maker/toy", keep=True).checkpoint
    assert len(kept) == 1
    assert kept[0].startswith(bring("hf.co/maker/toy").checkpoint[0])


def test_a_broken_off_pull_keeps_what_it_received_and_a_refused_one_nothing(hub: Hub, tmp_path: Path) -> None:
    write_qwen2(tmp_path / "src")
    hub.add("maker/toy", tmp_path / "src")
    hub.faults.cuts["model.safetensors"] = [0] * 5
    with pytest.raises(DownloadError, match="stopped coming"):
        bring("hf.co/maker/toy")
    assert any(path.endswith("/config.json") for path in files_in(tmp_path / "home"))
    hub.add("maker/odd", {"config.json": b'{"model_type": "mamba"}', "model.safetensors": b"x"})
    with pytest.raises(EsclError, match="mamba"):
        bring("hf.co/maker/odd")
    with pytest.raises(DownloadError, match="has no maker/none"):
        bring("hf.co/maker/none")
    assert not [path for path in files_in(tmp_path / "home") if "odd" in path or "none" in path]


def test_a_file_whose_name_states_no_quantization_has_a_reference_that_every_command_takes(
    hub: Hub, tmp_path: Path
) -> None:
    content = write_model(tmp_path / "m.gguf", Script(table={})).read_bytes()
    hub.add("maker/toy-GGUF", {"toy.gguf": content})
    done = bring("hf.co/maker/toy-GGUF")
    assert find_model(done.name).path == Path(done.path)
    Path(done.manifest).unlink()
    assert bring(done.name).path == done.path
