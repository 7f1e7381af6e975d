"""What the command asks for wins over a manifest; what it leaves open is the manifest's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from escl.core.dimension import Dimension, Language
from escl.core.sampling import Sampling
from escl.errors import UsageError
from escl.evaluation.engines import Engines
from escl.evaluation.run import Simulation, run_scoring
from escl.shelf.manifest import Model
from tests.evaluation.test_simulate import Silent
from tests.runs import CARD, PROTOCOL, begin

OWN = Sampling(temperature=0.9, max_tokens=96, top_k=7)
MODEL = Model(name="m", path=Path("m.gguf"), sha256="0" * 64, size_bytes=1, sampling=OWN)


def test_an_option_wins_over_the_supporters_manifest_and_leaves_the_seeker_alone() -> None:
    simulation = Simulation(protocol=PROTOCOL, cards=[CARD], seeker=MODEL, supporters=[MODEL], temperature=0.0)
    settings = simulation.settings("0" * 64)
    assert settings.supporters[0].sampling == Sampling(temperature=0.0, max_tokens=96, top_k=7)
    assert settings.seeker.sampling == OWN


def test_a_scorer_that_lacks_an_adapter_is_refused_before_it_reads(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.set_state(1, "speaking")
    store.set_state(1, "complete")
    adapters = {(Language.ENGLISH, dimension): (Path("a.gguf"), "0" * 64) for dimension in list(Dimension)[1:]}
    scorer = Model(name="s", path=Path("s.gguf"), sha256="0" * 64, size_bytes=1, adapters=adapters)

    async def main() -> None:
        engines = cast(Engines, None)  # None is asked for.
        await run_scoring(scorer, store, engines=engines, observer=Silent(), stop=asyncio.Event())

    with pytest.raises(UsageError, match="no adapter for en/fluency"):
        asyncio.run(main())
    store.close()
