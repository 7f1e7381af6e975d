"""`escl models` from the command line: a whole pull in processes of its own, and what the commands print and return."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.convert import convert
from escl.doctor.stock import shelf_findings
from escl.errors import DownloadError, ExitCode, ManifestError, UsageError
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import write_qwen2
from tests.hub_server import Hub, asked_by_this_process, running_hub
from tests.tiny_gguf import Script, write_model

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"


def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ESCL_HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub.endpoint,
        "COLUMNS": "120",
    }


def escl(hub: Hub, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *words]
    env = environment(hub, tmp_path)
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_a_gated_checkpoint_is_pulled_with_the_token_of_hf_home_and_speaks_in_a_run(tmp_path: Path) -> None:
    write_qwen2(tmp_path / "src")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_allowed")
    with running_hub() as hub:
        hub.add("maker/toy", tmp_path / "src", gated=True)
        done = escl(hub, tmp_path, "models", "pull", "hf.co/maker/toy", "--memory", "4GiB", "--json")
        assert done.returncode == ExitCode.OK, done.stderr
        (pulled,) = json.loads(done.stdout)
        assert (pulled["name"], pulled["quantization"]) == ("hf.co/maker/toy:Q8_0", "Q8_0")
        assert "note: Q8_0 of Q8_0, Q6_K, Q5_K_M, Q4_K_M: needs about" in done.stderr
        assert {request.token for request in hub.requests if request.host == "cdn"} == {None}
    words = ["--seeker", "demo/seeker", "--no-score", "--limit", "1", "--lang", "en", "--rounds", "1", "--max-tokens"]
    done = escl(hub, tmp_path, "run", "hf.co/maker/toy:Q8_0", *words, "4", "--ctx", "512", "--out", "run.db", "--json")
    assert done.returncode == ExitCode.OK, done.stderr


@pytest.mark.kill
def test_a_pull_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    content = write_model(tmp_path / "m.gguf", Script(table={})).read_bytes()
    with running_hub() as hub:
        hub.add("maker/toy-GGUF", {"toy-Q4_K_M.gguf": content})
        hub.faults.stall["toy-Q4_K_M.gguf"] = 60_000
        command = [sys.executable, "-c", PROGRAM, "models", "pull", "hf.co/maker/toy-GGUF"]
        child = subprocess.Popen(command, env=environment(hub, tmp_path), cwd=tmp_path, stderr=subprocess.PIPE)
        try:
            assert hub.faults.stalled.wait(30)
            partial = tmp_path / "home" / "downloads"
            while not any(path.is_file() and path.stat().st_size > 50_000 for path in partial.rglob("*")):
                assert child.poll() is None
        finally:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        hub.faults.released.set()
        done = escl(hub, tmp_path, "models", "pull", "hf.co/maker/toy-GGUF")
        assert done.returncode == ExitCode.OK, done.stderr
        first, second = hub.starts("toy-Q4_K_M.gguf")
        assert first == 0
        assert 50_000 < second <= 60_000
        assert "maker/toy-GGUF:Q4_K_M is on the shelf now" in done.stdout
        done = escl(hub, tmp_path, "models", "pull", "hf.co/maker/none")
        assert (done.returncode, done.stdout) == (ExitCode.NETWORK, "")
        assert "has no maker/none, or does not show it" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a pulled model; the model's file."""
    content = write_model(tmp_path / "m.gguf", Script(table={})).read_bytes()
    with asked_by_this_process(tmp_path, monkeypatch) as hub:
        hub.add("maker/toy-GGUF", {"toy-Q4_K_M.gguf": content, "LICENSE": b"terms"}, licence="odd-1.0")
        done = CliRunner().invoke(app, ["models", "pull", "hf.co/maker/toy-GGUF", "--json"])
        assert done.exit_code == ExitCode.OK, done.stderr
        return Path(json.loads(done.stdout)[0]["path"])


def invoke(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["models", *words], input=typed)


def test_show_tells_template_licence_and_where_it_came_from(pulled: Path) -> None:
    found = json.loads(invoke("show", "hf.co/maker/toy-GGUF", "--json").stdout)
    template = read_gguf_header(pulled).text("tokenizer.chat_template")
    assert found["template"] == template
    assert found["template_sha256"] == hashlib.sha256(template.encode()).hexdigest()
    assert found["template_sha256"] == found["manifest"]["made"]["template_sha256"]
    assert (found["architecture"], found["quantization"], found["state"]) == ("qwen2", "Q4_K_M", "here")
    assert found["manifest"]["licence"] == "odd-1.0"
    assert found["manifest"]["source"]["files"][0]["sha256"] == hashlib.sha256(pulled.read_bytes()).hexdigest()
    text = invoke("show", "hf.co/maker/toy-GGUF:Q4_K_M").stdout
    assert f"hf.co/maker/toy-GGUF at {found['manifest']['source']['revision']}" in text
    assert json.loads(invoke("show", str(pulled), "--json").stdout)["template"] == template


def test_ls_shows_what_is_here_and_what_could_be(pulled: Path) -> None:
    found = {model["name"]: model for model in json.loads(invoke("ls", "--json").stdout)}
    toy = found["hf.co/maker/toy-GGUF:Q4_K_M"]
    assert (toy["state"], toy["pinned"], toy["size_bytes"]) == ("here", True, pulled.stat().st_size)
    assert (found["esc-role"]["state"], found["esc-role"]["role"]) == ("not here", "seeker")
    broken = pulled.with_name("broken.toml")
    broken.write_text("name = 3")
    found = {model["name"]: model for model in json.loads(invoke("ls", "--json").stdout)}
    assert found["hf.co/maker/toy-GGUF:broken"]["state"] == "unreadable"
    assert "broken.toml" in found["hf.co/maker/toy-GGUF:broken"]["problem"]
    assert "unreadable" in invoke("ls").stdout


def test_ls_breaks_no_name_at_80_columns(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pulled.with_name("broken.toml").write_text("name = 3")
    names = {model["name"] for model in json.loads(invoke("ls", "--json").stdout)}
    text = invoke("ls").stdout
    assert names <= {line.split()[0] for line in text.splitlines() if line.strip()}
    assert f"hf.co/maker/toy-GGUF:broken: {pulled.with_name('broken.toml')}: " in text
    monkeypatch.setenv("COLUMNS", "20")
    assert names <= {line.split()[0] for line in invoke("ls").stdout.splitlines() if line.strip()}
    monkeypatch.setenv("COLUMNS", "300")
    assert "Source" in invoke("ls").stdout


def test_a_pull_that_fails_takes_nothing_from_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_model(tmp_path / "m.gguf", Script(table={})).read_bytes()
    with asked_by_this_process(tmp_path, monkeypatch) as hub:
        hub.add("maker/toy-GGUF", {"toy-Q4_K_M.gguf": content})
        done = invoke("pull", "hf.co/maker/toy-GGUF", "hf.co/maker/none", "--json")
        assert isinstance(done.exception, DownloadError)
        assert [pulled["name"] for pulled in json.loads(done.stdout)] == ["hf.co/maker/toy-GGUF:Q4_K_M"]
        assert invoke("pull", "hf.co/maker/none", "--json").stdout == ""


def test_verify_ends_with_3_when_a_file_has_changed(pulled: Path) -> None:
    assert invoke("verify", "hf.co/maker/toy-GGUF").exit_code == ExitCode.OK
    content = bytearray(pulled.read_bytes())
    content[len(content) // 2] ^= 1
    pulled.write_bytes(content)
    done = invoke("verify", "--json")
    assert done.exit_code == ExitCode.BAD_INPUT
    wrong = [check["path"] for check in json.loads(done.stdout) if check["problem"]]
    assert wrong == [str(pulled)]
    pulled.unlink()
    assert "is not there" in invoke("verify", "hf.co/maker/toy-GGUF:Q4_K_M").stdout


def test_verify_fails_for_a_manifest_that_cannot_be_read(pulled: Path) -> None:
    broken = pulled.with_name("broken.toml")
    broken.write_text("name = 3")
    done = invoke("verify", "--json")
    assert done.exit_code == ExitCode.BAD_INPUT
    wrong = {check["path"]: check["problem"] for check in json.loads(done.stdout) if check["problem"]}
    assert list(wrong) == [str(broken)]
    assert "broken.toml" in wrong[str(broken)]


def commands_in(text: str) -> list[list[str]]:
    """Return the commands of `escl` that a message names."""
    return [shlex.split(found) for found in re.findall(r"`escl ([^`]+)`", text)]


def test_what_the_messages_about_a_damaged_pulled_model_name_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_model(tmp_path / "m.gguf", Script(table={})).read_bytes()
    with asked_by_this_process(tmp_path, monkeypatch) as hub:
        hub.add("maker/toy-GGUF", {"toy-Q4_K_M.gguf": content})
        path = Path(json.loads(invoke("pull", "hf.co/maker/toy-GGUF", "--json").stdout)[0]["path"])
        reference = "hf.co/maker/toy-GGUF:Q4_K_M"
        for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
            path.write_bytes(damaged)
            (finding,) = (finding for finding in shelf_findings() if reference in finding.said)
            named = commands_in(finding.to_do or "")
            mending = [words for words in named if words[1] != "verify"]
            assert mending == [["models", "rm", reference], ["models", "pull", reference]]
            for words in named:
                assert CliRunner().invoke(app, words, input="y\n").exit_code in (ExitCode.OK, ExitCode.BAD_INPUT)
            assert path.read_bytes() == content
        path.write_bytes(content[:-1])
        refused = invoke("pull", reference).exception
        assert isinstance(refused, ManifestError)
        assert commands_in(str(refused)) == [["models", "rm", reference]]


def test_every_command_gives_a_model_the_name_that_run_takes(pulled: Path, tmp_path: Path) -> None:
    reference = "hf.co/maker/toy-GGUF:Q4_K_M"
    assert reference in {model["name"] for model in json.loads(invoke("ls", "--json").stdout)}
    assert {check["model"] for check in json.loads(invoke("verify", "--json").stdout)} >= {reference}
    assert {check["model"] for check in json.loads(invoke("verify", "hf.co/maker/toy-GGUF", "--json").stdout)} == {
        reference
    }
    assert json.loads(invoke("pull", "hf.co/maker/toy-GGUF", "--json").stdout)[0]["name"] == reference
    assert invoke("pull", "hf.co/maker/toy-GGUF").stdout.startswith(f"{reference} is on the shelf already")
    unknown = CliRunner().invoke(app, ["models", "show", "toy"]).exception
    assert reference in str(unknown)
    bundle = ["bundle", "create", str(tmp_path / "bundle"), "--models", reference, "--json"]
    assert json.loads(CliRunner().invoke(app, bundle).stdout)["models"] == [reference]
    assert invoke("rm", reference, "-y").exit_code == ExitCode.OK
    assert not pulled.exists()


def test_rm_asks_and_removes_all_of_it(pulled: Path, tmp_path: Path) -> None:
    done = invoke("rm", "hf.co/maker/toy-GGUF", typed="n\n")
    assert isinstance(done.exception, UsageError)
    assert pulled.is_file()
    assert str(pulled) in done.stderr
    assert invoke("rm", "hf.co/maker/toy-GGUF", typed="y\n").exit_code == ExitCode.OK
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_rm_takes_a_manifest_by_its_path_from_where_one_stands(
    pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "home")
    assert invoke("rm", "-y", "gguf/hf.co/maker/toy-GGUF/Q4_K_M.toml").exit_code == ExitCode.OK
    assert not pulled.exists()
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_rm_removes_what_a_stopped_conversion_left_and_no_file_of_the_users(pulled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "gguf" / "esc-role"
    folder.mkdir()
    write_qwen2(tmp_path / "src")
    convert(tmp_path / "src", folder / "esc-role-Q8_0.gguf")
    (folder / "mine.gguf").write_bytes(pulled.read_bytes())
    assert json.loads(invoke("rm", "esc-role", "-y", "--json").stdout)["paths"] == [str(folder / "esc-role-Q8_0.gguf")]
    assert [path.name for path in folder.iterdir()] == ["mine.gguf"]
    # In a repository's own folder a file without a record is what a stopped pull left.
    pulled.with_name("Q4_K_M.toml").unlink()
    found = json.loads(invoke("rm", "hf.co/maker/toy-GGUF", "-y", "--json").stdout)
    assert found["paths"] == [str(pulled)]


def test_rm_asks_which_of_several_quantizations_is_meant(pulled: Path, tmp_path: Path) -> None:
    manifest = pulled.with_name("Q4_K_M.toml")
    pulled.with_name("Q8_0.toml").write_bytes(manifest.read_bytes())
    downloads = tmp_path / "home" / "downloads" / "models--maker--toy-GGUF"
    downloads.mkdir(parents=True)
    done = invoke("rm", "hf.co/maker/toy-GGUF", "-y")
    assert isinstance(done.exception, ManifestError)
    assert "Q4_K_M" in str(done.exception)
    assert downloads.is_dir()
    assert pulled.is_file()


def test_rm_leaves_what_ships_and_what_lies_elsewhere(pulled: Path) -> None:
    done = invoke("rm", "demo/warm", "--yes")
    assert isinstance(done.exception, UsageError)
    assert "does not lie on your own shelf" in str(done.exception)
    assert isinstance(invoke("rm", "esc-role", "--yes").exception, UsageError)
    assert pulled.is_file()


def test_rm_discards_a_download_that_was_never_finished(pulled: Path, tmp_path: Path) -> None:
    left = tmp_path / "home" / "downloads" / "models--maker--other" / "snapshots" / "x" / ".partial"
    left.mkdir(parents=True)
    (left / "0").write_bytes(b"12345")
    done = json.loads(invoke("rm", "hf.co/maker/other", "--yes", "--json").stdout)
    assert done["size_bytes"] == 5
    assert not (tmp_path / "home" / "downloads" / "models--maker--other").exists()
    assert pulled.is_file()
