"""The form of a new run and what opens from it look as they were last looked at, on a machine that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.memory.devices import Budget
from escl.tui.app import EsclApp
from escl.tui.offers import Offer, Offers
from tests.planning import GIB, HARDWARE
from tests.tui.driving import drive, type_keys, until
from tests.tui.test_snapshots import assert_looks_as_before, settled

OFFERS = Offers(
    supporters=(
        Offer(reference="my-model-Q4_K_M.gguf", kind="file", size_bytes=2 * GIB),
        Offer(reference="demo/curt", kind="supporter", size_bytes=3 << 20),
        Offer(reference="demo/warm", kind="supporter", size_bytes=3 << 20),
    ),
    seekers=("demo/seeker",),
    scorers=("demo/scorer",),
    protocols=("open",),
    rubrics=(),
)
STEPS = (
    ("pick-supporters", ("n", "enter", "j", "space", "j", "space"), "[x] demo/warm"),
    ("new-run", ("escape", "j", "j", "j", "l"), "16 of 42 cards"),
    ("pick-cards", ("k", "k", "enter"), "Age: "),
)
"""Each picture with the keys that lead there from the one before, and what is seen then."""


@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_a_new_run_looks_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    budget = Budget(host_bytes=14 * GIB, device_bytes=None, device=None, shares_ram=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("escl.tui.screens.home._models", lambda: (5, 8))
    monkeypatch.setattr("escl.memory.devices.probe_hardware", lambda: HARDWARE)
    monkeypatch.setattr("escl.memory.devices.budget_of", lambda hardware, **wishes: budget)
    monkeypatch.setattr("escl.tui.offers.offers_in", lambda folder: OFFERS)
    drawn: dict[str, str] = {}

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "models here: 5 of 8")
        for screen, keys, words in STEPS:
            for key in keys:
                await settled(app, pilot) if key == "enter" else None
                await type_keys(pilot, key)
            await until(app, pilot, words)
            drawn[screen] = await settled(app, pilot)

    drive(steps, size=size, theme=theme)
    for screen, picture in drawn.items():
        assert_looks_as_before(screen, picture, size=size, theme=theme)
