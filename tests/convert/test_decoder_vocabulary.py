"""What stands in the files of the llama, mistral and qwen3 families: rules of cutting text, first and last tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from escl.convert import convert
from escl.convert.vocabulary import TokenType
from escl.shelf.gguf_header import Array, GGUFHeader, Scalar, read_gguf_header
from tests.checkpoints import Checkpoint, added_entry, write_json
from tests.decoder_checkpoints import ALL_WRITERS, FAMILIES, write_family
from tests.llama_run import loaded
from tests.toy_tokenizers import LLAMA3_SPECIAL, llama3_tokenizer_json

pytestmark = pytest.mark.model

RULES = {
    "llama3": ("gpt2", "llama-bpe", True, None),
    "vicuna": ("llama", "default", None, True),
    "yi": ("llama", "default", False, False),
    "mistral": ("llama", "default", None, True),
    "qwen3": ("gpt2", "qwen2", False, None),
}


def header_of(checkpoint: Checkpoint, dst: Path) -> GGUFHeader:
    convert(checkpoint.folder, dst, force=True)
    return read_gguf_header(dst, max_items=10_000)


def tokens_of(header: GGUFHeader) -> list[Scalar]:
    value = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(value, Array)
    return list(value.items)


def edited(checkpoint: Checkpoint, name: str, **changes: Any) -> None:  # noqa: ANN401
    path = checkpoint.folder / name
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, content | changes)


@pytest.mark.parametrize("family", RULES)
def test_each_family_names_the_rules_of_its_tokenizer(tmp_path: Path, family: str) -> None:
    header = header_of(ALL_WRITERS[family](tmp_path / "src"), tmp_path / "m.gguf")
    keys = ("model", "pre", "add_bos_token", "add_space_prefix")
    assert tuple(header.metadata.get("tokenizer.ggml." + key) for key in keys) == RULES[family]


def test_llamas_permuted_rows_and_head_size_go_under_llamas_name(tmp_path: Path) -> None:
    header = header_of(ALL_WRITERS["mistral"](tmp_path / "src"), tmp_path / "m.gguf")
    assert header.architecture == "llama"
    assert [header.metadata[f"llama.attention.{key}_length"] for key in ("key", "value")] == [24, 24]
    assert (
        "llama.attention.key_length"
        not in header_of(ALL_WRITERS["vicuna"](tmp_path / "other"), tmp_path / "o.gguf").metadata
    )


def test_a_llama3_tokenizer_from_before_ignore_merges_is_cut_without_it(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["llama3"](tmp_path / "src")
    older = llama3_tokenizer_json(ignore_merges=False)
    (checkpoint.folder / "tokenizer.json").write_text(older, encoding="utf-8")
    header = header_of(checkpoint, tmp_path / "m.gguf")
    assert header.metadata["tokenizer.ggml.pre"] == "smaug-bpe"
    plain, whole = Tokenizer.from_str(older), Tokenizer.from_str(llama3_tokenizer_json())
    texts = ["I have not slept well", "what to tell my family", "afraid of failing", "The overall score is 1234567"]
    cut = [plain.encode(text, add_special_tokens=False).ids for text in texts]
    assert cut != [whole.encode(text, add_special_tokens=False).ids for text in texts]
    with loaded(tmp_path / "m.gguf", vocab_only=True) as model:
        assert [model.tokenize(text) for text in texts] == cut


def test_a_file_called_tokenizer_model_does_not_hide_byte_level_bpe(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["llama3"](tmp_path / "src")
    (checkpoint.folder / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    assert header_of(checkpoint, tmp_path / "m.gguf").metadata["tokenizer.ggml.model"] == "gpt2"


def test_marks_of_reasoning_are_text_that_is_one_token(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["qwen3"](tmp_path / "src")
    header = header_of(checkpoint, tmp_path / "m.gguf")
    types = header.metadata["tokenizer.ggml.token_type"]
    assert isinstance(types, Array)
    assert types.items[tokens_of(header).index("<think>")] == TokenType.USER_DEFINED


def test_all_ends_of_generation_config_end_a_turn(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["llama3"](tmp_path / "src")
    decoder = json.loads((checkpoint.folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    renamed = dict(zip(LLAMA3_SPECIAL, [*LLAMA3_SPECIAL[:1], "<|fin|>", "<|x|>", *LLAMA3_SPECIAL[3:5]], strict=False))
    renamed |= {"<|eom_id|>": "<|over|>", "<|eot_id|>": "<|stop|>"}
    ids = {entry["content"]: int(token) for token, entry in decoder.items()}
    tokenizer = json.loads((checkpoint.folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token in tokenizer["added_tokens"]:
        token["content"] = renamed[token["content"]]
    vocabulary = {renamed.get(text, text): token for text, token in tokenizer["model"]["vocab"].items()}
    edited(checkpoint, "tokenizer.json", added_tokens=tokenizer["added_tokens"])
    edited(checkpoint, "tokenizer.json", model=tokenizer["model"] | {"vocab": vocabulary})
    entries = {str(token): added_entry(renamed[text]) for text, token in ids.items()}
    edited(checkpoint, "tokenizer_config.json", added_tokens_decoder=entries, eos_token="<|stop|>")
    ends = {ids[text] for text in ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")}
    convert(checkpoint.folder, tmp_path / "m.gguf")
    with loaded(tmp_path / "m.gguf", vocab_only=True) as model:
        assert {token for token in range(model.n_vocab) if model.is_eog(token)} == ends


def test_an_end_that_gguf_cannot_say_is_noted(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["vicuna"](tmp_path / "src")
    edited(checkpoint, "generation_config.json", eos_token_id=[2, 300, 9999])
    notes = convert(checkpoint.folder, tmp_path / "m.gguf").notes
    assert [note for note in notes if note.startswith("token 300 ") and "ordinary text" in note]
    assert [note for note in notes if "9999 of generation_config.json is beyond" in note]
    with loaded(tmp_path / "m.gguf", vocab_only=True) as model:
        assert not model.is_eog(300)


def test_added_tokens_of_older_transformers_are_read(tmp_path: Path) -> None:
    family = FAMILIES["yi"]()
    checkpoint = write_family(tmp_path / "src", family)
    first = checkpoint.config["vocab_size"] - family.pads
    decoder: dict[str, object] = {}
    edited(checkpoint, "tokenizer_config.json", added_tokens_decoder=decoder)
    write_json(checkpoint.folder / "added_tokens.json", {"<|more|>": first, "<pad>": first + 1})
    header = header_of(checkpoint, tmp_path / "m.gguf")
    types = header.metadata["tokenizer.ggml.token_type"]
    assert isinstance(types, Array)
    assert tokens_of(header)[first : first + 3] == ["<|more|>", "<pad>", f"[PAD{first + 2}]"]
    assert types.items[first : first + 3] == (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNUSED)
    assert "added_tokens.json" in str(header.metadata["escl.source.files"])


@pytest.mark.parametrize(("legacy", "n_notes"), [(True, 0), (None, 0), (False, 1)])
def test_a_blank_that_llama_cpp_puts_too_often_is_noted(tmp_path: Path, legacy: bool | None, n_notes: int) -> None:
    checkpoint = ALL_WRITERS["mistral"](tmp_path / "src")
    edited(checkpoint, "tokenizer_config.json", legacy=legacy)
    notes = convert(checkpoint.folder, tmp_path / "m.gguf").notes
    assert len([note for note in notes if "after every control token" in note]) == n_notes


def test_a_tokenizer_that_says_no_blank_gets_none(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["vicuna"](tmp_path / "src")
    edited(checkpoint, "tokenizer_config.json", add_prefix_space=False, add_bos_token=False)
    header = header_of(checkpoint, tmp_path / "m.gguf")
    assert header.metadata["tokenizer.ggml.add_space_prefix"] is False
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
