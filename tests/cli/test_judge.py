"""`escl judge fidelity` on the demo's scorer: readings are kept apart and used again, and reports cite the outcome."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.settings import ImportSettings, JudgingSettings
from escl.errors import ExitCode
from escl.evaluation.certificate import Certificate, read_certificate
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import PROTOCOL

ROOT = Path(__file__).parents[2]
Escl = Callable[..., subprocess.CompletedProcess[str]]

# Requantizing loses a little more than quantizing; here that is welcome. Q4_0 is 2 in `enum llama_ftype`.
REQUANTIZE = (
    "import sys, llama_cpp as l\n"
    "p = l.llama_model_quantize_default_params()\n"
    "p.ftype, p.nthread, p.allow_requantize = 2, 1, True\n"
    "sys.exit(l.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), p))\n"
)

# The toy scorer was trained on dialogues like this one, and answers shorter ones without a label.
SAID = (
    "Hello, what has been weighing on you lately?",
    "It's about my husband and money.",
    "It hurts because it mattered so much to you. What would help you a little right now?",
    "Thank you, that means something to me. He took a loan in both our names.",
    "I'm here with you in this. What would trust need now?",
    "I just feel ashamed, day and night.",
    "I understand why you are ashamed. Try this: tell one friend who can keep quiet.",
    "It's good to hear that. I check the bank app ten times a day.",
    "That must feel terrible, and you sound ashamed. What would help you a little right now?",
    "It helps that you understand. I feel a little lighter.",
    "What did your partner say then? I'm here with you in this.",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo's scorer in Q4_0."""
    path = tmp_path_factory.mktemp("models") / "small-Q4_0.gguf"
    source = ROOT / "gguf" / "demo" / "scorer.gguf"
    subprocess.run([sys.executable, "-c", REQUANTIZE, str(source), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def escl(tmp_path: Path) -> Escl:
    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ESCL_HOME": str(tmp_path / "home"), "COLUMNS": "80"},
            timeout=60,
        )

    return call


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run with one dialogue, which its user has let "mine" judge."""
    path = tmp_path / "run.db"
    settings = ImportSettings(files={"s": "0"}, protocol_sha256=PROTOCOL.sha256())
    store = RunStore.begin(Database.writer(path), settings, PROTOCOL, command="test", versions={})
    speakers = itertools.cycle((Speaker.SUPPORTER, Speaker.SEEKER))
    turns = [Turn(speaker=speaker, text=text) for text, speaker in zip(SAID, speakers, strict=False)]
    store.import_dialogue(card_id="c", language=Language.ENGLISH, supporter="s", turns=turns)
    store.add_judging(
        JudgingSettings(
            generation_fingerprint="g", protocol_sha256="p", scorer="mine", sha256="h", adapters={}, llama_cpp="0"
        )
    )
    store.close()
    return path


def loads(run: Path) -> list[str]:
    with Database.reader(run) as database:
        return [load.name for load in RunStore.read(database).loads()]


ON_CPU = ("--device", "cpu", "--threads", "1", "--no-tune")


@pytest.mark.model
def test_a_quantization_is_compared_kept_and_cited_and_nothing_is_read_twice(
    escl: Escl, run: Path, small: Path, tmp_path: Path
) -> None:
    words = ("judge", "fidelity", "--scorer", small, "--against", "demo/scorer", "--runs", run, *ON_CPU)
    done = escl(*words)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "small-Q4_0 takes the 14 adapters of demo/scorer" in done.stderr
    assert "Cannot tell for 7 of 7" in done.stdout
    (path,) = (tmp_path / "home" / "certificates").iterdir()
    made = read_certificate(path)
    assert made.scorer.sha256 != made.against.sha256
    assert made.scorer.adapters == made.against.adapters
    assert (made.scorer.kv_types, made.against.kv_types) == (("f16",), ("f16",))
    assert {cell.agreement.n_used for cell in made.cells} == {1}
    assert any(cell.agreement.js_bits for cell in made.cells)

    assert loads(run) == ["small-Q4_0", "demo/scorer"]
    again = escl(*words, "--json")
    assert loads(run) == ["small-Q4_0", "demo/scorer"]
    assert json.loads(again.stdout)["cells"] == json.loads(path.read_text())["cells"]

    report = escl("report", run, "--judging", "2", "--json")
    (cited,) = json.loads(report.stdout)["certificates"]
    assert cited["file"] == path.name


@pytest.mark.model
def test_the_same_file_with_quantized_keys_and_values_is_a_judging_of_its_own(
    escl: Escl, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "kv.json"
    both = ("--scorer", "demo/scorer", "--against", "demo/scorer")
    done = escl("judge", "fidelity", *both, "--kv", "q8_0", "--runs", run, "--out", out, *ON_CPU)
    assert done.returncode == ExitCode.OK, done.stderr
    made: Certificate = read_certificate(out)
    assert made.scorer.sha256 == made.against.sha256
    assert (made.scorer.kv_types, made.against.kv_types) == (("q8_0",), ("f16",))
    assert loads(run) == ["demo/scorer", "demo/scorer"]
    with Database.reader(run) as database:
        judgings = [scorer for _, scorer in RunStore.read(database).judgings()]
    # The last one is what a report shows.
    assert judgings == ["demo/scorer", "demo/scorer", "mine"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--scorer", "demo/scorer", "--against", "demo/scorer"), ExitCode.USAGE, "nothing to compare"),
        (("--scorer", "demo/scorer", "--against", "demo/warm"), ExitCode.BAD_INPUT, "is a supporter, not a scorer"),
        (("--scorer", "demo/scorer", "--against", "x.gguf"), ExitCode.BAD_INPUT, "x.gguf is not there"),
        (("--scorer", "a", "--against", "b", "--margin", "0"), ExitCode.USAGE, "margin"),
        (("--scorer", "a", "--against", "b", "--kv", "q1"), ExitCode.USAGE, "q1"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    escl: Escl, run: Path, words: tuple[str, ...], code: ExitCode, said: str
) -> None:
    done = escl("judge", "fidelity", *words, "--runs", run)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert loads(run) == []


def test_a_run_named_twice_is_refused(escl: Escl, run: Path) -> None:
    done = escl("judge", "fidelity", "--scorer", "a", "--against", "b", "--runs", run, run)
    assert done.returncode == ExitCode.USAGE
    assert "named twice" in done.stderr
