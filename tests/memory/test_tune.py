"""The search keeps what is measurably best, spends no more time than it has, and says what it could not try."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import msgspec
import pytest

from escl.engine.trial import Measured, Probe
from escl.errors import EngineHungError, OutOfMemoryError
from escl.memory import tune as tune_module
from escl.memory.devices import Budget, Hardware
from escl.memory.tune import SEQUENCES, Trial, Tuned, stored_tuning, tune
from escl.memory.workload import Tokens
from tests.tiny_gguf import Script, write_model

HARDWARE = Hardware(
    devices=(),
    ram_total_bytes=1 << 34,
    ram_available_bytes=1 << 33,
    physical_cores=4,
    processor="Testium 3",
    llama_build="build 1",
)


class Machine:
    """A stand whose speeds are made up: `prefill` and `decode` return tokens a second; time is counted, not spent."""

    def __init__(self) -> None:
        self.now = 0.0
        self.load_s = 0.5
        self.asked: list[Probe] = []
        self._repacked: bool | None = None

    def prefill(self, probe: Probe) -> float:
        return 1000.0

    def decode(self, probe: Probe) -> float:
        return 50.0 * float(probe.sequences**0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def restart(self) -> None:
        self._repacked = None

    def probe(self, question: Probe, *, within_s: float) -> Measured:
        self.asked.append(question)
        load_s = None if self._repacked == question.setting.repack else self.load_s
        prefill_s = question.prompt_tokens / self.prefill(question)
        decode_s = question.sequences * question.steps / self.decode(question)
        taken = (load_s or 0.0) + prefill_s + decode_s
        if taken > within_s:
            self.now += within_s
            raise EngineHungError("too slow")
        self.now += taken
        self._repacked = question.setting.repack
        return Measured(load_s=load_s, prefill_s=prefill_s, decode_s=decode_s)


Tune = Callable[..., Tuned]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tune") / "tiny.gguf", Script())


@pytest.fixture
def tuned_on(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tune:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))

    def run(
        machine: Machine,
        *,
        hardware: Hardware = HARDWARE,
        device: str | None = None,
        gpu_layers: int = -1,
        budget: Budget | None = None,
        adapter: Path | None = None,
        on_trial: Callable[[Trial], None] | None = None,
    ) -> Tuned:
        monkeypatch.setattr(tune_module, "Stand", lambda _: machine)
        monkeypatch.setattr(tune_module, "time", SimpleNamespace(monotonic=lambda: machine.now))
        return tune(
            model,
            "0" * 64,
            hardware=hardware,
            device=device,
            gpu_layers=gpu_layers,
            budget=budget,
            adapter=adapter,
            on_trial=on_trial,
        )

    return run


def test_equal_settings_leave_the_plainest(tuned_on: Tune) -> None:
    tuned = tuned_on(Machine())
    assert tuned.complete
    assert tuned.settings == tuned.label_settings
    assert (tuned.settings.repack, tuned.settings.n_ubatch, tuned.settings.flash_attention) == (False, 512, None)
    assert tuned.rates.prefill_tps == pytest.approx(1000)
    assert tuned.rates.decode_tps == pytest.approx({count: 50 * count**0.5 for count in SEQUENCES})
    assert (tuned.rates.load_s, tuned.rates.source) == (0.5, "measured")


@pytest.mark.parametrize(("gain", "is_taken"), [(1.02, False), (1.2, True)])
def test_a_setting_is_taken_when_it_is_faster_than_chance(tuned_on: Tune, gain: float, is_taken: bool) -> None:
    class Repacking(Machine):
        def prefill(self, probe: Probe) -> float:
            return 1000 * gain if probe.setting.repack else 1000

        def decode(self, probe: Probe) -> float:
            return 50 * gain if probe.setting.repack else 50

    tuned = tuned_on(Repacking())
    assert (tuned.settings.repack, tuned.label_settings.repack) == (is_taken, is_taken)
    assert tuned.rates.prefill_tps == pytest.approx(1000 * gain if is_taken else 1000)


def test_a_setting_is_not_taken_because_others_were_slowed_for_a_moment(tuned_on: Tune) -> None:
    class Busy(Machine):
        def prefill(self, probe: Probe) -> float:
            alike = [one for one in self.asked if one.setting == probe.setting and one.prompt_tokens == 1024]
            return 800 if probe.prompt_tokens == 1024 and probe.setting.n_ubatch == 512 and len(alike) < 2 else 1000

    tuned = tuned_on(Busy())
    assert tuned.label_settings.n_ubatch == 512
    assert {trial.settings.n_ubatch for trial in tuned.trials} == {256, 512, 1024}


def test_reading_and_writing_may_want_different_settings(tuned_on: Tune) -> None:
    class Split(Machine):
        def prefill(self, probe: Probe) -> float:
            return (700 if probe.setting.repack else 1000) * (1.5 if probe.setting.n_ubatch == 1024 else 1)

        def decode(self, probe: Probe) -> float:
            return 90 if probe.setting.repack else 40

    tuned = tuned_on(Split())
    assert tuned.settings.repack
    assert (tuned.label_settings.repack, tuned.label_settings.n_ubatch) == (False, 1024)
    assert tuned.settings_for("labels") == tuned.label_settings
    assert tuned.settings_for("dialogue") == tuned.settings
    assert tuned.rates_for("labels").prefill_tps == pytest.approx(1500)
    assert tuned.rates_for("dialogue").prefill_tps == pytest.approx(700)
    assert tuned.rates_for("dialogue").decode_tps[16] == pytest.approx(90)


def test_attention_as_stored_is_taken_where_it_is_faster(tuned_on: Tune) -> None:
    class Plain(Machine):
        def prefill(self, probe: Probe) -> float:
            return 1300 if probe.setting.flash_attention is False else 1000

    tuned = tuned_on(Plain())
    assert (tuned.label_settings.flash_attention, tuned.settings.flash_attention) == (False, None)


def test_what_a_longer_context_and_drawing_a_token_cost_is_measured(tuned_on: Tune) -> None:
    class Attentive(Machine):
        def decode(self, probe: Probe) -> float:
            return 1 / (0.02 + 1e-5 * probe.prompt_tokens)

        def prefill(self, probe: Probe) -> float:
            # Labels have other settings, with which nothing was decoded.
            return 1500 if probe.setting.n_ubatch == 1024 else 1000

        def probe(self, question: Probe, *, within_s: float) -> Measured:
            measured = super().probe(question, within_s=within_s)
            return msgspec.structs.replace(measured, draw_s=0.003 if question.steps else None)

    tuned = tuned_on(Attentive())
    rates = tuned.rates
    assert tuned.label_rates.context == rates.context
    assert rates.cached_s == pytest.approx(1e-5)
    assert (rates.context, rates.draw_s) == (128, 0.003)
    tokens = Tokens(decode=10, attended=10 * 2128)
    assert rates.decode_s(tokens, 8) == pytest.approx(10 * (0.02 + 1e-5 * 2128 + 0.003))


def test_what_an_adapter_costs_is_measured_where_there_is_one(tuned_on: Tune) -> None:
    class Slower(Machine):
        def prefill(self, probe: Probe) -> float:
            return 700 if probe.adapter is not None else 1000

    with_adapter = tuned_on(Slower(), adapter=Path("adapter.gguf"))
    assert with_adapter.label_rates.adapter_share == pytest.approx(0.7)
    assert with_adapter.label_rates.prefill_tps == pytest.approx(1000)
    assert with_adapter.label_settings == tuned_on(Machine()).label_settings
    assert tuned_on(Machine()).label_rates.adapter_share == 0.85


def test_the_start_of_the_process_is_part_of_a_load(tuned_on: Tune) -> None:
    class Sleepy(Machine):
        def probe(self, question: Probe, *, within_s: float) -> Measured:
            if not self.asked:
                self.now += 0.7
            return super().probe(question, within_s=within_s)

    assert tuned_on(Sleepy()).rates.load_s == pytest.approx(0.5 + 0.7)


def test_every_measurement_has_all_cores_as_engines_that_take_turns_have(tuned_on: Tune) -> None:
    tuned = tuned_on(Machine())
    assert {trial.threads for trial in tuned.trials} == {HARDWARE.physical_cores}
    assert (tuned.settings.threads, tuned.label_settings.threads) == (None, None)


@pytest.mark.parametrize("tokens_a_second", [25, 200, 3000])
def test_the_time_is_kept_whatever_the_models_speed(tuned_on: Tune, tokens_a_second: float) -> None:
    class Slow(Machine):
        def prefill(self, probe: Probe) -> float:
            return tokens_a_second

        def decode(self, probe: Probe) -> float:
            return tokens_a_second / 8

    machine = Slow()
    tuned = tuned_on(machine)
    assert tuned.seconds <= 20
    assert machine.now <= 20
    assert tuned.rates.prefill_tps == pytest.approx(tokens_a_second)
    assert max(probe.prompt_tokens for probe in machine.asked) <= max(16, tokens_a_second * 20 / 9)
    assert tuned.complete == (tokens_a_second >= 200)


def test_what_plans_need_is_known_when_the_time_is_up_with_a_larger_model(tuned_on: Tune) -> None:
    class Larger(Machine):
        def prefill(self, probe: Probe) -> float:
            return 200 if probe.setting.repack else 400

        def decode(self, probe: Probe) -> float:
            # About as a model of 1.5B on 4 cores.
            return probe.sequences / (0.022 + 0.004 * probe.sequences)

    machine = Larger()
    machine.load_s = 3
    tuned = tuned_on(machine)
    assert not tuned.complete
    assert tuned.rates.decode_tps.keys() >= {1, 16, 32}
    assert tuned.rates.decode_tps_at(32) > 2 * tuned.rates.decode_tps_at(4)


def test_a_model_that_is_never_ready_is_said_to_be_so(tuned_on: Tune) -> None:
    machine = Machine()
    machine.load_s = 60
    with pytest.raises(EngineHungError, match="too slow to be measured within 20 s"):
        tuned_on(machine)


def test_a_model_that_reads_in_time_and_never_writes_gets_no_tuning(tuned_on: Tune) -> None:
    class Silent(Machine):
        def decode(self, probe: Probe) -> float:
            return 0.01

    with pytest.raises(EngineHungError, match="too slow to be measured within 20 s"):
        tuned_on(Silent())
    assert stored_tuning("0" * 64, hardware=HARDWARE, device=None) is None


def test_a_model_that_cannot_be_loaded_fails_as_it_does_elsewhere(tuned_on: Tune) -> None:
    class Broken(Machine):
        def probe(self, question: Probe, *, within_s: float) -> Measured:
            raise OutOfMemoryError("no room")

    with pytest.raises(OutOfMemoryError, match="no room"):
        tuned_on(Broken())


def test_a_setting_that_does_not_fit_is_noted_and_the_rest_is_tried(tuned_on: Tune) -> None:
    class Tight(Machine):
        def probe(self, question: Probe, *, within_s: float) -> Measured:
            if question.setting.repack:
                raise OutOfMemoryError("no room for a second copy")
            return super().probe(question, within_s=within_s)

    tuned = tuned_on(Tight())
    assert not tuned.settings.repack
    assert tuned.complete
    assert {trial.failed for trial in tuned.trials if trial.settings.repack} == {"no room for a second copy"}
    assert set(tuned.rates.decode_tps) == set(SEQUENCES)


def no_room(tuned: Tuned) -> set[int]:
    return {trial.sequences for trial in tuned.trials if trial.failed and trial.steps}


def test_what_the_budget_has_no_room_for_is_noted_and_not_tried(tuned_on: Tune) -> None:
    # Eight dialogues of the tiny model take 62.8 MB by the estimate, sixteen 66.4 MB.
    machine = Machine()
    main_memory = Budget(host_bytes=64_000_000, device_bytes=None, device=None, shares_ram=False)
    tuned = tuned_on(machine, budget=main_memory)
    assert set(tuned.rates.decode_tps) == {1, 4, 8} == {probe.sequences for probe in machine.asked}
    # Four have no room behind the long context.
    assert no_room(tuned) == {4, 16, 32}
    assert tuned.rates.cached_s > 0
    assert tuned.complete


def test_a_devices_memory_is_a_limit_too(tuned_on: Tune) -> None:
    # On a device eight dialogues take 537.8 MB there, its context included, and 365.9 MB of main memory.
    card = Budget(host_bytes=1 << 30, device_bytes=540_000_000, device="CUDA0", shares_ram=False)
    assert no_room(tuned_on(Machine(), device="CUDA0", budget=card)) == {4, 16, 32}
    shared = Budget(host_bytes=905_000_000, device_bytes=905_000_000, device="MTL0", shares_ram=True)
    assert no_room(tuned_on(Machine(), device="MTL0", budget=shared)) == {4, 16, 32}


def test_a_model_that_there_is_no_room_for_is_not_loaded(tuned_on: Tune) -> None:
    machine = Machine()
    full = msgspec.structs.replace(HARDWARE, ram_available_bytes=1 << 20)
    with pytest.raises(OutOfMemoryError, match="of RAM needed"):
        tuned_on(machine, hardware=full)
    assert machine.asked == []
    unknown = msgspec.structs.replace(HARDWARE, ram_available_bytes=None)
    assert tuned_on(machine, hardware=unknown).complete


def test_no_layers_on_a_device_are_the_processors_tuning(tuned_on: Tune) -> None:
    machine = Machine()
    tuned = tuned_on(machine, device="CUDA0", gpu_layers=0)
    assert (tuned.device, tuned.gpu_layers) == (None, 0)
    assert {probe.setting.device for probe in machine.asked} == {"cpu"}
    assert stored_tuning("0" * 64, hardware=HARDWARE, device=None) == tuned


def test_some_layers_on_a_device_leave_the_tuning_of_all_alone(tuned_on: Tune) -> None:
    every, some = (tuned_on(Machine(), device="CUDA0", gpu_layers=layers) for layers in (-1, 2))
    assert stored_tuning("0" * 64, hardware=HARDWARE, device="CUDA0") == every
    assert stored_tuning("0" * 64, hardware=HARDWARE, device="CUDA0", gpu_layers=2) == some


def test_with_all_layers_on_a_device_the_cpus_settings_are_left_alone(tuned_on: Tune) -> None:
    machine = Machine()
    tuned = tuned_on(machine, device="CUDA0")
    assert {(probe.setting.device, probe.setting.gpu_layers) for probe in machine.asked} == {("CUDA0", -1)}
    assert {(probe.setting.repack, probe.setting.threads) for probe in machine.asked} == {(False, 4)}
    assert (tuned.device, tuned.gpu_layers) == ("CUDA0", -1)


def test_every_trial_is_shown(tuned_on: Tune) -> None:
    shown: list[Trial] = []
    assert list(tuned_on(Machine(), on_trial=shown.append).trials) == shown
