"""Ways to damage a checkpoint, for tests that expect it to be refused."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from escl.convert import OutType, convert
from escl.errors import EsclError
from tests.checkpoints import Checkpoint, Tensors, write_json, write_safetensors

Damage = Callable[[Checkpoint], None]


def refused(checkpoint: Checkpoint, out: Path, reason: str, *, outtype: OutType = "f16") -> EsclError:
    """Return the error of a conversion that must fail with `reason` and leave the folder `out` empty."""
    out.mkdir()
    with pytest.raises(EsclError, match=reason) as caught:
        convert(checkpoint.folder, out / "model.gguf", outtype=outtype)
    assert list(out.iterdir()) == []
    return caught.value


def configured(**changes: object) -> Damage:
    """Return the damage of other values in config.json; ... removes a key."""

    def damage(checkpoint: Checkpoint) -> None:
        config = checkpoint.config | changes
        write_json(checkpoint.folder / "config.json", {key: value for key, value in config.items() if value is not ...})

    return damage


def weights(change: Callable[[Tensors], object]) -> Damage:
    """Return the damage of other tensors in model.safetensors."""

    def damage(checkpoint: Checkpoint) -> None:
        tensors = dict(checkpoint.tensors)
        change(tensors)
        stored: Any = {name: ("F32", array) for name, array in tensors.items()}
        write_safetensors(checkpoint.folder / "model.safetensors", stored)

    return damage


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Return the damage of other entries in the header of model.safetensors; the data stays."""

    def damage(checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "model.safetensors"
        raw = path.read_bytes()
        (size,) = struct.unpack("<Q", raw[:8])
        entries = json.loads(raw[8 : 8 + size])
        change(entries)
        text = json.dumps(entries).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])

    return damage


def cut_to(share: float) -> Damage:
    def damage(checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "model.safetensors"
        os.truncate(path, int(path.stat().st_size * share))

    return damage


def poke(name: str, value: float) -> Damage:
    def change(tensors: Tensors) -> None:
        tensors[name] = tensors[name].copy()
        tensors[name].flat[5] = value

    return weights(change)


def indexed(change: Callable[[dict[str, str]], object]) -> Damage:
    """Return the damage of another weight_map; the checkpoint must have an index."""

    def damage(checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        change(index["weight_map"])
        write_json(path, index)

    return damage


def only_a_pickle(name: str) -> Damage:
    def damage(checkpoint: Checkpoint) -> None:
        (checkpoint.folder / "model.safetensors").unlink()
        (checkpoint.folder / name).write_bytes(pickle.dumps({"a": 1}))

    return damage


def broken_text(name: str, text: str | bytes) -> Damage:
    def damage(checkpoint: Checkpoint) -> None:
        raw = text.encode() if isinstance(text, str) else text
        (checkpoint.folder / name).write_bytes(raw)

    return damage


def without(name: str) -> Damage:
    return lambda checkpoint: (checkpoint.folder / name).unlink()


def tokenizer(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / "tokenizer.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return damage


def scaling(**table: object) -> Damage:
    return configured(rope_scaling=table)
