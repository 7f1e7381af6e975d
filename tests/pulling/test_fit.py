"""The quantization that is made is the largest that leaves room for whom the model works with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from escl.convert.dimensions import Dimensions
from escl.memory.devices import Budget
from escl.pulling.fit import CANDIDATES, choose_quantization, quantized_bytes, read_sizes
from escl.shelf.manifest import ModelRole
from tests.checkpoints import write_internlm2, write_json, write_qwen2

GIB = 1 << 30


def sizes(folder: Path, writer: object = write_qwen2) -> tuple[Dimensions, int]:
    """Return the dimensions of a small model, and the weights of a 7B one."""
    write_internlm2(folder) if writer is write_internlm2 else write_qwen2(folder)
    dimensions, _ = read_sizes(folder, 0)
    return dimensions, 7_700_000_000


def budget(gib: float, device: float | None = None) -> Budget:
    on_device = None if device is None else int(device * GIB)
    name = None if device is None else "CUDA0"
    return Budget(host_bytes=int(gib * GIB), device_bytes=on_device, device=name, shares_ram=False)


@pytest.mark.parametrize(
    ("gib", "role", "chosen"),
    [
        (20, ModelRole.SUPPORTER, "Q8_0"),
        (16, ModelRole.SUPPORTER, "Q6_K"),
        (12, ModelRole.SEEKER, "Q5_K_M"),
        (11, ModelRole.SEEKER, "Q4_K_M"),
        (2, ModelRole.SEEKER, "Q4_K_M"),
        (11, ModelRole.SCORER, "Q8_0"),
        (6, ModelRole.SCORER, "Q5_K_M"),
        (3, ModelRole.SCORER, "Q4_K_M"),
    ],
)
def test_who_talks_with_another_gets_half_of_the_room_and_a_scorer_all_of_it(
    tmp_path: Path, gib: float, role: ModelRole, chosen: str
) -> None:
    dimensions, n_weights = sizes(tmp_path / "src")
    fit = choose_quantization(dimensions, n_weights, role=role, budget=budget(gib))
    assert fit.quantization == chosen
    assert ("half of" in fit.reason) == (role is not ModelRole.SCORER)


def test_a_choice_fits_and_the_next_larger_does_not(tmp_path: Path) -> None:
    dimensions, n_weights = sizes(tmp_path / "src")
    for gib in range(6, 24):
        fit = choose_quantization(dimensions, n_weights, role=ModelRole.SCORER, budget=budget(gib))
        at = CANDIDATES.index(fit.quantization)
        assert quantized_bytes(n_weights, fit.quantization) < gib * GIB
        assert at == 0 or quantized_bytes(n_weights, CANDIDATES[at - 1]) + GIB > gib * GIB


def test_with_an_accelerator_its_memory_counts(tmp_path: Path) -> None:
    dimensions, n_weights = sizes(tmp_path / "src")
    fit = choose_quantization(dimensions, n_weights, role=ModelRole.SCORER, budget=budget(64, device=6))
    assert fit.quantization == "Q5_K_M"


def test_weights_are_counted_by_the_width_that_the_configuration_states(tmp_path: Path) -> None:
    write_qwen2(tmp_path / "src")
    assert read_sizes(tmp_path / "src", 1000)[1] == 500
    path = tmp_path / "src" / "config.json"
    write_json(path, json.loads(path.read_text()) | {"torch_dtype": "float32"})
    assert read_sizes(tmp_path / "src", 1000)[1] == 250
    config = json.loads(path.read_text())
    del config["torch_dtype"]
    write_json(path, config | {"dtype": "float32"})
    assert read_sizes(tmp_path / "src", 1000)[1] == 250
