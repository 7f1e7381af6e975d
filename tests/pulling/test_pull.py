"""A pull brings exactly what the hub promises onto the shelf, in one run or in several, and says why when it cannot."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import msgspec
import pytest
from huggingface_hub import constants

from escl.core.dimension import Dimension, Language
from escl.core.sampling import Sampling
from escl.errors import DownloadError, EsclError, ExitCode, ManifestError, StorageError, UsageError
from escl.memory.devices import Budget
from escl.pulling.pull import Pulled, pull
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.inventory import describe, verify
from escl.shelf.manifest import Manifest, ModelRole, find_model, load_manifest
from escl.shelf.places import holding
from escl.shelf.reference import hub_reference
from escl.shelf.removal import removal, remove
from escl.shelf.source import AdapterSource, ModelFile, Source
from escl.shelf.written import write_manifest
from tests.checkpoints import write_adapter, write_internlm2, write_qwen2
from tests.hub_server import Hub, files_of
from tests.tiny_gguf import Script, write_model

ROOMY = Budget(host_bytes=64 << 30, device_bytes=None, device=None, shares_ram=False)


def bring(reference: str, *, quantize: str | None = "Q8_0", keep_checkpoint: bool = False) -> Pulled:
    return pull(reference, quantize=quantize, keep_checkpoint=keep_checkpoint, budget=lambda: ROOMY)


def offer_checkpoint(hub: Hub, folder: Path, **more: object) -> dict[str, bytes]:
    write_qwen2(folder, shards=3)
    files = files_of(folder) | {"README.md": b"about", "LICENSE": b"terms", "pytorch_model.bin": b"never fetched"}
    return hub.add("maker/toy", files, **more).files


def home_files(tmp_path: Path) -> list[str]:
    home = tmp_path / "home"
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def test_a_checkpoint_becomes_a_pinned_model_that_is_found_by_its_reference(hub: Hub, tmp_path: Path) -> None:
    files = offer_checkpoint(hub, tmp_path / "src")
    done = bring("hf.co/maker/toy")
    model = find_model("hf.co/maker/toy:Q8_0")
    assert (model.name, str(model.path)) == ("maker/toy:Q8_0", done.path)
    assert find_model("hf.co/maker/toy").sha256 == model.sha256
    manifest = load_manifest(Path(done.manifest))
    assert manifest.unpinned == ()
    assert manifest.source is not None
    assert manifest.source.revision == hub.repositories["maker/toy"].revision
    taken = {file.path: file.sha256 for file in manifest.source.files}
    assert taken == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in files.items()
        if path not in ("pytorch_model.bin", "README.md", "LICENSE")
    }
    header = read_gguf_header(model.path)
    assert header.metadata["escl.source.repository"] == "maker/toy"
    assert header.metadata["escl.source.revision"] == manifest.source.revision
    assert home_files(tmp_path) == [
        "gguf/hf.co/maker/toy/Q8_0.toml",
        "gguf/hf.co/maker/toy/licences/maker--toy/LICENSE",
        "gguf/hf.co/maker/toy/licences/maker--toy/README.md",
        "gguf/hf.co/maker/toy/toy-Q8_0.gguf",
    ]
    assert manifest.sampling == Sampling(temperature=1.0, top_p=1.0, top_k=50, repeat_penalty=1.0)
    assert not any(request.path.endswith(".bin") for request in hub.requests)
    asked = {request.path for request in hub.requests if not request.path.startswith("/maker/toy/resolve/")}
    assert asked == {"/api/models/maker/toy"}


def offer_ready(hub: Hub, tmp_path: Path, **more: object) -> bytes:
    """Offer a repository with one GGUF file and return its content."""
    content = gguf_bytes(tmp_path)
    hub.add("maker/toy-GGUF", {"toy-Q4_K_M.gguf": content}, **more)
    return content


def test_what_is_there_is_not_pulled_again(hub: Hub, tmp_path: Path) -> None:
    offer_ready(hub, tmp_path)
    first = bring("hf.co/maker/toy-GGUF:Q4_K_M", quantize=None)
    seen = len(hub.requests)
    again = bring("hf.co/maker/toy-GGUF:Q4_K_M", quantize=None)
    assert (again.already, again.path, len(hub.requests)) == (True, first.path, seen)
    remove(removal("hf.co/maker/toy-GGUF:Q4_K_M"))
    assert home_files(tmp_path) == []
    with pytest.raises(ManifestError, match="not on the shelf"):
        find_model("hf.co/maker/toy-GGUF:Q4_K_M")


def test_a_connection_that_breaks_at_random_bytes_is_taken_up_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    files = offer_checkpoint(hub, tmp_path / "src")
    rng = random.Random(0)
    expected: dict[str, list[int]] = {}
    for path in (name for name in files if name.endswith(".safetensors")):
        left, starts, cuts = len(files[path]), [0], []
        for _ in range(4):
            cut = rng.randrange(1, left // 2)
            cuts.append(cut)
            starts.append(starts[-1] + cut)
            left -= cut
        hub.faults.cuts[path], expected[path] = cuts, starts
    done = bring("hf.co/maker/toy")
    assert {path: hub.starts(path) for path in expected} == expected
    assert all(check.ok for check in verify([done.name]))


def test_a_pull_that_gave_up_goes_on_in_the_next_run(hub: Hub, tmp_path: Path) -> None:
    files = offer_checkpoint(hub, tmp_path / "src")
    shard = "model-00002-of-00003.safetensors"
    # One answer brings 5,000 bytes; then nothing comes any more, as often as it is tried.
    hub.faults.cuts[shard] = [5000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match=f"stopped coming at 5,000 of {len(files[shard]):,} bytes") as caught:
        bring("hf.co/maker/toy")
    assert "the same command goes on" in (caught.value.hint or "")
    seen = len(hub.requests)
    bring("hf.co/maker/toy")
    later = [request for request in hub.requests[seen:] if "/resolve/" in request.path and request.host == "cdn"]
    starts = {Path(request.path).name: request.start for request in later}
    assert starts[shard] == 5000
    assert len(later) == len(starts)
    # Small files come first; those that were complete are not asked for again.
    assert set(starts) == {path for path in files if path.endswith("s") and len(files[path]) >= len(files[shard])}


def test_a_file_with_another_hash_never_comes_onto_the_shelf(hub: Hub, tmp_path: Path) -> None:
    shard = "model-00002-of-00003.safetensors"
    offer_checkpoint(hub, tmp_path / "src", promised={shard: "0" * 64})
    with pytest.raises(DownloadError, match=f"{shard} of maker/toy arrived with another hash than 0000"):
        bring("hf.co/maker/toy")
    assert not any(name.endswith((".gguf", ".toml", f"/{shard}")) for name in home_files(tmp_path))


def test_a_gated_repository_says_what_to_do_and_opens_with_a_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_ready(hub, tmp_path, gated=True)
    with pytest.raises(DownloadError, match="only to who accepts its conditions") as caught:
        bring("hf.co/maker/toy-GGUF", quantize=None)
    assert f"{hub.endpoint}/maker/toy-GGUF" in (caught.value.hint or "")
    assert "HF_TOKEN" in (caught.value.hint or "")
    assert caught.value.exit_code is ExitCode.NETWORK
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DownloadError, match="only to who accepts its conditions"):
        bring("hf.co/maker/toy-GGUF", quantize=None)
    monkeypatch.setenv("HF_TOKEN", "hf_allowed")
    bring("hf.co/maker/toy-GGUF", quantize=None)
    led = [request for request in hub.requests if request.host == "cdn"]
    assert led
    assert {request.token for request in led} == {None}
    assert "Bearer hf_allowed" in {request.token for request in hub.requests}


def test_an_unknown_repository_or_revision_is_named(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="has no maker/none, or does not show it") as caught:
        bring("hf.co/maker/none")
    assert "HF_TOKEN" in (caught.value.hint or "")
    offer_checkpoint(hub, tmp_path / "src")
    with pytest.raises(DownloadError, match="maker/toy at nowhere: the repository has no such revision"):
        bring("hf.co/maker/toy@nowhere")


def test_without_a_network_what_was_downloaded_is_enough(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_checkpoint(hub, tmp_path / "src")
    done = bring("hf.co/maker/toy", keep_checkpoint=True)
    assert (Path(done.checkpoint[0]) / "config.json").is_file()
    at = tmp_path / "home" / "gguf"
    for path in [path for path in at.rglob("*") if path.is_file()]:
        path.unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    seen = len(hub.requests)
    assert not bring("hf.co/maker/toy").already
    # Whichever quantization is there is found, without being named again.
    assert bring("hf.co/maker/toy", quantize=None).already
    assert len(hub.requests) == seen
    assert "downloads" not in {path.name for path in (tmp_path / "home").iterdir() if any(path.iterdir())}
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE forbids"):
        bring("hf.co/maker/other")


def test_files_of_the_hubs_own_cache_are_used_and_stay(hub: Hub, tmp_path: Path) -> None:
    files = offer_checkpoint(hub, tmp_path / "src")
    cache = tmp_path / "hf" / "models--maker--toy"
    snapshot = cache / "snapshots" / hub.repositories["maker/toy"].revision
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for name, content in files.items():
        blob = cache / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    done = bring("hf.co/maker/toy")
    assert not [request for request in hub.requests if "/resolve/" in request.path]
    assert done.checkpoint == [str(snapshot)]
    # A damaged one counts as missing: it alone is downloaded, and the cache is left as it is.
    remove(removal("hf.co/maker/toy"))
    blob = (snapshot / "model-00002-of-00003.safetensors").resolve()
    damaged = blob.read_bytes()[:-1] + b"\0"
    blob.write_bytes(damaged)
    bring("hf.co/maker/toy")
    assert [Path(request.path).name for request in hub.requests if request.host == "cdn"] == [
        "model-00002-of-00003.safetensors"
    ]
    assert blob.read_bytes() == damaged
    assert len(list(snapshot.iterdir())) == len(files)


def gguf_bytes(folder: Path) -> bytes:
    return write_model(folder / "m.gguf", Script(table={})).read_bytes()


def test_a_ready_gguf_file_is_taken_as_it_is(hub: Hub, tmp_path: Path) -> None:
    content = gguf_bytes(tmp_path)
    files = {"toy-Q4_K_M.gguf": content, "toy-Q8_0.gguf": b"other", "mmproj-F16.gguf": b"x", "README.md": b"r"}
    repository = hub.add("maker/toy-GGUF", files)
    done = bring(f"https://huggingface.co/maker/toy-GGUF:q4_k_m@{repository.revision}", quantize=None)
    assert (done.name, done.quantization) == ("hf.co/maker/toy-GGUF:Q4_K_M", "Q4_K_M")
    assert find_model(f"hf.co/maker/toy-GGUF:Q4_K_M@{repository.revision}").path.read_bytes() == content
    assert load_manifest(Path(done.manifest)).licence == "mit"
    assert bring("hf.co/maker/toy-GGUF", quantize=None).already
    with pytest.raises(ManifestError, match="the shelf has revision"):
        find_model("hf.co/maker/toy-GGUF:Q4_K_M@" + "0" * 40)
    assert [Path(request.path).name for request in hub.requests if request.host == "cdn"] == ["toy-Q4_K_M.gguf"]


def test_the_name_of_a_files_folder_may_state_its_quantization(hub: Hub, tmp_path: Path) -> None:
    content = gguf_bytes(tmp_path)
    hub.add("maker/toy-GGUF", {"Q8_0/toy.gguf": content, "toy-Q4_0/toy.gguf": content})
    both = [bring(f"hf.co/maker/toy-GGUF:{quant}", quantize=None) for quant in ("Q8_0", "Q4_0")]
    assert [Path(done.path).name for done in both] == ["toy-Q8_0.gguf", "toy-Q4_0.gguf"]
    assert [find_model(done.name).path.read_bytes() for done in both] == [content, content]


def test_a_misspelt_name_is_told_as_such_beside_a_malformed_manifest(hub: Hub, tmp_path: Path) -> None:
    shelf = tmp_path / "home" / "gguf"
    shelf.mkdir(parents=True)
    (shelf / "bad.toml").write_text("name = 3")
    with pytest.raises(ManifestError, match="no model is named esc-rloe") as caught:
        bring("esc-rloe")
    assert "esc-role" in (caught.value.hint or "")
    assert not hub.requests


def test_a_ready_file_without_a_chat_template_gets_the_given_one_and_keeps_its_own(hub: Hub, tmp_path: Path) -> None:
    bare = write_model(tmp_path / "bare.gguf", Script(table={}, template=None)).read_bytes()
    hub.add("maker/bare-GGUF", {"bare-Q4_K_M.gguf": bare})
    done = pull("hf.co/maker/bare-GGUF", chat_template="vicuna", budget=lambda: ROOMY)
    assert done.notes == ["the chat template is vicuna; the file has none, so it was added"]
    manifest = load_manifest(Path(done.manifest))
    assert manifest.made is not None
    assert manifest.made.template_sha256 == describe("hf.co/maker/bare-GGUF").template_sha256 is not None
    assert manifest.source is not None
    assert manifest.source.files[0].sha256 == hashlib.sha256(bare).hexdigest() != manifest.file.sha256
    assert all(check.ok for check in verify(["hf.co/maker/bare-GGUF"]))
    content = offer_ready(hub, tmp_path)
    done = pull("hf.co/maker/toy-GGUF", chat_template="vicuna", budget=lambda: ROOMY)
    assert Path(done.path).read_bytes() == content


def test_llama_cpps_cache_is_used_where_the_file_is_right(hub: Hub, tmp_path: Path) -> None:
    content = offer_ready(hub, tmp_path)
    (tmp_path / "llama").mkdir()
    cached = tmp_path / "llama" / "maker_toy-GGUF_toy-Q4_K_M.gguf"
    cached.write_bytes(content)
    bring("hf.co/maker/toy-GGUF", quantize=None)
    assert not [request for request in hub.requests if "/resolve/" in request.path]
    remove(removal("hf.co/maker/toy-GGUF"))
    assert cached.read_bytes() == content
    cached.unlink()
    cached.write_bytes(content[:-1] + b"\xff")
    bring("hf.co/maker/toy-GGUF", quantize=None)
    assert [request.host for request in hub.requests if "/resolve/" in request.path] == ["hub", "cdn"]


def test_a_cached_file_is_taken_without_a_network(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = offer_ready(hub, tmp_path)
    cache = tmp_path / "hf" / "models--maker--toy-GGUF"
    snapshot = cache / "snapshots" / hub.repositories["maker/toy-GGUF"].revision
    for folder in (snapshot, cache / "blobs", cache / "refs"):
        folder.mkdir(parents=True)
    (cache / "refs" / "main").write_text(snapshot.name)
    blob = cache / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (snapshot / "toy-Q4_K_M.gguf").symlink_to(os.path.relpath(blob, snapshot))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    bring("hf.co/maker/toy-GGUF:Q4_K_M", quantize=None)
    assert find_model("hf.co/maker/toy-GGUF").path.read_bytes() == content
    assert not hub.requests


def test_a_file_that_a_killed_pull_left_without_a_record_is_not_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    offer_ready(hub, tmp_path)
    done = bring("hf.co/maker/toy-GGUF", quantize=None)
    Path(done.manifest).unlink()
    hub.requests.clear()
    assert bring("hf.co/maker/toy-GGUF", quantize=None).path == done.path
    assert not [request for request in hub.requests if "/resolve/" in request.path]
    Path(done.manifest).unlink()
    Path(done.path).write_bytes(b"another")
    with pytest.raises(UsageError, match="in the way: it is another file"):
        bring("hf.co/maker/toy-GGUF", quantize=None)
    assert Path(done.path).read_bytes() == b"another"


@pytest.mark.parametrize(
    ("files", "reference", "said"),
    [
        ({"a-Q8_0.gguf": b"", "a-Q5_0.gguf": b""}, ":Q4_0", "has no Q4_0 GGUF file"),
        ({"a-Q8_0.gguf": b"", "b-Q8_0.gguf": b""}, ":Q8_0", "several Q8_0 files: a-Q8_0.gguf, b-Q8_0.gguf"),
        ({"a-Q8_0-00001-of-00002.gguf": b"", "a-Q8_0-00002-of-00002.gguf": b""}, ":Q8_0", "in 2 parts"),
        ({"a-Q8_0.gguf": b"no model"}, ":Q8_0", "not a GGUF file"),
        ({"Q8_0/a.gguf": b"", "a.gguf": b""}, ":Q4_0", r"there is :Q8_0 \(0.0 GB\), :GGUF"),
        ({"a.gguf": b"", "b.gguf": b""}, ":GGUF", r"several GGUF files: a\.gguf, b\.gguf"),
        ({"README.md": b""}, "", "neither a GGUF file nor a checkpoint"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "", "no safetensors weights, only pickled ones"),
        ({"adapter_config.json": b"{}"}, "", "a LoRA adapter, not a model"),
        ({"config.json": b'{"model_type": "mamba"}', "model.safetensors": b"x"}, "", "mamba"),
        ({"config.json": b"{}", "../escape": b"x"}, "", "would leave its folder"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(
    hub: Hub, tmp_path: Path, files: dict[str, bytes], reference: str, said: str
) -> None:
    hub.add("maker/odd", files)
    with pytest.raises(EsclError, match=said):
        bring(f"hf.co/maker/odd{reference}", quantize=None)
    assert home_files(tmp_path) == []


def test_no_room_is_said_before_anything_big_is_asked_for(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_checkpoint(hub, tmp_path / "src")

    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage)
    with pytest.raises(StorageError, match="GB free; this needs"):
        bring("hf.co/maker/toy")
    assert not [request for request in hub.requests if request.path.endswith(".safetensors")]


def test_room_is_asked_for_what_is_still_to_be_brought_and_made(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_scorer(hub, tmp_path)
    asked = []
    monkeypatch.setattr("escl.pulling.checkpoint.check_room", lambda _at, needed: asked.append(needed))
    hub.faults.gone.add("fluency/adapter_model.safetensors")
    with pytest.raises(DownloadError, match="not there any more"):
        bring("rank")
    hub.faults.gone.clear()
    bring("rank")
    adapters = hub.repositories["maker/lora"].files
    weights = {path: len(content) for path, content in adapters.items() if path.endswith(".safetensors")}
    # Base and one adapter have come and the base is made: one has still to come, both have to be made.
    assert asked[1] == weights["fluency/adapter_model.safetensors"] + sum(weights.values())


def offer_scorer(hub: Hub, tmp_path: Path) -> None:
    """Offer a base and a repository of adapters, and put a manifest for them on the user's shelf."""
    base = write_internlm2(tmp_path / "base")
    for name in ("fluency", "fluency_en"):
        write_adapter(tmp_path / "lora" / name, base, seed=len(name))
    (tmp_path / "lora" / "fluency" / "all_results.json").write_text("{}")
    revision = hub.add("maker/base", tmp_path / "base").revision
    adapters = hub.add("maker/lora", tmp_path / "lora")
    folders = {
        Language.ENGLISH: {Dimension.FLUENCY: "fluency_en"},
        Language.CHINESE: {Dimension.FLUENCY: "fluency"},
    }
    config = ModelFile(
        path="config.json", sha256=hashlib.sha256(hub.repositories["maker/base"].files["config.json"]).hexdigest()
    )
    manifest = msgspec.structs.replace(
        load_manifest(Path("gguf/esc-rank.toml").resolve()),
        name="rank",
        file=ModelFile(path="rank/base-Q4_K_M.gguf"),
        adapters={
            language: {Dimension.FLUENCY: ModelFile(path=f"rank/fluency_{language.value}.gguf")}
            for language in Language
        },
        source=Source(repo="maker/base", revision=revision, files=(config,)),
        adapter_source=AdapterSource(repo="maker/lora", revision=adapters.revision, folders=folders),
        unpinned=("adapter_source.files",),
    )
    write_manifest(tmp_path / "home" / "gguf" / "rank.toml", manifest)


def test_a_base_and_its_adapters_become_a_scorer(hub: Hub, tmp_path: Path) -> None:
    offer_scorer(hub, tmp_path)
    done = bring("rank")
    model = find_model("rank", role=ModelRole.SCORER)
    assert {key: path.name for key, (path, _) in model.adapters.items()} == {
        (Language.ENGLISH, Dimension.FLUENCY): "fluency_en.gguf",
        (Language.CHINESE, Dimension.FLUENCY): "fluency_zh.gguf",
    }
    assert all(check.ok and check.pinned for check in verify(["rank"]))
    manifest = load_manifest(Path(done.manifest))
    assert manifest.adapter_source is not None
    assert {file.path for file in manifest.adapter_source.files} == {
        f"{folder}/{name}"
        for folder in ("fluency", "fluency_en")
        for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    assert describe("rank").n_adapters == 2
    assert bring("rank").already


def test_a_pull_stopped_between_conversions_does_not_convert_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_scorer(hub, tmp_path)
    hub.faults.gone.add("fluency/adapter_model.safetensors")
    with pytest.raises(DownloadError, match="not there any more"):
        bring("rank")
    base = tmp_path / "home" / "gguf" / "rank" / "base-Q8_0.gguf"
    made = base.stat()
    hub.faults.gone.clear()
    bring("rank")
    assert (base.stat().st_ino, base.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def promise(path: Path, file: ModelFile) -> None:
    """Let the manifest promise just this of its source."""
    manifest = load_manifest(path)
    assert manifest.source is not None
    source = msgspec.structs.replace(manifest.source, files=(file,))
    write_manifest(path, msgspec.structs.replace(manifest, source=source))


def test_a_manifests_promise_is_held_against_the_hub_before_the_download(hub: Hub, tmp_path: Path) -> None:
    offer_scorer(hub, tmp_path)
    path = tmp_path / "home" / "gguf" / "rank.toml"
    promise(path, ModelFile(path="model.safetensors", sha256="1" * 64))
    with pytest.raises(DownloadError, match=r"model\.safetensors has sha256 .* but the manifest says 1111"):
        bring("rank")
    assert not [request for request in hub.requests if "/resolve/" in request.path]
    promise(path, ModelFile(path="config.json", sha256="1" * 64))
    with pytest.raises(DownloadError, match=r"config\.json of maker/base arrived with another hash than 1111"):
        bring("rank")


def test_a_changed_file_is_found_and_named(hub: Hub, tmp_path: Path) -> None:
    offer_ready(hub, tmp_path)
    done = bring("hf.co/maker/toy-GGUF", quantize=None)
    content = bytearray(Path(done.path).read_bytes())
    content[-1] ^= 1
    Path(done.path).write_bytes(content)
    problems = [check.problem for check in verify(None) if check.model == "hf.co/maker/toy-GGUF:Q4_K_M"]
    assert len(problems) == 1
    assert "has changed" in str(problems[0])
    with pytest.raises(ManifestError, match="is not the file its manifest names"):
        find_model("hf.co/maker/toy-GGUF")


def test_another_quantization_than_the_one_on_the_shelf_is_not_made_silently(hub: Hub, tmp_path: Path) -> None:
    offer_scorer(hub, tmp_path)
    bring("rank")
    with pytest.raises(UsageError, match="rank is on the shelf as Q8_0"):
        bring("rank", quantize="Q4_0")


def test_two_processes_do_not_pull_the_same_repository(hub: Hub, tmp_path: Path) -> None:
    offer_ready(hub, tmp_path)
    with holding(["maker/toy-GGUF"]), pytest.raises(StorageError, match="another escl pulls maker/toy-GGUF"):
        bring("hf.co/maker/toy-GGUF", quantize=None)
    bring("hf.co/maker/toy-GGUF", quantize=None)


def test_a_manifest_of_the_users_own_may_name_a_ready_gguf_file_and_outlives_its_model(
    hub: Hub, tmp_path: Path
) -> None:
    content = offer_ready(hub, tmp_path)
    path = tmp_path / "home" / "gguf" / "mine.toml"
    own = Manifest(
        name="mine",
        role=ModelRole.SUPPORTER,
        description="a model",
        architecture="qwen2",
        licence="mit",
        file=ModelFile(path="mine/mine-Q4_K_M.gguf"),
        source=Source(repo="maker/toy-GGUF"),
        unpinned=("source.revision", "source.files"),
    )
    write_manifest(path, own)
    done = bring("mine", quantize=None)
    assert Path(done.path) == tmp_path / "home" / "gguf" / "mine" / "toy-Q4_K_M.gguf"
    assert find_model("mine").path.read_bytes() == content
    remove(removal("mine"))
    assert home_files(tmp_path) == ["gguf/mine.toml"]
    left = load_manifest(path)
    assert left.made is None
    assert left.source is not None
    assert left.source.revision == hub.repositories["maker/toy-GGUF"].revision
    assert not bring("mine", quantize=None).already


@pytest.mark.parametrize("text", ["hf.co/a", "hf.co/a/b/c", "hf.co/../x", "hf.co/a/b:", "hf.co/a/b@", "hf.co/a--b/c"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no repository"):
        hub_reference(text)
