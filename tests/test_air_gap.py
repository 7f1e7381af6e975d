"""With a network once, without it ever after: pulled and imported here, carried in a bundle, run on the far side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from escl.bundle.contents import gather
from escl.bundle.create import create
from escl.memory.devices import Budget
from escl.pulling.pull import pull
from escl.store.database import Database
from escl.store.run import RunStore
from escl.upstream.protocol import read_protocol, write_protocol
from tests.bundles import signer
from tests.checkpoints import write_qwen2
from tests.esc_eval_scripts import write_scripts
from tests.hub_server import asked_by_this_process, files_of
from tests.offline import log, python

pytestmark = pytest.mark.model


def test_a_pulled_model_and_an_imported_protocol_run_on_a_machine_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    write_qwen2(tmp_path / "checkpoint")
    with asked_by_this_process(near, monkeypatch) as hub:
        hub.add("maker/toy", files_of(tmp_path / "checkpoint") | {"LICENSE": b"The maker's licence."})
        roomy = Budget(host_bytes=64 << 30, device_bytes=None, device=None, shares_ram=False)
        pull("hf.co/maker/toy", quantize="Q8_0", budget=lambda: roomy)
    write_protocol(read_protocol(write_scripts(tmp_path / "ESC-Eval")))
    maker = signer(tmp_path)
    create(tmp_path / "stick", gather(models=["hf.co/maker/toy"], protocols=["esc-eval"]), signer=maker)

    stick = str(tmp_path / "stick")
    installed = json.loads(python(far, "bundle", "install", stick, "--trust", maker.public_key, "--json"))
    assert "gguf/hf.co/maker/toy/licences/maker--toy/LICENSE" in installed["written"]
    words = ["--seeker", "demo/seeker", "--scorer", "demo/scorer", "--protocol", "esc-eval", "--lang", "en"]
    words += ["--limit", "1", "--max-tokens", "4", "--out", "run.db", "--json"]
    shown = json.loads(python(far, "run", "hf.co/maker/toy:Q8_0", *words))
    assert shown["results"]["n_dialogues"]["complete"] == 1
    with Database.reader(far / "run.db") as database:
        assert RunStore.read(database).connections() == 0
    assert [line for line in log(far) if line.startswith("tried")] == []
    assert sum("escl.engine.worker" in line for line in log(far)) >= 3
