"""Models of the real shapes, as headers without weights, and budgets for them: what tests of plans start from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from benchmarks.shapes import INTERNLM2_7B, QWEN1_5_7B, QWEN1_5_14B, write_adapter_header, write_header
from escl.core.dimension import Dimension, Language
from escl.engine.wire import EngineSpec
from escl.memory.choices import UNTUNED, FileOption, ModelChoice, Pace, Role, choose_from
from escl.memory.devices import Budget, Hardware
from escl.memory.estimate import estimate
from escl.memory.plan import Candidate
from escl.memory.predict import PlannedEngine
from escl.memory.rates import assumed_rates
from escl.memory.workload import LanguageWork, Workload
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header
from escl.shelf.manifest import LocatedModel

GIB = 1 << 30
HARDWARE = Hardware(
    devices=(), ram_total_bytes=None, ram_available_bytes=None, physical_cores=8, processor="made up", llama_build="b"
)

# Kept for the whole test run and removed at its end.
_FOLDER = tempfile.TemporaryDirectory(prefix="escl-plan-")


@cache
def shelf() -> Path:
    """Return a folder with a seeker in two quantizations, a supporter, a scorer and an adapter."""
    folder = Path(_FOLDER.name)
    for quant in ("Q4_K_M", "Q3_K_M"):
        write_header(folder / f"esc-role-{quant}.gguf", QWEN1_5_14B, quant)
    write_header(folder / "warm-Q4_K_M.gguf", QWEN1_5_7B, "Q4_K_M")
    write_header(folder / "rank.gguf", INTERNLM2_7B, "Q4_K_M")
    write_adapter_header(folder / "adapter.gguf", INTERNLM2_7B)
    return folder


@cache
def header(path: str) -> GGUFHeader:
    """Return the header of a file."""
    return read_gguf_header(Path(path))


@cache
def choice(role: Role, name: str, *, on_gpu: bool = False) -> ModelChoice:
    """Return a model of the shelf by its file's name, with its other quantizations."""
    if on_gpu:
        chosen = choice(role, name)
        return msgspec.structs.replace(chosen, files=tuple(with_gpu(file) for file in chosen.files))
    adapters = {(language, dimension): shelf() / "adapter.gguf" for language in Language for dimension in Dimension}
    model = LocatedModel(
        name=name.partition("-Q")[0].removesuffix(".gguf"),
        path=shelf() / name,
        sha256=None,
        adapters=adapters if role == "scorer" else {},
    )
    return choose_from(model, role, languages=[Language.ENGLISH], budget=cpu(8), hardware=HARDWARE)


def with_gpu(file: FileOption) -> FileOption:
    """Return the file with the rates that it would have on a GPU."""
    rates = assumed_rates(file.header, place="gpu", cores=8)
    return msgspec.structs.replace(file, on_device=Pace(settings=UNTUNED, rates=rates))


def named_only(chosen: ModelChoice) -> ModelChoice:
    """Return the choice without other quantizations."""
    return msgspec.structs.replace(chosen, files=chosen.files[:1])


def models(*, on_gpu: bool = False, supporters: int = 1) -> list[ModelChoice]:
    """Return a run of the real shapes: a 14B seeker, 7B supporters, a 7B scorer with adapters."""
    warm = choice("supporter", "warm-Q4_K_M.gguf", on_gpu=on_gpu)
    tested = [warm, msgspec.structs.replace(warm, name="warm again")]
    return [
        named_only(choice("seeker", "esc-role-Q4_K_M.gguf", on_gpu=on_gpu)),
        *tested[:supporters],
        choice("scorer", "rank.gguf", on_gpu=on_gpu),
    ]


def cpu(gib: float) -> Budget:
    """Return a budget of main memory only."""
    return Budget(host_bytes=int(gib * GIB), device_bytes=None, device=None, shares_ram=False)


def gpu(gib: float, *, host: float = 16) -> Budget:
    """Return a budget of a made-up discrete GPU and main memory."""
    return Budget(host_bytes=int(host * GIB), device_bytes=int(gib * GIB), device="CUDA0", shares_ram=False)


def shared(gib: float) -> Budget:
    """Return a budget of a made-up accelerator that has three quarters of main memory."""
    return Budget(host_bytes=int(gib * GIB), device_bytes=int(0.75 * gib * GIB), device="MTL0", shares_ram=True)


def workload(cards: int = 32, *, rounds: int = 5, repeats: int = 1) -> Workload:
    """Return English dialogues of the usual length."""
    work = LanguageWork(
        language=Language.ENGLISH, cards=cards, seeker_prompt=330, supporter_prompt=28, rubrics=1180, question=52
    )
    return Workload(languages=(work,), rounds=rounds, repeats=repeats)


def need_of(engine: PlannedEngine, spec: EngineSpec | None = None) -> tuple[int, int]:
    """Return main memory and device memory of an engine as estimated anew from its spec."""
    adapters = [header(path) for path in engine.spec.adapters.values()]
    need = estimate(header(engine.path), spec or engine.spec, adapters=adapters)
    return need.host.total, 0 if need.device is None else need.device.total


def sets_in_memory(candidate: Candidate) -> list[list[PlannedEngine]]:
    """Return which engines are in memory together, by the pool's rule for the candidate's strategy."""
    by_role: Mapping[str, list[PlannedEngine]] = {
        role: [engine for engine in candidate.engines if engine.role == role]
        for role in ("seeker", "supporter", "scorer")
    }
    if candidate.strategy == "all resident":
        return [list(candidate.engines)]
    if candidate.swaps:
        return [[engine] for engine in candidate.engines]
    pairs = [[*by_role["seeker"], supporter] for supporter in by_role["supporter"]]
    return [*pairs, *([by_role["scorer"]] if by_role["scorer"] else [])]
