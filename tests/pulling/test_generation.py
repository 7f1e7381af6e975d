"""A checkpoint's own generation settings become ours as Hugging Face's `generate` would take them."""

from __future__ import annotations

from pathlib import Path

import pytest

from escl.core.sampling import Sampling
from escl.pulling.generation import sampling_of
from tests.checkpoints import write_json


@pytest.mark.parametrize(
    ("content", "sampling"),
    [
        (
            {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.05},
            Sampling(temperature=0.6, top_p=0.9, top_k=20, repeat_penalty=1.05),
        ),
        ({"do_sample": True}, Sampling(temperature=1.0, top_p=1.0, top_k=50, repeat_penalty=1.0)),
        (
            {"temperature": 0.6, "repetition_penalty": 1.1},
            Sampling(temperature=0.0, top_p=1.0, top_k=0, repeat_penalty=1.1),
        ),
        ({"do_sample": True, "temperature": "hot"}, None),
        ({"do_sample": 1}, None),
    ],
)
def test_what_the_file_says_and_leaves_out_is_taken(
    tmp_path: Path, content: dict[str, object], sampling: Sampling | None
) -> None:
    write_json(tmp_path / "generation_config.json", content)
    assert sampling_of(tmp_path) == sampling


def test_without_the_file_nothing_is_known(tmp_path: Path) -> None:
    assert sampling_of(tmp_path) is None
