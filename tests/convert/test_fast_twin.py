"""A SentencePiece vocabulary saved as tokenizer.json alone cuts text as that file does, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from escl.convert import convert
from escl.errors import ConvertError
from tests.decoder_checkpoints import ALL_WRITERS
from tests.llama_run import LoadedModel, loaded
from tests.toy_tokenizers import CORPUS, llama2_tokenizer_json

pytestmark = pytest.mark.model

Change = Callable[[dict[str, Any]], object]

WORDS = (*" ".join(CORPUS).split(" "), *("  ", "\n", "aaaa", "...", "🙂", "é", "\u2581", "12", "<s>", "</s>", "<0x0A>"))
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)


def checkpoint_with(folder: Path, tokenizer: str) -> Path:
    source = ALL_WRITERS["vicuna"](folder / "src").folder
    (source / "tokenizer.model").unlink()
    (source / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return source


@pytest.fixture(scope="module", params=[False, True], ids=["transformers 4", "transformers 5"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LoadedModel, Tokenizer]]:
    folder = tmp_path_factory.mktemp("twin")
    text = llama2_tokenizer_json(metaspace=request.param)
    notes = convert(checkpoint_with(folder, text), folder / "m.gguf").notes
    assert bool([note for note in notes if "a blank before every text" in note]) == request.param
    with loaded(folder / "m.gguf", vocab_only=True) as model:
        yield model, Tokenizer.from_str(json.dumps(json.loads(text) | {"added_tokens": []}))


@settings(max_examples=500, deadline=None)
@given(text=TEXTS)
def test_text_is_cut_as_by_the_file(pair: tuple[LoadedModel, Tokenizer], text: str) -> None:
    model, tokenizer = pair
    if tokenizer.normalizer is None:
        # transformers 5 puts no second blank before a text.
        text = text.lstrip(" \u2581")
    assert model.tokenize(text) == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["model"]["merges"].pop(3), "which SentencePiece would merge"),
        (lambda t: t["model"]["merges"].append(t["model"]["merges"][0]), "stand apart"),
        (lambda t: t["model"]["merges"].append(["q", "zzz"]), "not in vocab"),
        (lambda t: t["model"]["merges"].append(["q"]), "not a merge"),
        (lambda t: t["model"].update(ignore_merges=True), "ignore_merges"),
        (lambda t: t["model"].update(type="Unigram"), "no BPE with byte fallback"),
        (lambda t: t["model"]["vocab"].update(zzz=10_000), "0, 1, 2"),
        (lambda t: t["model"]["vocab"].update(zzz=5), "0, 1, 2"),
        (lambda t: t["model"]["vocab"].update(zzz="x"), "0, 1, 2"),
        (lambda t: t.update(normalizer={"type": "NFC"}), "normalizer and pre_tokenizer"),
        (lambda t: t.update(pre_tokenizer={"type": "ByteLevel"}), "normalizer and pre_tokenizer"),
    ],
)
def test_a_file_that_no_sentencepiece_model_gives_is_refused(tmp_path: Path, change: Change, reason: str) -> None:
    content = json.loads(llama2_tokenizer_json())
    change(content)
    source = checkpoint_with(tmp_path, json.dumps(content))
    with pytest.raises(ConvertError, match=reason):
        convert(source, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()
