"""`escl arena` with the demo's judge: dry run, judging, resuming, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.settings import ImportSettings
from escl.errors import ExitCode
from escl.store.arena import ARENA, ArenaStore
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import PROTOCOL, spoken

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
ON_CPU = ("--device", "cpu", "--threads", "1", "--no-tune")

SEEKER = (
    "It's about my husband and money.",
    "Thank you, that means something to me. He took a loan in both our names.",
    "I just feel ashamed, day and night.",
    "I check the bank app ten times a day.",
    "I feel a little lighter.",
)
KIND = (
    "It hurts because it mattered so much to you. What would help you a little right now?",
    "I'm here with you in this. What would trust need now?",
    "I understand why you are ashamed. Try this: tell one friend who can keep quiet.",
    "That must feel terrible, and you sound ashamed. What would help you a little right now?",
    "You are not alone with this. One small step: write the sum down once and close the app.",
)
COLD = (
    "Your request has been received.",
    "As I said: Your request has been received.",
    "Please rate this answer from one to five.",
    "As I said: Your request has been received.",
    "Processing of the case is",
)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "ESCL_HOME": str(home), "COLUMNS": "80"}


@pytest.fixture
def escl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, "arena", *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment(tmp_path / "home"),
            timeout=60,
        )

    return call


def talk(said: tuple[str, ...], card: str) -> list[Turn]:
    turns = [PROTOCOL.greeting(Language.ENGLISH)]
    for seeker, supporter in zip(SEEKER, said, strict=True):
        turns += [Turn(speaker=Speaker.SEEKER, text=seeker), Turn(speaker=Speaker.SUPPORTER, text=supporter)]
    turns[1] = Turn(speaker=Speaker.SEEKER, text=f"I am {card}. {SEEKER[0]}")
    return turns


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.db"
    settings = ImportSettings(files={"s": "0"}, protocol_sha256=PROTOCOL.sha256())
    store = RunStore.begin(Database.writer(path), settings, PROTOCOL, command="test", versions={})
    for name, said in (("kind", KIND), ("cold", COLD)):
        for card in ("Ann", "Bo", "Cleo"):
            turns = talk(said, card)
            store.import_dialogue(card_id=card, language=Language.ENGLISH, supporter=name, turns=turns)
    store.close()
    return path


Escl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.model
def test_the_demo_judge_prefers_kindness_and_is_asked_once(escl: Escl, run: Path, tmp_path: Path) -> None:
    words = (run, "--judge", "demo/judge", "--baseline", "cold", *ON_CPU)
    dry = json.loads(escl(*words, "--dry-run", "--json").stdout)
    assert (dry["n_pairs"], dry["n_readings"], dry["n_known"]) == (3, 6, 0)
    assert dry["n_prefill"] > 6 * 300
    assert dry["seconds"] > 0
    assert not list(tmp_path.glob("escl-arena-*"))

    done = escl(*words)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "loaded demo/judge" in done.stderr
    assert "3 agreed, 0 both equal, 0 one order, 0 flipped" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if "─" in line or "kind  " in line)

    again = escl(*words, "--json", "--csv", tmp_path / "out.csv")
    assert "loaded" not in again.stderr
    shown = json.loads(again.stdout)
    (board,) = shown["results"]["boards"]
    assert [rating["supporter"] for rating in board["ratings"]] == ["kind", "cold"]
    assert board["against"][0]["rate"]["mean"] == 1
    assert shown["is_complete"]
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("en,Overall,kind,3,3,0,0,")
    assert json.loads(escl(*words, "--dry-run", "--json").stdout)["n_known"] == 6

    (kept,) = tmp_path.glob("escl-arena-*.db")
    without_judge = json.loads(escl(run, "--out", kept, "--baseline", "cold", "--json").stdout)
    assert without_judge["results"] == shown["results"]


@pytest.mark.model
@pytest.mark.kill
def test_a_killed_arena_keeps_what_was_read_and_goes_on(escl: Escl, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "arena.db"
    words = [run, "--judge", "demo/judge", "--out", out, *ON_CPU, "--parallel", "1"]
    working = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "arena", *map(str, words)],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def n_read() -> int:
        if not out.exists() or out.stat().st_size == 0:
            return 0
        with Database.reader(out, ARENA) as database:
            return len(ArenaStore(database).comparisons())

    while working.poll() is None and n_read() == 0:
        time.sleep(0.002)
    working.send_signal(signal.SIGKILL)
    working.wait()
    before = n_read()
    assert before >= 1
    done = escl(*words, "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    assert n_read() == 6
    assert f"6 readings, {before} done before" in done.stderr or before == 6
    with Database.reader(out, ARENA) as database:
        outcomes = [row["outcome"] for row in database.rows("SELECT outcome FROM attempt ORDER BY id")]
    assert outcomes == [None, "finished"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--judge", "demo/judge", "--baseline", "nobody"), ExitCode.USAGE, "no supporter is named nobody"),
        ((), ExitCode.USAGE, "nobody is there to judge"),
        (("--out", "nowhere.db"), ExitCode.STORAGE, "nowhere.db is not there"),
        (("--judge", "nothing"), ExitCode.BAD_INPUT, "no model named nothing"),
        (("--judge", "demo/judge", "--rubric", "nothing"), ExitCode.BAD_INPUT, "no judging rubric named nothing"),
        (("--judge", "demo/judge", "--budget", "0"), ExitCode.USAGE, "budget"),
        (("--judge", "demo/judge", "--out", "run.db"), ExitCode.STORAGE, "not the file of an escl arena"),
    ],
)
def test_what_makes_no_sense_is_refused(
    escl: Escl, tmp_path: Path, words: tuple[str, ...], code: ExitCode, said: str
) -> None:
    path = spoken(tmp_path / "run.db", {"a": {"c": ["x"]}, "b": {"c": ["y"]}})
    done = escl(path, *words)
    assert done.returncode == code
    assert said in done.stderr
