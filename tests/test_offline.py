"""A run opens no connection: not in the command, not in its engines, and with no network to open one to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from escl.store.database import Database
from escl.store.run import RunStore
from tests.offline import log, python

pytestmark = pytest.mark.model
ALONE = ["unshare", "--map-root-user", "--net"]
SHOW_INTERFACES = "import sys; sys.stdout.write(open('/proc/net/dev').read())"


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> list[str] | None:
    """The network interfaces in a namespace of its own, None where this system gives an ordinary user none."""
    if shutil.which(ALONE[0]) is None:
        return None
    try:
        shown = python(tmp_path_factory.mktemp("interfaces"), program=SHOW_INTERFACES, before=ALONE)
    except AssertionError:
        return None
    return [line.split(":")[0].strip() for line in shown.splitlines() if ":" in line]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, interfaces: list[str] | None) -> Path:
    """The folder of a whole demo, run in such a namespace where there is one, and watched in any case."""
    folder = tmp_path_factory.mktemp("demo")
    words = ("demo", "--limit", "1", "--out", "run.db", "--json")
    shown = python(folder, *words, before=None if interfaces is None else ALONE)
    (folder / "results.json").write_text(shown, encoding="utf-8")
    return folder


def test_the_demo_is_spoken_and_rated_to_its_end(demo: Path) -> None:
    results = json.loads((demo / "results.json").read_text(encoding="utf-8"))["results"]
    assert results["n_dialogues"] == {"complete": 4, "failed": 0, "speaking": 0, "pending": 0}
    assert all(cell["n_used"] == cell["n_asked"] == 1 for cell in results["cells"])


def test_it_tries_no_connection_in_any_of_its_processes(demo: Path) -> None:
    assert [line for line in log(demo) if line.startswith("tried")] == []
    # The seeker, the two supporters and the scorer were watched too.
    assert sum("escl.engine.worker" in line for line in log(demo)) >= 4


def test_the_run_itself_says_that_it_tried_none(demo: Path) -> None:
    with Database.reader(demo / "run.db") as database:
        assert RunStore.read(database).connections() == 0


def test_it_had_no_network_interface_to_go_through(demo: Path, interfaces: list[str] | None) -> None:
    if interfaces is None:
        pytest.skip("this system allows no network namespace without root")
    assert interfaces == ["lo"]


def test_the_watch_over_connections_sees_and_refuses_one(tmp_path: Path) -> None:
    program = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)"
    with pytest.raises(AssertionError, match="is refused"):
        python(tmp_path, program=program)
    assert "tried socket.getaddrinfo" in log(tmp_path)
