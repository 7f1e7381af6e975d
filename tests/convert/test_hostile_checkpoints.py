"""A checkpoint can neither run code, nor make the converter read files outside its folder, nor crash it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escl.convert import convert
from escl.errors import ConvertError, UsageError
from tests.checkpoints import Checkpoint, Shape, write_internlm2, write_qwen2


def refused(checkpoint: Checkpoint, out: Path, reason: str) -> None:
    """Assert that the conversion fails with `reason` and leaves the folder `out` empty."""
    out.mkdir()
    with pytest.raises(ConvertError, match=reason):
        convert(checkpoint.folder, out / "model.gguf")
    assert list(out.iterdir()) == []


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    (checkpoint.folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (checkpoint.folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    refused(checkpoint, tmp_path / "out", "leads out of the folder")


def test_a_pipe_in_place_of_a_shard_is_refused(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    (checkpoint.folder / "model.safetensors").unlink()
    os.mkfifo(checkpoint.folder / "model.safetensors")
    refused(checkpoint, tmp_path / "out", "not a regular file")


def test_a_snapshot_of_the_hugging_face_cache_is_read_through_its_links(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--someone--model" / "snapshots" / ("a1" * 20)
    checkpoint = write_qwen2(snapshot)
    blobs = tmp_path / "models--someone--model" / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(Path("../../blobs") / str(number))
    convert(checkpoint.folder, tmp_path / "model.gguf")
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(outside)
    refused(checkpoint, tmp_path / "out", "leads out of the folder")


WATCHED_CONVERSION = """
import json, sys
from pathlib import Path
from escl.convert import OutType, convert
import escl.convert.flow
src, dst = sys.argv[1:]
seen = []
def watch(event, arguments):
    if event in ("exec", "import") or event.startswith(("pickle", "socket", "os.system", "subprocess")):
        seen.append([event, str(arguments[0])[:200]])
    elif event == "open" and src in str(arguments[0]):
        seen.append([event, Path(arguments[0]).name])
sys.addaudithook(watch)
convert(Path(src), Path(dst))
print(json.dumps(seen))
"""


def test_no_code_of_a_checkpoint_runs_and_no_pickle_is_opened(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()\n"
    for name in ("tokenization_internlm2.py", "configuration_internlm2.py", "conftest.py", "__init__.py"):
        (checkpoint.folder / name).write_text(code)
    payload = b"cposix\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    (checkpoint.folder / "training_args.bin").write_bytes(payload)
    command = [sys.executable, "-c", WATCHED_CONVERSION, str(checkpoint.folder), str(tmp_path / "model.gguf")]
    child = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=60
    )
    seen: list[tuple[str, str]] = [(event, argument) for event, argument in json.loads(child.stdout)]
    assert not canary.exists()
    assert not [entry for entry in seen if entry[0].startswith(("pickle", "socket", "os.system", "subprocess"))]
    assert not [entry for entry in seen if entry[0] in ("import", "exec") and "internlm2" in entry[1]]
    opened = {argument for event, argument in seen if event == "open"}
    assert {name for name in opened if name.endswith((".py", ".bin"))} == {"modeling_internlm2.py"}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_safetensors_file_is_converted_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "src"
    if not source.exists():
        write_qwen2(source, shape=Shape(hidden=32, ffn=32, layers=1))
        (tmp_path / "sound").write_bytes((source / "model.safetensors").read_bytes())
    raw = bytearray((tmp_path / "sound").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 2500))] = data.draw(st.integers(0, 255))
    (source / "model.safetensors").write_bytes(raw)
    try:
        convert(source, tmp_path / "out.gguf", force=True)
    except (ConvertError, UsageError):
        assert not (tmp_path / "out.gguf").exists()
    (tmp_path / "out.gguf").unlink(missing_ok=True)
