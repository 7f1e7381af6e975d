"""`escl convert` and `python convert.py`: what they print, how they end, and what a stop leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from escl.cli.convert import StoredAs
from escl.convert.outcome import OUT_TYPES
from escl.errors import ExitCode
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import write_adapter, write_internlm2, write_qwen2
from tests.decoder_checkpoints import ALL_WRITERS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "convert.py"


def convert(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_choices_are_the_converters() -> None:
    assert tuple(choice.value for choice in StoredAs) == OUT_TYPES


def test_json_says_what_was_written_and_notes_go_to_stderr(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    done = convert("src", "m.gguf", "--outtype", "f32", "--json", cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    written = json.loads(done.stdout)
    assert written["path"] == "m.gguf"
    assert written["outtype"] == "f32"
    assert written["architecture"] == "internlm2"
    assert written["size_bytes"] == (tmp_path / "m.gguf").stat().st_size
    assert written["n_tensors"] == len(read_gguf_header(tmp_path / "m.gguf").tensors)
    assert "note: rope scaling 'dynamic'" in done.stderr
    adapter = write_adapter(tmp_path / "adapter", checkpoint)
    done = convert(adapter.folder, "a.gguf", "--base", "src", cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout.startswith("a.gguf: adapter, internlm2, f16, 12 tensors")


def test_a_bad_checkpoint_ends_with_its_own_code_and_no_traceback(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    (checkpoint.folder / "model.safetensors").rename(checkpoint.folder / "pytorch_model.bin")
    done = convert("src", "m.gguf", cwd=tmp_path)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "error: " in done.stderr
    assert "hint: pickle files can run code" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    done = convert("src", "m.gguf", "--quantize", "Q9", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_a_chat_template_is_checked_before_the_weights_are_read(tmp_path: Path) -> None:
    ALL_WRITERS["vicuna"](tmp_path / "src")
    (tmp_path / "broken.jinja").write_text("{% for m in messages %}")
    done = convert("src", "m.gguf", "--chat-template", "broken.jinja", cwd=tmp_path)
    assert done.returncode not in (ExitCode.OK, ExitCode.BUG)
    assert "the chat template failed" in done.stderr
    assert not (tmp_path / "m.gguf").exists()
    done = convert("src", "m.gguf", "--chat-template", "vicuna", "--json", cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "note: the chat template is vicuna" in done.stderr
    assert "USER: " in read_gguf_header(tmp_path / "m.gguf").text("tokenizer.chat_template")


# Runs the command line with a converter that stops in the middle until it is told to stop for good.
STUCK = """
import sys, time
import escl.convert.writer as writer
from escl.cli.main import main
write = writer._Copier._write
def stuck(self, *arguments, **options):
    write(self, *arguments, **options)
    print("writing", flush=True)
    time.sleep(60)
writer._Copier._write = stuck
sys.argv = ["escl", "convert", *sys.argv[1:]]
main()
"""


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stop_leaves_nothing_under_the_final_name(tmp_path: Path, number: signal.Signals) -> None:
    write_qwen2(tmp_path / "src")
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", STUCK, str(tmp_path / "src"), str(out / "m.gguf")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        assert list(out.iterdir())
        child.send_signal(number)
        child.wait(timeout=30)
    assert not (out / "m.gguf").exists()
    if number is not signal.SIGKILL:
        assert child.returncode == ExitCode.INTERRUPTED
        assert list(out.iterdir()) == []


# Runs the command line with a quantizer that loads as the real one does, and then takes its time.
SLOW_QUANTIZER = """
import subprocess, sys
popen = subprocess.Popen
child = "import time, escl.convert.quantize as q; q.threading.Thread(target=q._die_with_parent).start(); time.sleep(60)"
subprocess.Popen = lambda command, **options: popen([sys.executable, "-c", child], **options)
from escl.cli.main import main
main()
"""


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_quantizers_child_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    write_qwen2(tmp_path / "src")
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["convert", str(tmp_path / "src"), str(out / "m.gguf"), "--quantize", "Q4_0"]
    command = [sys.executable, "-c", SLOW_QUANTIZER, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as parent:
        children: list[psutil.Process] = []
        deadline = time.monotonic() + 30
        while not children and time.monotonic() < deadline:
            children = psutil.Process(parent.pid).children()
            time.sleep(0.02)
        assert children
        parent.send_signal(number)
        parent.wait(timeout=30)
    children[0].wait(timeout=30)
    assert not (out / "m.gguf").exists()
    if number is signal.SIGTERM:
        assert parent.returncode == ExitCode.INTERRUPTED
        assert list(out.iterdir()) == []
