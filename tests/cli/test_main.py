"""The command line is light, says what is wrong, and ends with the code it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from escl import __version__
from escl.errors import ExitCode

ROOT = Path(__file__).parents[2]


def escl(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(cwd), "COLUMNS": "100"},
    )


def test_as_a_module_it_goes_by_its_own_name() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "escl", "compare", "--nope"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == ExitCode.USAGE
    assert "Usage: escl compare" in found.stderr


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from escl.cli.main import app; from typer.testing import CliRunner;"
        "CliRunner().invoke(app, ['--help']);"
        "heavy = {'llama_cpp', 'numpy', 'scipy', 'sqlite3', 'gguf', 'sentencepiece', 'cryptography', 'huggingface_hub',"
        " 'httpx', 'httpx2', 'matplotlib', 'jinja2', 'textual'}; print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "run",
        "score",
        "report",
        "plan",
        "bench",
        "convert",
        "cards",
        "bundle",
        "models",
        "doctor",
        "tui",
        "judge fidelity",
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    found = escl(*command.split(), "--help")
    assert found.returncode == ExitCode.OK
    assert "Example: escl" in found.stdout


def test_help_does_not_promise_defaults_that_the_protocol_decides() -> None:
    said = " ".join(escl("run", "--help").stdout.replace("│", " ").split())
    assert said.count("else the protocol's") == 2
    assert not {"else 0.7", "else 512"} & {said[at : at + 8] for at in range(len(said))}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "nothing-here"], ExitCode.BAD_INPUT, "no model named"),
        (["run", "none.gguf", "--lang", "en"], ExitCode.BAD_INPUT, "none.gguf is not there"),
        (["run", "demo/warm", "--cards", "no-such-file.json"], ExitCode.BAD_INPUT, "no-such-file.json"),
        (["run", "demo/warm", "--protocol", "nope"], ExitCode.BAD_INPUT, "no protocol named nope"),
        (["run", "demo/warm", "demo/warm"], ExitCode.USAGE, "two supporters are named demo/warm"),
        (["run", "demo/warm", "--rounds", "0"], ExitCode.USAGE, "rounds"),
        (["run", "demo/warm", "--seeker", "demo/warm"], ExitCode.BAD_INPUT, "demo/warm is a supporter, not a seeker"),
        (["run", "demo/warm", "--parallel", "256"], ExitCode.USAGE, "255"),
        (["run", "demo/warm", "--strict", "--parallel", "8"], ExitCode.USAGE, "one dialogue at a time"),
        (["score", "no-such-file.json"], ExitCode.BAD_INPUT, "no-such-file.json"),
        (["report", "no-such-run.db"], ExitCode.STORAGE, "not there"),
        (["run", "demo/warm", "--limit", "1", "--out", "no/such/folder/x.db"], ExitCode.STORAGE, "folder"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_and_with_which_code(words: list[str], code: ExitCode, said: str) -> None:
    found = escl(*words)
    assert found.returncode == code, found.stderr
    assert said in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


def test_two_card_files_with_a_common_id_are_refused(tmp_path: Path) -> None:
    source = ROOT / "role_cards" / "en.toml"
    copy = tmp_path / "copy.toml"
    copy.write_bytes(source.read_bytes())
    found = escl("run", "demo/warm", "--cards", str(source), "--cards", str(copy))
    assert found.returncode == ExitCode.BAD_INPUT
    assert "two of the card files hold a card with the id en-" in found.stderr


def test_the_version_is_the_packages() -> None:
    assert escl("--version").stdout.strip() == __version__
