"""What a plan chooses from is what lies on the shelf, with the rates that were measured here, else assumed ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from benchmarks.shapes import TINY, TINY_SCORER, write_adapter_header, write_header
from escl.core.bundled import bundled
from escl.core.card_file import load_cards
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.errors import GGUFError, UsageError
from escl.memory import choices
from escl.memory.choices import UNTUNED, choose_from, other_quantizations
from escl.memory.devices import Budget
from escl.memory.plan import Fixed, make_plan, plan_for
from escl.memory.rates import Rates, assumed_rates
from escl.memory.tuning_store import EngineSettings, Tuned, machine_of, store_tuning
from escl.memory.workload import Reply, Workload, scoring_workload, workload_of
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import LocatedModel
from tests.planning import HARDWARE, cpu, gpu, workload

ENGLISH = [Language.ENGLISH]


def located(path: Path, *, sha256: str | None = None) -> LocatedModel:
    return LocatedModel(name=path.stem, path=path, sha256=sha256)


def measured(sha256: str, *, device: str | None = None, gpu_layers: int = 0) -> Tuned:
    def rates(prefill_tps: float) -> Rates:
        return Rates(prefill_tps=prefill_tps, decode_tps={1: 10.0, 8: 40.0}, load_s=2.0, source="measured")

    return Tuned(
        sha256=sha256,
        machine=machine_of(HARDWARE),
        device=device,
        gpu_layers=gpu_layers,
        llama_build=HARDWARE.llama_build,
        measured_utc="2025-01-01T00:00:00Z",
        settings=EngineSettings(repack=True, n_ubatch=256, threads=3),
        rates=rates(100.0),
        label_settings=EngineSettings(repack=False, n_ubatch=1024),
        label_rates=rates(150.0),
        trials=(),
        seconds=9.0,
        complete=True,
    )


@pytest.fixture(autouse=True)
def _own_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("m-Q4_K_M.gguf", {"m-IQ4_XS.gguf", "m.q8_0.gguf", "m-F16.gguf"}),
        ("m-IQ4_XS.gguf", {"m-Q4_K_M.gguf", "m.q8_0.gguf", "m-F16.gguf"}),
        ("m2-Q4_K_M.gguf", set()),
        ("adapter.gguf", set()),
    ],
)
def test_other_quantizations_differ_in_the_names_end_only(tmp_path: Path, name: str, others: set[str]) -> None:
    for each in ("m-Q4_K_M", "m-IQ4_XS", "m.q8_0", "m-F16", "m2-Q4_K_M", "m-chat-Q4_K_M", "adapter", "m"):
        (tmp_path / f"{each}.gguf").touch()
    assert {path.name for path in other_quantizations(tmp_path / name)} == others


def test_a_file_of_another_shape_or_a_broken_one_is_no_quantization_of_the_model(tmp_path: Path) -> None:
    named = write_header(tmp_path / "m-Q4_K_M.gguf", TINY, "Q4_K_M")
    write_header(tmp_path / "m-Q8_0.gguf", TINY, "Q8_0")
    write_header(tmp_path / "m-Q6_K.gguf", TINY_SCORER, "Q6_K")
    (tmp_path / "m-F16.gguf").write_bytes(b"GGUF and nothing more")
    chosen = choose_from(located(named), "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    assert [file.path.name for file in chosen.files] == ["m-Q4_K_M.gguf", "m-Q8_0.gguf"]


def with_heads(path: Path, n_head: int, *, n_embd: int) -> GGUFHeader:
    """Return a file's header with other sizes; its tensors are as they were."""
    header = read_gguf_header(path)
    name = header.architecture
    sizes = {f"{name}.attention.head_count": n_head, f"{name}.embedding_length": n_embd}
    return msgspec.structs.replace(header, metadata=header.metadata | sizes)


def test_a_file_whose_sizes_cannot_be_is_no_quantization_of_the_model_and_an_error_when_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write_header(tmp_path / "m-Q4_K_M.gguf", TINY, "Q4_K_M")
    hostile = write_header(tmp_path / "m-Q8_0.gguf", TINY, "Q8_0")
    headers = {named: read_gguf_header(named), hostile: with_heads(hostile, 2, n_embd=1)}
    monkeypatch.setattr(choices, "read_gguf_header", headers.__getitem__)
    chosen = choose_from(located(named), "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    assert [file.path for file in chosen.files] == [named]
    with pytest.raises(GGUFError, match=r"m-Q8_0\.gguf: .*head_count"):
        choose_from(located(hostile), "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)


def test_an_adapter_whose_matrix_is_a_row_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_header(tmp_path / "m.gguf", TINY_SCORER, "Q4_K_M")
    adapter = write_adapter_header(tmp_path / "a.gguf", TINY_SCORER)
    header = read_gguf_header(adapter)
    rows = tuple(msgspec.structs.replace(tensor, shape=tensor.shape[:1]) for tensor in header.tensors)
    broken = msgspec.structs.replace(header, tensors=rows)
    monkeypatch.setattr(choices, "read_gguf_header", {path: read_gguf_header(path), adapter: broken}.__getitem__)
    model = LocatedModel(
        name="m", path=path, sha256=None, adapters={(Language.ENGLISH, dimension): adapter for dimension in Dimension}
    )
    with pytest.raises(GGUFError, match=r"a\.gguf: .*lora_a"):
        choose_from(model, "scorer", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)


def test_a_model_without_attention_has_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_header(tmp_path / "m.gguf", TINY, "Q4_K_M")
    header = with_heads(path, 0, n_embd=256)
    monkeypatch.setattr(choices, "read_gguf_header", {path: header}.__getitem__)
    model = located(path)
    best = plan_for(model, [model], None, workload=workload(), budget=cpu(8), hardware=HARDWARE).best()
    assert best.fits
    assert best.peak_host.compute > 256 << 20


def test_two_supporters_of_one_name_have_no_plan(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    tested = [located(write_header(tmp_path / folder / "m.gguf", TINY, "Q4_K_M")) for folder in ("a", "b")]
    with pytest.raises(UsageError, match="two supporters are named m"):
        plan_for(tested[0], tested, None, workload=workload(), budget=cpu(8), hardware=HARDWARE)


def test_a_named_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    adapter = write_adapter_header(tmp_path / "a.gguf", TINY)
    with pytest.raises(GGUFError, match="not a model"):
        choose_from(located(adapter), "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)


def test_measured_settings_and_rates_are_used_and_the_scorer_gets_its_own(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"m").hexdigest()
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"), sha256=sha256)
    store_tuning(measured(sha256), hardware=HARDWARE)
    (speaking,) = choose_from(model, "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE).files
    (reading,) = choose_from(model, "scorer", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE).files
    assert (speaking.on_cpu.rates.prefill_tps, reading.on_cpu.rates.prefill_tps) == (100.0, 150.0)
    seeker = choose_from(model, "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    supporter = choose_from(model, "supporter", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    scorer = choose_from(model, "scorer", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    made = make_plan([seeker, supporter, scorer], workload(), cpu(8))
    assert made.assumed == ()
    specs = {engine.role: engine.spec for engine in made.best().engines}
    assert (specs["seeker"].repack, specs["seeker"].n_ubatch, specs["seeker"].n_batch) == (True, 256, 512)
    assert (specs["scorer"].repack, specs["scorer"].n_ubatch, specs["scorer"].n_batch) == (False, 1024, 1024)


def test_a_model_that_stays_on_the_processor_is_measured_there_whatever_device_there_is(tmp_path: Path) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"), sha256="2" * 64)
    store_tuning(measured("2" * 64), hardware=HARDWARE)

    def assumed(gpu_layers: int) -> tuple[str, ...]:
        return plan_for(
            model,
            [model],
            None,
            workload=workload(),
            budget=gpu(8),
            hardware=HARDWARE,
            fixed=Fixed(gpu_layers=gpu_layers),
        ).assumed

    assert assumed(0) == ()
    assert assumed(2) == assumed(-1) == ("m",)


def test_without_a_measurement_rates_are_assumed_and_said_to_be(tmp_path: Path) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"), sha256="0" * 64)
    chosen = choose_from(model, "seeker", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    (file,) = chosen.files
    assert file.on_cpu.settings == UNTUNED
    assert file.on_cpu.rates == assumed_rates(file.header, place="cpu", cores=HARDWARE.physical_cores)
    asked = choose_from(model, "supporter", languages=ENGLISH, budget=cpu(8), hardware=HARDWARE)
    assert make_plan([chosen, asked], workload(), cpu(8)).assumed == ("m",)


@pytest.mark.parametrize(("layers", "source"), [(-1, "measured"), (1, "assumed")])
def test_what_was_measured_with_layers_elsewhere_is_not_the_devices_rate(
    tmp_path: Path, layers: int, source: str
) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"), sha256="1" * 64)
    store_tuning(measured("1" * 64, device="CUDA0", gpu_layers=layers), hardware=HARDWARE)
    (file,) = choose_from(model, "seeker", languages=ENGLISH, budget=gpu(8), hardware=HARDWARE).files
    assert file.n_layers == 3
    assert file.on_device is not None
    assert file.on_device.rates.source == source


def test_a_scorer_loads_the_adapters_of_the_languages_that_are_played(tmp_path: Path) -> None:
    path = write_header(tmp_path / "m.gguf", TINY_SCORER, "Q4_K_M")
    adapter = write_adapter_header(tmp_path / "a.gguf", TINY_SCORER)
    keys = [(language, dimension) for language in Language for dimension in Dimension]
    model = LocatedModel(name="m", path=path, sha256=None, adapters=dict.fromkeys(keys, adapter))
    work = workload_of(load_cards(bundled("role_cards")), load_protocol("open"), rounds=5)
    english = msgspec.structs.replace(work, languages=work.languages[:1])

    def adapters(played: Workload) -> set[str]:
        made = plan_for(None, [], model, workload=played, budget=cpu(8), hardware=HARDWARE)
        return set(made.best().engines[0].spec.adapters)

    assert adapters(work) == {f"{language.value}/{dimension.value}" for language, dimension in keys}
    assert adapters(english) == {f"en/{dimension.value}" for dimension in Dimension}


def test_with_nothing_to_score_there_is_still_a_plan(tmp_path: Path) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY_SCORER, "Q4_K_M"))
    nothing = scoring_workload({}, load_protocol("open"))
    best = plan_for(None, [], model, workload=nothing, budget=cpu(8), hardware=HARDWARE).best()
    assert best.seconds.scoring == 0
    assert [engine.spec.slots for engine in best.engines] == [1]


def test_a_reply_limit_of_the_user_counts_for_supporters_only(tmp_path: Path) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"))

    def decoding_s(max_tokens: int | None) -> float:
        made = plan_for(
            model,
            [model],
            None,
            workload=workload(),
            budget=cpu(8),
            hardware=HARDWARE,
            fixed=Fixed(parallel=1),
            max_tokens=max_tokens,
        )
        return made.best().seconds.decode

    def expected_s(answer: int) -> float:
        seeks, answers = Reply(typical=45, longest=512), Reply(typical=answer, longest=answer)
        work = workload().seeker(seeks, answers, whole=False) + workload().supporter(seeks, answers, whole=False)
        return assumed_rates(read_gguf_header(model.path), place="cpu", cores=8).decode_s(work, 1)

    assert decoding_s(5) == pytest.approx(expected_s(5))
    assert decoding_s(None) == pytest.approx(expected_s(250))


def test_a_device_of_unknown_size_holds_nothing(tmp_path: Path) -> None:
    model = located(write_header(tmp_path / "m.gguf", TINY, "Q4_K_M"))
    unknown = Budget(host_bytes=cpu(8).host_bytes, device_bytes=None, device="CUDA0", shares_ram=False)
    best = plan_for(model, [model], None, workload=workload(), budget=unknown, hardware=HARDWARE).best()
    assert {engine.spec.gpu_layers for engine in best.engines} == {0}
