"""The vocabulary of models with random weights makes prompts about as long as real ones make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.shapes import INTERNLM2_0_2B, write_header
from escl.core.bundled import bundled
from escl.core.card_file import load_cards
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.engine.llama import Model

pytestmark = pytest.mark.model


def test_cards_and_rubrics_are_as_many_tokens_as_in_real_vocabularies(tmp_path: Path) -> None:
    model = Model(write_header(tmp_path / "header.gguf", INTERNLM2_0_2B, "Q4_K_M"), gpu_layers=0, dry_run=True)
    protocol = load_protocol("open")
    for language, least, most in ((Language.ENGLISH, 3.5, 4.7), (Language.CHINESE, 1.4, 2.0)):
        cards = [card.problem for card in load_cards(bundled("role_cards")) if card.language is language]
        rubrics = [protocol.scorer_prompt(language, dimension, []).prefix for dimension in Dimension]
        for texts in (cards, rubrics):
            n_tokens = sum(model.tokenize(text.encode()).size for text in texts)
            assert least < sum(map(len, texts)) / n_tokens < most
    model.close()
