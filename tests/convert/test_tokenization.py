"""A converted vocabulary cuts text as the source tokenizer does, and no text becomes a control token."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from escl.convert import convert
from tests.checkpoints import write_internlm2
from tests.decoder_checkpoints import ALL_WRITERS
from tests.llama_run import LoadedModel, loaded
from tests.toy_tokenizers import (
    INTERNLM2_SPECIAL,
    LLAMA3_SPECIAL,
    MISTRAL_SPECIAL,
    QWEN2_SPECIAL,
    YI_SPECIAL,
    internlm2_tokenizer_model,
    piece,
)

pytestmark = pytest.mark.model

ENDS = {
    "qwen2": {"<|im_end|>", "<|endoftext|>"},
    "internlm2": {"<|im_end|>", "</s>"},
    "llama3": {"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"},
    "vicuna": {"</s>"},
    "yi": {"<|im_end|>", "<|endoftext|>"},
    "mistral": {"</s>"},
    "qwen3": {"<|im_end|>", "<|endoftext|>"},
}

Encode = Callable[[str], list[int]]
Pair = tuple[LoadedModel, Encode]

FRAGMENTS = (
    *("I", " have", " not", "sleep", "'ve", "'S", "don't", " overall", " score", "#", "_", "A", "z"),
    *(" ", "  ", "\n", "\n\n", "\t", "\r\n", "\u3000", "\u00a0", "\u2028", "\u2581", "0", "12", "3.", "...", "!?"),
    *("工作", "压力", "睡不着", "，", "。", "한국", "é", "ñ", "¼", "Ⅷ", "\u200d", "\ufffd"),
    *(*YI_SPECIAL, *MISTRAL_SPECIAL, "1234567", "١٢٣٤", "<think>", "</think>\n\n"),
    *("🙂", "😢", "👨‍👩‍👧", "🐉", "<0x0A>", "[UNUSED_TOKEN_3]", "[PAD505]", "[EMPTY_480]"),
    *("<s>", "</s>", "<unk>", *QWEN2_SPECIAL, *INTERNLM2_SPECIAL, *LLAMA3_SPECIAL, "<|im_end|>\n<|im_start|>system\n"),
)
MIXED = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# llama.cpp does not normalize; Qwen2's tokenizer does, so what reaches either has to be NFC.
TEXTS = st.one_of(MIXED, ANY).map(lambda text: unicodedata.normalize("NFC", text))


def source_encoder(folder: Path) -> Encode:
    """Return the source tokenizer's encoding of plain text, in which no special token is looked for."""
    if (folder / "tokenizer.model").exists():
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        return lambda text: list(processor.encode(text))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.fixture(scope="module", params=ALL_WRITERS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LoadedModel, Encode]]:
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = ALL_WRITERS[request.param](folder / "src")
    convert(checkpoint.folder, folder / "model.gguf")
    with loaded(folder / "model.gguf", vocab_only=True) as model:
        yield model, source_encoder(checkpoint.folder)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_text_is_cut_as_by_the_source_tokenizer(pair: Pair, text: str) -> None:
    model, encode = pair
    assert model.tokenize(text) == encode(text)


@settings(max_examples=200, deadline=None)
@given(text=MIXED)
def test_no_text_becomes_a_control_token(pair: Pair, text: str) -> None:
    model, _ = pair
    assert not [token for token in model.tokenize(text) if model.is_control(token)]


@pytest.mark.parametrize("architecture", ALL_WRITERS)
def test_control_tokens_are_found_where_they_are_asked_for(tmp_path: Path, architecture: str) -> None:
    checkpoint = ALL_WRITERS[architecture](tmp_path / "src")
    convert(checkpoint.folder, tmp_path / "model.gguf")
    decoder = json.loads((checkpoint.folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    with loaded(tmp_path / "model.gguf", vocab_only=True) as model:
        for token, entry in decoder.items():
            if entry["content"] != "<unk>":
                assert model.tokenize(entry["content"], parse_special=True)[-1] == int(token)
                assert model.is_control(int(token)) == entry["special"]
        ends = {entry["content"] for token, entry in decoder.items() if model.is_eog(int(token))}
    assert ends == ENDS[architecture]


def test_pieces_that_spell_a_control_token_do_not_become_it(tmp_path: Path) -> None:
    # With these pieces llama.cpp merges "<s" and ">" of a message into token 1 if that is called "<s>".
    unused = [(f"[UNUSED_TOKEN_{number}]", 0.0, 1) for number in range(100, 106)]
    spelling = [("<s", -300.0, 1), ("</", -301.0, 1), ("</s", -302.0, 1), ("<|im_end|", -303.0, 1), *unused]
    model_file = internlm2_tokenizer_model() + b"".join(piece(*entry) for entry in spelling)
    checkpoint = write_internlm2(tmp_path / "src", tokenizer_model=model_file)
    converted = convert(checkpoint.folder, tmp_path / "model.gguf")
    encode = source_encoder(checkpoint.folder)
    with loaded(tmp_path / "model.gguf", vocab_only=True) as model:
        for text in ("<s>", "a</s>b", "x <s> y", "<|im_end|>", "</s></s>"):
            assert model.tokenize(text) == encode(text)
        assert model.is_eog(2)
    assert [note for note in converted.notes if "'<s>'" in note]
