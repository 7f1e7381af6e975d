"""A GGUF file gets a chat template and is otherwise the same to the byte."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.convert.add_template import TEMPLATE_KEY, add_template
from escl.convert.chat_templates import NAMED, NamedTemplate
from escl.errors import ConvertError, StorageError, UsageError
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from tests.tiny_gguf import Script, write_model


def bare(tmp_path: Path) -> Path:
    return write_model(tmp_path / "bare.gguf", Script(table={}, template=None))


def weights(path: Path, header: GGUFHeader) -> list[bytes]:
    content = path.read_bytes()
    return [content[tensor.offset : tensor.offset + tensor.size_bytes] for tensor in header.tensors]


@pytest.mark.parametrize("n_chars", range(1, 40, 5))
def test_only_the_template_is_new(tmp_path: Path, n_chars: int) -> None:
    src, dst = bare(tmp_path), tmp_path / "dst.gguf"
    (tmp_path / "t.jinja").write_text("x" * n_chars)
    add_template(src, dst, str(tmp_path / "t.jinja"))
    before, after = read_gguf_header(src, max_items=10**6), read_gguf_header(dst, max_items=10**6)
    assert after.metadata == before.metadata | {TEMPLATE_KEY: "x" * n_chars}
    assert weights(dst, after) == weights(src, before)
    assert after.data_offset % after.alignment == 0
    moved = after.data_offset - before.data_offset
    assert [msgspec.structs.replace(row, offset=row.offset - moved) for row in after.tensors] == list(before.tensors)
    assert after.size_bytes - before.size_bytes == moved


def test_a_named_format_is_taken_where_the_vocabulary_has_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = bare(tmp_path)
    add_template(src, tmp_path / "v.gguf", "vicuna")
    assert read_gguf_header(tmp_path / "v.gguf").text(TEMPLATE_KEY) == NAMED["vicuna"].source
    odd = {**NAMED, "odd": NamedTemplate(source="<|odd|>", marks=("<|odd|>",))}
    monkeypatch.setattr("escl.convert.chat_templates.NAMED", odd)
    with pytest.raises(UsageError, match=r"odd writes <\|odd\|>, which this vocabulary does not have"):
        add_template(src, tmp_path / "m.gguf", "odd")
    assert not (tmp_path / "m.gguf").exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    src = bare(tmp_path)
    add_template(src, tmp_path / "once.gguf", "vicuna")
    with pytest.raises(ConvertError, match="has a chat template already"):
        add_template(tmp_path / "once.gguf", tmp_path / "twice.gguf", "vicuna")
    (tmp_path / "there.gguf").write_bytes(b"mine")
    with pytest.raises(StorageError, match="appeared"):
        add_template(src, tmp_path / "there.gguf", "vicuna")
    assert (tmp_path / "there.gguf").read_bytes() == b"mine"
