"""What the user wants of the machine is done or refused, never passed over; measuring that fails costs a note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from escl.cli.planning import Wishes, fixed_by, machine_and_budget, measure_unknown
from escl.engine.wire import EngineSpec
from escl.errors import EngineHungError, EsclError, GGUFError, OutOfMemoryError, UsageError
from escl.memory import devices
from escl.memory import tune as tune_module
from escl.memory.devices import Budget, Device, Hardware
from escl.memory.plan import Plan
from escl.shelf.manifest import Model
from tests.memory.test_plan import plan
from tests.planning import GIB, cpu

CARD = Device(
    name="CUDA0",
    backend="CUDA",
    description="A card",
    kind="gpu",
    total_bytes=24 * GIB,
    free_bytes=20 * GIB,
    shares_ram=False,
)
BARE = Hardware(
    devices=(),
    ram_total_bytes=32 * GIB,
    ram_available_bytes=16 * GIB,
    physical_cores=8,
    processor="made up",
    llama_build="b",
)
WITH_CARD = msgspec.structs.replace(BARE, devices=(CARD,))

Found = Callable[[Hardware], None]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    return lambda hardware: monkeypatch.setattr(devices, "probe_hardware", lambda: hardware)


def test_no_layers_on_the_accelerator_leave_it_alone(found: Found) -> None:
    found(WITH_CARD)
    assert machine_and_budget(Wishes())[1].device == "CUDA0"
    budget = machine_and_budget(Wishes(gpu_layers=0, memory="8GiB"))[1]
    assert (budget.device, budget.device_bytes, budget.host_bytes) == (None, None, 8 * GIB - int(8 * GIB * 0.05))


def test_what_the_user_fixed_reaches_the_plan() -> None:
    fixed = fixed_by(Wishes(kv_type="q8_0", named_only=True, ctx=512), strict=False)
    assert (fixed.kv_type, fixed.named_only, fixed.ctx, fixed.strict) == ("q8_0", True, 512, False)


@pytest.mark.parametrize("layers", [-1, 20])
def test_layers_for_the_processor_are_a_contradiction(found: Found, layers: int) -> None:
    found(WITH_CARD)
    with pytest.raises(UsageError, match=f"--gpu-layers {layers} and --device cpu contradict"):
        machine_and_budget(Wishes(gpu_layers=layers, device="CPU"))
    assert machine_and_budget(Wishes(gpu_layers=0, device="cpu"))[1].device is None


@pytest.mark.parametrize(("hardware", "is_noted"), [(BARE, True), (WITH_CARD, False)])
def test_layers_without_an_accelerator_are_said_to_have_no_effect(
    found: Found, capsys: pytest.CaptureFixture[str], hardware: Hardware, is_noted: bool
) -> None:
    found(hardware)
    machine_and_budget(Wishes(gpu_layers=20))
    assert ("--gpu-layers 20 has no effect" in capsys.readouterr().err) == is_noted


# Measuring before a run


class Tuner:
    """Stands for tuning: fails as told, and notes which budget it was given."""

    def __init__(self, error: EsclError | None) -> None:
        self.error = error
        self.budgets: list[Budget] = []

    def __call__(self, model: Path, sha256: str, *, budget: Budget, **_: object) -> None:
        self.budgets.append(budget)
        if self.error is not None:
            raise self.error


@pytest.fixture
def tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[EsclError | None], Tuner]:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))

    def fail_with(error: EsclError | None) -> Tuner:
        tuner = Tuner(error)
        monkeypatch.setattr(tune_module, "tune", tuner)
        return tuner

    return fail_with


def cast(made: Plan) -> list[Model]:
    """Return the models of a plan with made-up hashes."""
    specs: dict[str, EngineSpec] = {engine.name: engine.spec for engine in made.best().engines}
    return [
        Model(name=name, path=Path(spec.model), sha256=f"{number}" * 64, size_bytes=1)
        for number, (name, spec) in enumerate(specs.items())
    ]


def test_every_model_is_measured_within_the_plans_budget(tuning: Callable[[EsclError | None], Tuner]) -> None:
    made, tuner = plan(cpu(48)), tuning(None)
    assert measure_unknown(cast(made), made, BARE, cpu(48))
    assert tuner.budgets == [cpu(48)] * len(made.assumed) != []


@pytest.mark.parametrize("error", [GGUFError("no such size"), OutOfMemoryError("no room"), EngineHungError("too slow")])
def test_what_cannot_be_measured_is_said_and_the_run_goes_on(
    tuning: Callable[[EsclError | None], Tuner], capsys: pytest.CaptureFixture[str], error: EsclError
) -> None:
    made, tuner = plan(cpu(48)), tuning(error)
    assert not measure_unknown(cast(made), made, BARE, cpu(48))
    assert len(tuner.budgets) == capsys.readouterr().err.count(f"not measured: {error.message}") == len(made.assumed)


def test_only_a_model_that_was_too_slow_is_not_measured_a_second_time(
    tuning: Callable[[EsclError | None], Tuner], capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan(cpu(48))
    for error, again in ((OutOfMemoryError("no room"), True), (EngineHungError("too slow"), False)):
        tuner = tuning(error)
        for _ in range(2):
            measure_unknown(cast(made), made, BARE, cpu(48))
        assert len(tuner.budgets) == len(made.assumed) * (2 if again else 1)
    assert "escl tune --seconds 120" in capsys.readouterr().err
    elsewhere = msgspec.structs.replace(BARE, llama_build="another")
    tuner = tuning(None)
    assert measure_unknown(cast(made), made, elsewhere, cpu(48))
    assert len(tuner.budgets) == len(made.assumed)
