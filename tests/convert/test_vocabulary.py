"""What stands in the file: token types, scores, special ids, padding, and the traps of real tokenizers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.convert import convert
from escl.convert.sentencepiece_model import parse_piece_model
from escl.convert.vocabulary import TokenType, pads
from escl.errors import ConvertError
from escl.shelf.gguf_header import Array, GGUFHeader, Scalar, read_gguf_header
from tests.checkpoints import CHATML, Checkpoint, write_internlm2, write_qwen2
from tests.toy_tokenizers import internlm2_tokenizer_model, piece


def converted(checkpoint: Checkpoint, dst: Path) -> GGUFHeader:
    convert(checkpoint.folder, dst)
    return read_gguf_header(dst, max_items=10_000)


def items(header: GGUFHeader, name: str) -> tuple[Scalar, ...]:
    value = header.metadata["tokenizer.ggml." + name]
    assert isinstance(value, Array)
    return value.items


def special(header: GGUFHeader) -> dict[str, Scalar | Array]:
    ids = {key: value for key, value in header.metadata.items() if key.endswith("_token_id")}
    return {key.removeprefix("tokenizer.ggml.").removesuffix("_token_id"): value for key, value in ids.items()}


def edit_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes, ensure_ascii=False), encoding="utf-8")


def test_qwen2_keys(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src", pads=5)
    header = converted(checkpoint, tmp_path / "m.gguf")
    tokens, types = items(header, "tokens"), items(header, "token_type")
    n_vocab = checkpoint.config["vocab_size"]
    assert len(tokens) == len(types) == n_vocab
    assert tokens[-5:] == tuple(f"[PAD{token}]" for token in range(n_vocab - 5, n_vocab))
    assert types[-5:] == (TokenType.UNUSED,) * 5
    assert tokens[-8:-5] == ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    assert types[-8:-5] == (TokenType.CONTROL,) * 3
    assert set(types[:-8]) == {TokenType.NORMAL}
    end_of_text, im_end = n_vocab - 8, n_vocab - 6
    assert special(header) == {"bos": end_of_text, "eos": im_end, "padding": end_of_text}
    keys = ("model", "pre", "add_bos_token")
    assert [header.metadata["tokenizer.ggml." + key] for key in keys] == ["gpt2", "qwen2", False]
    assert header.metadata["tokenizer.chat_template"] == CHATML
    assert "tokenizer.ggml.scores" not in header.metadata


def test_internlm2_keys(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    header = converted(checkpoint, tmp_path / "m.gguf")
    tokens, types, scores = items(header, "tokens"), items(header, "token_type"), items(header, "scores")
    n_vocab = checkpoint.config["vocab_size"]
    processor = sentencepiece.SentencePieceProcessor(model_file=str(checkpoint.folder / "tokenizer.model"))
    nul = next(token for token in range(n_vocab) if processor.id_to_piece(token) == "\0")
    assert (tokens[nul], types[nul]) == (f"[EMPTY_{nul}]", TokenType.UNUSED)
    assert (tokens[0], types[0]) == ("<unk>", TokenType.UNKNOWN)
    assert types[1:3] == (TokenType.CONTROL,) * 2
    assert types[3 : 3 + 256] == (TokenType.BYTE,) * 256
    chat = n_vocab - 2
    assert tokens[chat:] == ("<|im_end|>", "<|im_start|>")
    assert types[n_vocab - 6 :] == (TokenType.CONTROL,) * 6
    assert scores[n_vocab - 6 :] == (-1000.0,) * 6
    assert types[nul + 1 : n_vocab - 6] == (TokenType.UNUSED,) * 8
    for token in range(259, nul):
        assert (tokens[token], scores[token]) == (processor.id_to_piece(token), processor.get_score(token))
    assert special(header) == {"bos": 1, "eos": chat, "eot": 2, "padding": 2, "unknown": 0}
    assert header.metadata["tokenizer.ggml.add_space_prefix"] is True
    assert "tokenizer.ggml.add_bos_token" not in header.metadata
    assert len(set(tokens)) == n_vocab


def test_the_parsed_model_is_what_the_library_reads() -> None:
    raw = internlm2_tokenizer_model()
    model = parse_piece_model(raw)
    library = sentencepiece.SentencePieceProcessor(model_proto=raw)
    assert len(model.pieces) == library.vocab_size()
    for token, entry in enumerate(model.pieces):
        assert (entry.text, entry.score) == (library.id_to_piece(token), library.get_score(token))
        assert (entry.kind is TokenType.BYTE, entry.kind is TokenType.CONTROL) == (
            library.is_byte(token),
            library.is_control(token),
        )
    assert (model.model_type, model.add_dummy_prefix, model.charsmap_bytes) == (2, True, 0)


def test_a_checkpoint_without_template_gets_internlm2s_own(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    edit_json(checkpoint.folder / "tokenizer_config.json", chat_template=None)
    template = converted(checkpoint, tmp_path / "m.gguf").text("tokenizer.chat_template")
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    rendered = (
        ImmutableSandboxedEnvironment()
        .from_string(template)
        .render(bos_token="<s>", add_generation_prompt=True, messages=[{"role": "user", "content": "hi"}])
    )
    assert rendered == "<s><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_file_and_a_named_template_are_taken(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    edit_json(checkpoint.folder / "tokenizer_config.json", chat_template=named)
    assert converted(checkpoint, tmp_path / "a.gguf").text("tokenizer.chat_template") == "yes"
    (checkpoint.folder / "chat_template.jinja").write_text("from the file", encoding="utf-8")
    assert converted(checkpoint, tmp_path / "b.gguf").text("tokenizer.chat_template") == "from the file"


def test_added_tokens_beyond_the_embedding_are_left_out_with_a_note(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    n_vocab = checkpoint.config["vocab_size"]
    path = checkpoint.folder / "tokenizer_config.json"
    decoder = json.loads(path.read_text())["added_tokens_decoder"]
    decoder[str(n_vocab)] = {"content": "<|im_start|>", "special": True}
    edit_json(path, added_tokens_decoder=decoder)
    result = convert(checkpoint.folder, tmp_path / "m.gguf")
    assert [note for note in result.notes if f"({n_vocab})" in note]
    assert len(items(read_gguf_header(tmp_path / "m.gguf", max_items=10_000), "tokens")) == n_vocab


def test_a_chat_mark_is_a_control_token_even_when_its_file_does_not_say_special(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    path = checkpoint.folder / "tokenizer_config.json"
    decoder = json.loads(path.read_text())["added_tokens_decoder"]
    plain = {token: entry | {"special": False} for token, entry in decoder.items()}
    edit_json(path, added_tokens_decoder=plain)
    types = items(converted(checkpoint, tmp_path / "m.gguf"), "token_type")
    assert types[-6:] == (TokenType.CONTROL,) * 6


def test_merges_as_texts_and_as_pairs_give_the_same_file(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    tokenizer: dict[str, Any] = json.loads((checkpoint.folder / "tokenizer.json").read_text(encoding="utf-8"))
    as_pairs = tokenizer["model"]["merges"]
    assert isinstance(as_pairs[0], list)
    first = items(converted(checkpoint, tmp_path / "a.gguf"), "merges")
    as_texts = [" ".join(pair) for pair in as_pairs]
    edit_json(checkpoint.folder / "tokenizer.json", model=tokenizer["model"] | {"merges": as_texts})
    assert items(converted(checkpoint, tmp_path / "b.gguf"), "merges") == first == tuple(as_texts)


def test_pads_never_repeat_a_text() -> None:
    assert pads([3, 4], taken=["[PAD3]", "[[PAD3]]"]) == {3: "[[[PAD3]]]", 4: "[PAD4]"}


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"\x0a\xff\xff\xff\xff\x0f", "claims"),
        (b"\x0a\x04\x0a\x02\xff\xfe", "utf-8"),
        (piece("x", float("nan"), 1), "score"),
        (piece("x", 0.0, 9), "9 is not a valid TokenType"),
        (b"\x0b", "wire type"),
        (b"\xff" * 11, "ten bytes"),
        (b"\x08", "ends within a number"),
        (b"\x0a", "ends within a number"),
        (b"\x02\x00", "field number 0"),
        (b"\x08\x01", "is a number"),
        (b"\x1a\x02\x1a\x00", "not a number"),
    ],
)
def test_a_broken_sentencepiece_model_is_refused(tail: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_piece_model(internlm2_tokenizer_model() + tail)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (internlm2_tokenizer_model(420, model_type="unigram"), "model type 1"),
        (internlm2_tokenizer_model(220, byte_fallback=False), "no piece for the byte 0x00"),
    ],
    ids=["unigram", "no byte fallback"],
)
def test_a_sentencepiece_model_that_llama_cpp_cannot_follow_is_refused(
    tmp_path: Path, model: bytes, reason: str
) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    (checkpoint.folder / "tokenizer.model").write_bytes(model)
    with pytest.raises(ConvertError, match=reason):
        convert(checkpoint.folder, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_a_normalization_that_is_not_done_is_noted(tmp_path: Path) -> None:
    model = internlm2_tokenizer_model(normalization="nmt_nfkc")
    checkpoint = write_internlm2(tmp_path / "src", tokenizer_model=model)
    assert [note for note in convert(checkpoint.folder, tmp_path / "m.gguf").notes if "normalizes" in note]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_sentencepiece_model_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(internlm2_tokenizer_model()[:400] + internlm2_tokenizer_model()[-1500:])
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        parse_piece_model(bytes(raw))
