"""The demo is a whole evaluation: it tells warm from curt, stays offline, and scores fast as plain greedy does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from escl.cli.work import RunResults
from escl.core.dimension import Dimension, Language, adapter_name
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec, LabelRead
from escl.shelf.manifest import find_model
from escl.store.database import Database
from escl.store.run import RunStore

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.model

# Every socket and every look-up in the parent raises; the children have no code that opens one.
OFFLINE = (
    "import sys\n"
    "def refuse(event, arguments):\n"
    "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname'):\n"
    "        raise RuntimeError(f'{event} {arguments}')\n"
    "sys.addaudithook(refuse)\n"
    "sys.argv[0] = 'escl'\n"
    "from escl.cli.main import main\n"
    "main()\n"
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    command = [sys.executable, "-c", OFFLINE, "demo", "--limit", "2", "--out", str(path), "--json"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return path, json.loads(found.stdout)


def test_every_dialogue_is_spoken_to_its_end_and_read_in_every_dimension(demo: tuple[Path, dict[str, Any]]) -> None:
    run = demo[1]
    assert run["results"]["n_dialogues"] == {"complete": 8, "failed": 0, "speaking": 0, "pending": 0}
    assert len(run["results"]["cells"]) == 2 * 2 * 7
    assert all(cell["n_used"] == cell["n_asked"] == 2 for cell in run["results"]["cells"])
    with Database.reader(demo[0]) as database:
        store = RunStore.read(database)
        assert {len(store.turns(dialogue.id)) for dialogue in store.dialogues()} == {11}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("dimension", [Dimension.EMPATHY, Dimension.OVERALL])
def test_the_warm_supporter_is_above_the_curt_one(
    demo: tuple[Path, dict[str, Any]], language: Language, dimension: Dimension
) -> None:
    mean = {
        cell["supporter"]: cell["score"]["mean"]
        for cell in demo[1]["results"]["cells"]
        if cell["language"] == language and cell["dimension"] == dimension
    }
    assert mean["demo/warm"] > mean["demo/curt"] + 10


def test_the_result_says_that_the_models_are_toys(demo: tuple[Path, dict[str, Any]]) -> None:
    notices = demo[1]["results"]["notices"]
    assert any("toy" in notice.lower() for notice in notices)


def test_every_load_is_recorded_with_its_device_and_build(demo: tuple[Path, dict[str, Any]]) -> None:
    with Database.reader(demo[0]) as database:
        loads = {row["name"]: json.loads(row["ready"]) for row in database.rows("SELECT name, ready FROM load")}
    assert loads.keys() == {"demo/seeker", "demo/warm", "demo/curt", "demo/scorer"}
    assert all(ready["device"] == "CPU" and "llama.cpp" in ready["llama_build"] for ready in loads.values())


def test_the_json_is_the_documented_structure(demo: tuple[Path, dict[str, Any]]) -> None:
    assert list(demo[1]) == list(RunResults.__struct_fields__)


def test_the_fast_path_gives_the_replies_of_plain_greedy_generation(demo: tuple[Path, dict[str, Any]]) -> None:
    scorer = find_model("demo/scorer")
    spec = EngineSpec(
        model=str(scorer.path),
        adapters={adapter_name(*key): str(path) for key, (path, _) in scorer.adapters.items()},
        purpose="labels",
        slots=4,
        ctx_per_slot=2048,
        gpu_layers=0,
        threads=1,
    )

    async def read(*, use_draft: bool) -> list[LabelRead]:
        with Database.reader(demo[0]) as database:
            store = RunStore.read(database)
            async with await Engine.start(spec) as engine:
                replies = []
                for dialogue in store.dialogues():
                    for dimension in Dimension:
                        prompt = store.protocol.scorer_prompt(dialogue.language, dimension, store.turns(dialogue.id))
                        replies.append(
                            engine.read_label(
                                adapter=adapter_name(dialogue.language, dimension),
                                system=prompt.system,
                                prefix=prompt.prefix,
                                rest=prompt.rest,
                                use_draft=use_draft,
                            )
                        )
                return await asyncio.gather(*replies)

    fast, slow = asyncio.run(read(use_draft=True)), asyncio.run(read(use_draft=False))
    assert [(reply.reply, reply.label) for reply in fast] == [(reply.reply, reply.label) for reply in slow]
    # The first pack of each adapter has no draft yet: it is where the draft is learned.
    assert sum(reply.drafted for reply in fast) >= len(fast) / 2
    assert not any(reply.drafted for reply in slow)
    differences = [
        abs(one - other)
        for quick, plain in zip(fast, slow, strict=True)
        if quick.probabilities is not None and plain.probabilities is not None
        for one, other in zip(quick.probabilities, plain.probabilities, strict=True)
    ]
    # Batches of another size round differently in the last bits.
    assert max(differences) < 0.02
