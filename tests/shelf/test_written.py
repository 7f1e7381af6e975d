"""What a user names as an output is written whole, and never over what took hours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escl.cli.main import app as escl
from escl.errors import StorageError
from escl.shelf.written import write_whole
from tests.runs import rated


def test_a_text_takes_the_place_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


def test_what_is_no_ordinary_file_stays(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(StorageError, match="is no ordinary file; nothing was written"):
            write_whole(path, b"text")
    assert pipe.is_fifo()


def test_a_model_is_not_written_over(tmp_path: Path) -> None:
    model = tmp_path / "my.gguf"
    model.write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(StorageError, match=r"my\.gguf is a model"):
        write_whole(model, b"text")
    assert model.read_bytes().startswith(b"GGUF")


@pytest.mark.parametrize(
    "words",
    [
        ["report", "RUN", "--html", "RUN"],
        ["report", "RUN", "--csv", "RUN"],
        ["report", "RUN", "--markdown", "RUN"],
        ["report", "RUN", "--jsonl", "RUN"],
        ["compare", "RUN", "--baseline", "RUN:warm", "--margin", "0.2", "--junit", "RUN"],
    ],
)
def test_a_report_is_never_written_over_a_run(tmp_path: Path, words: list[str]) -> None:
    run = rated(tmp_path / "run.db", {name: {card: [3.0] for card in "abcd"} for name in ("warm", "curt")})
    before = run.read_bytes()
    done = CliRunner().invoke(escl, [word.replace("RUN", str(run)) for word in words])
    assert isinstance(done.exception, StorageError), done.output
    assert "is a run" in done.exception.message
    assert run.read_bytes() == before
