"""Tiny models, written once for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from escl.engine.chat import Chat
from escl.engine.llama import Model
from tests.tiny_gguf import Script, write_model

WriteModel = Callable[[str, Script], Path]
LoadModel = Callable[[str, Script], tuple[Model, Chat]]

MAX_PROMPT = 2048


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    """Return a function that writes a script's model once and returns its path; names stand for scripts."""
    folder = tmp_path_factory.mktemp("models")

    def write(name: str, script: Script) -> Path:
        path = folder / f"{name}.gguf"
        return path if path.exists() else write_model(path, script)

    return write


@pytest.fixture(scope="session")
def loaded(model_file: WriteModel) -> Iterator[LoadModel]:
    """Return a function that loads a script's model into this process once, with its chat format."""
    models: dict[str, tuple[Model, Chat]] = {}

    def load(name: str, script: Script) -> tuple[Model, Chat]:
        if name not in models:
            model = Model(model_file(name, script), gpu_layers=0)
            models[name] = model, Chat(model, frozen_time=0, max_tokens=MAX_PROMPT)
        return models[name]

    yield load
    for model, _ in models.values():
        model.close()
