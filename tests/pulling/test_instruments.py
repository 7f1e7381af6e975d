"""`escl models pull esc-role esc-rank` by the manifests that ship, from a hub with small models under their names."""

from __future__ import annotations

import itertools
from pathlib import Path

from escl.core.bundled import bundled
from escl.core.dimension import Dimension, Language
from escl.memory.devices import Budget
from escl.pulling.pull import pull
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.inventory import inventory, verify
from escl.shelf.manifest import ModelRole, find_model, load_manifest
from tests.checkpoints import write_adapter, write_internlm2, write_qwen2
from tests.hub_server import Hub, files_of

SMALL = Budget(host_bytes=1 << 30, device_bytes=None, device=None, shares_ram=False)


def offer(hub: Hub, tmp_path: Path) -> None:
    """Offer small checkpoints in the layouts of the three repositories, at the commits that the manifests pin."""
    role, rank = (load_manifest(bundled("gguf") / f"{name}.toml") for name in ("esc-role", "esc-rank"))
    write_qwen2(tmp_path / "role", shards=8)
    base = write_internlm2(tmp_path / "base")
    for seed, (dimension, ending) in enumerate(itertools.product(Dimension, ("", "_en"))):
        write_adapter(tmp_path / "rank" / f"{dimension.value}{ending}", base, seed=seed)
    # What is there besides must not disturb: an adapter that no manifest names, and JSON that is none.
    write_adapter(tmp_path / "rank" / "checkpoint-500", base)
    (tmp_path / "rank" / "config.json").write_text("{not JSON")
    for source, folder in ((role.source, "role"), (rank.source, "base"), (rank.adapter_source, "rank")):
        assert source is not None
        hub.add(source.repo, files_of(tmp_path / folder)).revision = source.revision or ""


def test_the_instruments_come_by_their_names_with_all_fourteen_adapters(hub: Hub, tmp_path: Path) -> None:
    offer(hub, tmp_path)
    said: list[tuple[str, bool]] = []

    def on_note(text: str) -> None:
        said.append((text, any(request.path.endswith(".safetensors") for request in hub.requests)))

    for name in ("esc-role", "esc-rank"):
        done = pull(name, budget=lambda: SMALL, on_note=on_note)
        assert (done.name, done.quantization) == (name, "Q4_K_M" if name == "esc-role" else "Q8_0")
    # The choice is said before the weights are asked for, and what holds for all adapters is said once.
    assert said[0][0].startswith("Q4_K_M of Q8_0, Q6_K, Q5_K_M, Q4_K_M: needs about")
    assert said[0][1] is False
    assert [text for text, _ in said if text.startswith("adapters: rank 8")] == [
        "adapters: rank 8 is stored as rank 16, with zeros, which is faster and the same"
    ]
    seeker = find_model("esc-role", role=ModelRole.SEEKER)
    assert seeker.path == tmp_path / "home" / "gguf" / "esc-role" / "esc-role-Q4_K_M.gguf"
    assert seeker.sampling == load_manifest(bundled("gguf") / "esc-role.toml").sampling
    scorer = find_model("esc-rank", role=ModelRole.SCORER)
    assert scorer.path.name == "internlm2-chat-7b-Q8_0.gguf"
    assert "escl.chat.default_system_prompt" in read_gguf_header(scorer.path).metadata
    assert set(scorer.adapters) == set(itertools.product(Language, Dimension))
    assert len({sha256 for _, sha256 in scorer.adapters.values()}) == 14
    for (language, dimension), (path, _) in scorer.adapters.items():
        folder = dimension.value + ("_en" if language is Language.ENGLISH else "")
        assert read_gguf_header(path).metadata["general.name"] == folder
    checks = verify(["esc-role", "esc-rank"])
    assert len(checks) == 16
    assert all(check.ok and check.pinned for check in checks)
    here = {model.name for model in inventory() if model.state == "here"}
    assert {"esc-role", "esc-rank"} <= here
    asked = {request.path for request in hub.requests}
    assert not any("checkpoint-500" in path for path in asked)
