"""What the command asks for wins over a manifest; what it leaves open is the manifest's."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import cast

import msgspec
import pytest
from msgspec import structs

from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.sampling import Sampling
from escl.core.settings import SpeakerSettings, fingerprint
from escl.core.wording import SamplingDefaults
from escl.errors import UsageError
from escl.evaluation.engines import Engines
from escl.evaluation.run import Simulation, Supporter, run_scoring
from escl.shelf.manifest import Model, find_model
from escl.supporters.outside import EndpointSupporter
from tests.evaluation.test_simulate import Silent
from tests.runs import CARD, PROTOCOL, begin

ROOT = Path(__file__).parents[2]
OWN = Sampling(temperature=0.9, max_tokens=96, top_k=7)
OWN_MODEL = Model(name="own", path=Path("own.gguf"), sha256="1" * 64, size_bytes=1, sampling=OWN)
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


def test_what_neither_command_nor_manifest_says_is_the_protocols() -> None:
    defaults = {
        Speaker.SEEKER: SamplingDefaults(max_tokens=40),
        Speaker.SUPPORTER: SamplingDefaults(max_tokens=256, temperature=0.0),
    }
    protocol = structs.replace(PROTOCOL, sampling=defaults)
    plain = structs.replace(MODEL, sampling=None)
    elsewhere = EndpointSupporter(name="e", url="http://127.0.0.1:1/v1", model="m", system_prompt="Be brief.")
    simulation = Simulation(protocol=protocol, cards=[CARD], seeker=plain, supporters=[plain, elsewhere, OWN_MODEL])
    settings = simulation.settings("0" * 64)
    assert settings.seeker.sampling == Sampling(max_tokens=40)
    expected = Sampling(max_tokens=256, temperature=0.0)
    assert [one.sampling for one in settings.supporters] == [expected, expected, OWN]


def test_the_settings_say_what_a_supporter_elsewhere_is_and_leave_models_as_they_were() -> None:
    elsewhere = EndpointSupporter(name="e", url="http://127.0.0.1:1/v1", model="m", system_prompt="Be brief.")
    other_port = structs.replace(elsewhere, url="http://127.0.0.1:2/v1")
    kinder = structs.replace(elsewhere, system_prompt="Be kind.")
    dialect = structs.replace(elsewhere, dialect="openai")
    faster = structs.replace(elsewhere, concurrency=9, timeout_s=1.0, key_env="A_API_KEY")

    def print_of(supporter: Supporter) -> str:
        simulation = Simulation(protocol=PROTOCOL, cards=[CARD], seeker=MODEL, supporters=[supporter])
        return fingerprint(simulation.settings("0" * 64))

    assert len({print_of(one) for one in (elsewhere, other_port, kinder, dialect)}) == 4
    assert print_of(elsewhere) == print_of(faster)
    as_before = msgspec.json.decode(msgspec.json.encode(SpeakerSettings(name="m", sha256="0", sampling=OWN)))
    assert as_before.keys() == {"name", "sha256", "sampling"}


@pytest.mark.parametrize(("are_files", "hint"), [(True, "rename one of the files"), (False, "in a TOML file")])
def test_two_of_one_name_are_refused_with_a_way_out_that_exists(*, are_files: bool, hint: str) -> None:
    elsewhere = EndpointSupporter(name=MODEL.name, url="http://127.0.0.1:1/v1", model="m")
    both: list[Supporter] = [MODEL, MODEL if are_files else elsewhere]
    simulation = Simulation(protocol=PROTOCOL, cards=[CARD], seeker=MODEL, supporters=both)
    with pytest.raises(UsageError, match=f"two supporters are named {MODEL.name}") as refused:
        simulation.settings("0" * 64)
    assert hint in (refused.value.hint or "")


def test_a_models_manifest_may_hold_its_own_system_prompt(tmp_path: Path) -> None:
    shutil.copy(ROOT / "gguf/demo/curt.gguf", tmp_path)
    manifest = (ROOT / "gguf/demo/curt.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(f'system_prompt = "Be brief."\n{manifest}', encoding="utf-8")
    model = find_model(str(tmp_path / "mine.toml"))
    simulation = Simulation(protocol=PROTOCOL, cards=[CARD], seeker=MODEL, supporters=[model, MODEL])
    assert [one.system_prompt for one in simulation.settings("0" * 64).supporters] == ["Be brief.", None]
