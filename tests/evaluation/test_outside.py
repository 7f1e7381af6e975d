"""A whole evaluation of supporters that are no models here: killed, resumed, and every try on record."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from escl.core.settings import SimulationSettings
from escl.errors import ExitCode
from escl.store.database import Database
from escl.store.run import RunStore
from tests.chat_server import ChatServer, Request, completion, message, refuses, sends, serving

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
KEY = "sk-canary-77ad"
pytestmark = [pytest.mark.model, pytest.mark.kill]


def start(folder: Path, *words: str, out: str = "run.db", slow_s: float = 0.0) -> subprocess.Popen[str]:
    toys = ["--seeker", "demo/seeker", "--scorer", "demo/scorer", "--threads", "1", "--ctx", "2048", "--no-tune"]
    few = ["--lang", "en", "--limit", "1", "--rounds", "3", "--device", "cpu", "--strict"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    (folder / "home").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", *words, *toys, *few, "--out", out, "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **environment,
            "PYTHONPATH": str(ROOT),
            "ESCL_HOME": str(folder / "home"),
            "ESCL_API_KEY": KEY,
            "SLOW_S": str(slow_s),
        },
    )


def evaluate(
    folder: Path, *words: str, out: str = "run.db", code: ExitCode = ExitCode.OK
) -> tuple[dict[str, Any], str]:
    process = start(folder, *words, out=out)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert KEY not in shown + said
    return json.loads(shown)["results"] if shown else {}, said


def killed(folder: Path, *words: str, after_turns: int) -> None:
    """Begin the run and kill it once so many turns are stored."""
    process = start(folder, *words, slow_s=0.2)
    deadline = time.monotonic() + 60
    while stored_turns(folder / "run.db") < after_turns and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def stored_turns(path: Path) -> int:
    try:
        with Database.reader(path) as database:
            return len(database.rows("SELECT 1 FROM turn"))
    except Exception:  # noqa: BLE001 - the file is being made
        return 0


def transcripts(path: Path) -> list[list[str]]:
    with Database.reader(path) as database:
        store = RunStore.read(database)
        return [[turn.text for turn in store.turns(dialogue.id)] for dialogue in store.dialogues()]


CODE = """
import os, time

def kind(messages):
    time.sleep(float(os.environ["SLOW_S"]))
    if messages[0]["role"] != "system":
        raise AssertionError(messages)
    return f"<think>{len(messages)} so far</think>I hear you. What else? ({len(messages)})"

def weary(messages):
    if len(messages) > 2:
        raise RuntimeError("too tired for another round")
    return "Go on."
"""


def test_python_code_is_evaluated_killed_and_resumed_and_its_exceptions_are_failures(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    words = ["python:mine:kind", "python:mine:weary"]
    killed(tmp_path, *words, after_turns=3)
    assert 3 <= stored_turns(tmp_path / "run.db") < 7
    results, said = evaluate(tmp_path, *words, code=ExitCode.INCOMPLETE)
    assert transcripts(tmp_path / "run.db")[0][2::2] == [f"I hear you. What else? ({n})" for n in (2, 4, 6)]
    assert results["n_dialogues"] == {"complete": 1, "failed": 1, "speaking": 0, "pending": 0}
    assert {failure["message"] for failure in results["failures"]} == {
        "mine:weary: RuntimeError: too tired for another round"
    }
    assert results["connections"] == 0
    assert "python:mine:kind is called in a process of its own" in said
    with Database.reader(tmp_path / "run.db") as database:
        store = RunStore.read(database)
        settings = store.settings
        rows = database.rows(
            "SELECT reasoning FROM turn WHERE speaker = 'supporter' AND position = 4 AND text LIKE 'I hear%'"
        )
        assert {load.name for load in store.loads()} == {"demo/seeker", "demo/scorer"}
    assert [row["reasoning"] for row in rows] == ["4 so far"]
    assert isinstance(settings, SimulationSettings)
    assert [(one.kind, one.target, one.told) for one in settings.supporters] == [
        ("python", "mine:kind", ()),
        ("python", "mine:weary", ()),
    ]
    # Other code is another supporter.
    (tmp_path / "mine.py").write_text(CODE.replace("I hear you", "I see"), encoding="utf-8")
    _, said = evaluate(tmp_path, *words, code=ExitCode.STORAGE)
    assert "supporter mine:kind.sha256" in said


def answering(connection: socket.socket, request: Request) -> None:
    """Answer by what was asked, so that a resumed run can be compared with a whole one."""
    time.sleep(0.05)
    said = request.body["messages"]
    reply = f"I hear you. What else? ({len(said)}, {request.body['seed']})"
    sends(message(content=reply, reasoning_content="Hm."))(connection, request)


MANIFEST = """
name = "mine"
system_prompt = "You listen."
[endpoint]
url = "{url}"
model = "m-1"
dialect = "llama.cpp"
[sampling]
temperature = 0.3
max_tokens = 60
"""


def check_requests(server: ChatServer) -> None:
    for request in server.requests:
        said = request.body["messages"]
        assert said[0] == {"role": "system", "content": "You listen."}
        assert [one["role"] for one in said[1:]] == ["user", "assistant"] * (len(said) // 2 - 1) + ["user"]
        assert not any("Hm." in one["content"] for one in said)
        assert request.headers["authorization"] == f"Bearer {KEY}"
        told = {key: request.body[key] for key in ("temperature", "max_tokens", "top_k", "repeat_penalty")}
        assert told == {"temperature": 0.3, "max_tokens": 60, "top_k": 20, "repeat_penalty": 1.05}


def test_an_endpoint_is_evaluated_killed_and_resumed_beside_a_model_and_every_try_is_kept(tmp_path: Path) -> None:
    with serving(refuses("503 Service Unavailable", {"error": {"message": "Loading model"}}), answering) as server:
        (tmp_path / "mine.toml").write_text(MANIFEST.format(url=server.url), encoding="utf-8")
        words = ["mine.toml", "demo/curt"]
        killed(tmp_path, *words, after_turns=3)
        assert 3 <= stored_turns(tmp_path / "run.db") < 14
        results, said = evaluate(tmp_path, *words)
        evaluate(tmp_path, *words, "--no-score", out="whole.db")
        check_requests(server)
        n_connections = server.n_connections
    assert transcripts(tmp_path / "run.db") == transcripts(tmp_path / "whole.db")
    assert results["n_dialogues"] == {"complete": 2, "failed": 0, "speaking": 0, "pending": 0}
    assert {cell["supporter"] for cell in results["cells"]} == {"mine", "demo/curt"}
    assert results["asked_again"] == {"mine": 1}
    assert results["answered_as"] == {"mine": ["served-model"]}
    assert f"this run opens connections to {server.url}, with the key in $ESCL_API_KEY" in said
    counted = 0
    for name in ("run.db", "whole.db"):
        with Database.reader(tmp_path / name) as database:
            store = RunStore.read(database)
            turns = database.rows("SELECT n_prompt, n_generated, reasoning FROM turn WHERE reasoning IS NOT NULL")
            models = {model.name: model.size_bytes for model in store.models()}
            counted += store.connections()
            first = store.requests()[0]
        assert [tuple(row) for row in turns] == [(21, 5, "Hm.")] * 3
        assert models["mine"] is None
        if name == "run.db":
            assert (first.number, first.status, first.error) == (1, 503, "the endpoint answered 503: Loading model")
    assert counted == n_connections > 0
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_an_endpoint_that_is_down_stops_the_run_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with serving(
        refuses("404 Not Found", {"error": {"message": "model 'm-1' not found"}}), sends(completion())
    ) as server:
        words = [f"{server.url}#m-1", "--no-score"]
        _, said = evaluate(tmp_path, *words, code=ExitCode.MODEL)
        assert "model 'm-1' not found" in said
        assert "same command goes on" in said
        results, _ = evaluate(tmp_path, *words)
    assert results["n_dialogues"]["complete"] == 1


def test_a_run_of_models_only_tries_no_connection_and_loads_nothing_that_could(tmp_path: Path) -> None:
    results, _ = evaluate(tmp_path, "demo/curt", "--no-score")
    assert results["connections"] == 0
    modules = "import sys; from escl.cli import run, work, outside; import escl.evaluation.engines;"
    modules += "print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", modules], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
