"""InternLM2's default system prompt is read from code that never runs, or its absence is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from escl.convert import convert
from escl.convert.system_prompt import default_system_prompt
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import SYSTEM_PROMPT, internlm2_code, write_internlm2


def read(tmp_path: Path, code: str) -> tuple[str | None, str | None]:
    path = tmp_path / "modeling_internlm2.py"
    path.write_text(code, encoding="utf-8")
    return default_system_prompt(path)


def test_it_is_stored_in_the_file(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    convert(checkpoint.folder, tmp_path / "m.gguf")
    header = read_gguf_header(tmp_path / "m.gguf")
    assert header.text("escl.chat.default_system_prompt") == SYSTEM_PROMPT


def test_without_the_code_a_note_says_so(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src", with_code=False)
    converted = convert(checkpoint.folder, tmp_path / "m.gguf")
    assert [note for note in converted.notes if "modeling_internlm2.py" in note]
    assert "escl.chat.default_system_prompt" not in read_gguf_header(tmp_path / "m.gguf").metadata


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (internlm2_code("one line"), "one line"),
        ("def chat(meta_instruction='a' 'b'): ...", "ab"),
        ("def chat(meta_instruction='a' + ('b' + 'c')): ...", "abc"),
        ("def chat(meta_instruction='-'.join(['a', 'b'])): ...", "a-b"),
        ("def chat(meta_instruction=''.join(('a', 'b' + 'c'))): ...", "abc"),
        ("def chat(x, *, meta_instruction='keyword only', y): ...", "keyword only"),
        ("async def chat(x, meta_instruction='a', /, y=1): ...", "a"),
        ("class A:\n def chat(s, meta_instruction='a'): ...\n def build_inputs(s, meta_instruction='b'): ...", "a"),
        ("def build_inputs(meta_instruction='b'): ...\ndef chat(meta_instruction=''): ...", "b"),
        ("def chat(meta_instruction='a'): ...\nclass B:\n def chat(s, meta_instruction='a'): ...", "a"),
    ],
)
def test_plain_text_is_read(tmp_path: Path, code: str, text: str) -> None:
    assert read(tmp_path, code) == (text, None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def chat(meta_instruction=PROMPT): ...", "not plain text"),
        ("def chat(meta_instruction=f'{1}'): ...", "not plain text"),
        ("def chat(meta_instruction=open('x').read()): ...", "not plain text"),
        ("def chat(meta_instruction='a' * 10**9): ...", "not plain text"),
        ("def chat(meta_instruction=b'a'): ...", "not plain text"),
        ("def chat(meta_instruction=x.join(['a'])): ...", "not plain text"),
        ("def chat(meta_instruction='a'): ...\nclass B:\n def chat(s, meta_instruction='b'): ...", "several"),
        ("def chat(query): ...", "no default system prompt"),
        ("def other(meta_instruction='a'): ...", "no default system prompt"),
        ("def chat(", "could not be read"),
        ("x = " + "(" * 5000, "could not be read"),
        ("\0", "could not be read"),
    ],
)
def test_anything_else_is_left_out_with_the_reason(tmp_path: Path, code: str, reason: str) -> None:
    text, problem = read(tmp_path, code)
    assert text is None
    assert problem is not None
    assert reason in problem


def test_a_long_sum_does_not_overflow_the_reader(tmp_path: Path) -> None:
    text, problem = read(tmp_path, "def chat(meta_instruction=" + " + ".join(["'a'"] * 50_000) + "): ...")
    assert text is not None or (problem is not None and "could not be read" in problem)
