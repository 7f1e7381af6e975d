"""Writes docs/memory.md: what fits in how much memory, by escl's own planner on headers of the real models' shapes.

Run: python -m tools.memory_table > docs/memory.md
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from benchmarks.shapes import INTERNLM2_7B, QWEN1_5_7B, QWEN1_5_14B, Shape, write_adapter_header, write_header
from escl.core.bundled import bundled
from escl.core.card import select_cards
from escl.core.card_file import load_cards
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.memory.candidate import Candidate, Plan, in_time
from escl.memory.choices import ModelChoice, choose_from
from escl.memory.devices import ESTIMATE_MARGIN, Budget, Hardware
from escl.memory.explain import in_size_up
from escl.memory.plan import make_plan
from escl.memory.workload import Workload, workload_of
from escl.report.plan import fits_or_lacks, slots_by_role
from escl.shelf.manifest import LocatedModel

SIZES_GIB: Final = (6, 8, 12, 16, 24, 48)
HOST_GIB: Final = 16
CARDS: Final = 16
CORES: Final = 8
GIB: Final = 1 << 30

# Of a machine that does not exist: no tuning is stored for it, so all rates are the assumed ones.
MACHINE: Final = Hardware(
    devices=(),
    ram_total_bytes=None,
    ram_available_bytes=None,
    physical_cores=CORES,
    processor="a made-up machine",
    llama_build="none",
)


def main() -> None:
    """Print the page."""
    sys.stdout.write(page())


def page() -> str:
    """Return the whole page."""
    text = (Path(__file__).parent / "memory_page.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="escl-shapes-") as folder:
        on_cpu, on_gpu = (models(Path(folder), budget) for budget in (cpu_budget(8), gpu_budget(8)))
    work = workload()
    plans = {size: make_plan(on_cpu, work, cpu_budget(size)) for size in SIZES_GIB}
    gpu_plans = {size: make_plan(on_gpu, work, gpu_budget(size)) for size in SIZES_GIB}
    words = {
        "{cpu_table}": "\n".join(table(plans)),
        "{gpu_table}": "\n".join(table(gpu_plans)),
        "{dialogues}": str(work.dialogues),
        "{cores}": str(CORES),
        "{host}": str(HOST_GIB),
        "{margin}": f"{ESTIMATE_MARGIN:.0%}".replace("%", " %"),
    }
    for marker, word in words.items():
        text = text.replace(marker, word)
    return text


def models(folder: Path, budget: Budget) -> list[ModelChoice]:
    """Return seeker, supporter and scorer of the real shapes; headers are written into `folder`."""
    seeker = _header(folder / "esc-role-Q4_K_M.gguf", QWEN1_5_14B)
    supporter = _header(folder / "supporter-7b.gguf", QWEN1_5_7B)
    scorer = _header(folder / "esc-rank.gguf", INTERNLM2_7B)
    adapters = {(language, dimension): folder / f"{language}_{dimension}.gguf" for language, dimension in _adapters()}
    for path in adapters.values():
        if not path.exists():
            write_adapter_header(path, INTERNLM2_7B)
    located: list[tuple[Literal["seeker", "supporter", "scorer"], LocatedModel]] = [
        ("seeker", LocatedModel(name="ESC-Role", path=seeker, sha256=None)),
        ("supporter", LocatedModel(name="supporter", path=supporter, sha256=None)),
        ("scorer", LocatedModel(name="ESC-RANK", path=scorer, sha256=None, adapters=adapters)),
    ]
    return [
        choose_from(model, role, languages=tuple(Language), budget=budget, hardware=MACHINE) for role, model in located
    ]


def _adapters() -> Iterator[tuple[Language, Dimension]]:
    return ((language, dimension) for language in Language for dimension in Dimension)


def _header(path: Path, shape: Shape) -> Path:
    return path if path.exists() else write_header(path, shape, "Q4_K_M")


def workload() -> Workload:
    """Return 32 dialogues: the first bundled cards of each language."""
    cards = load_cards(bundled("role_cards"))
    chosen = [card for language in Language for card in select_cards(cards, language=language, limit=CARDS)]
    return workload_of(chosen, load_protocol("open"), rounds=5)


def cpu_budget(gib: int) -> Budget:
    """Return what a machine with so much free memory and no accelerator may use."""
    return Budget(host_bytes=_less_margin(gib), device_bytes=None, device=None, shares_ram=False)


def gpu_budget(gib: int) -> Budget:
    """Return the same for a made-up GPU with so much memory."""
    host = _less_margin(HOST_GIB)
    return Budget(host_bytes=host, device_bytes=_less_margin(gib), device="GPU", shares_ram=False)


def _less_margin(gib: int) -> int:
    return int(gib * GIB * (1 - ESTIMATE_MARGIN))


def table(plans: dict[int, Plan]) -> Iterator[str]:
    """Yield the lines of a Markdown table, one for each candidate."""
    on_gpu = any(plan.budget.device is not None for plan in plans.values())
    head = ["GiB", "strategy", "fits", *(["GPU peak"] if on_gpu else []), "RAM peak", "side by side", "KV"]
    head += [*(["layers on GPU"] if on_gpu else []), "loads", "time", "disk reads"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for size, plan in plans.items():
        for at, candidate in enumerate(plan.candidates):
            cells = [str(size) if at == 0 else "", *_cells(candidate, plan, on_gpu=on_gpu)]
            yield f"| {' | '.join(cells)} |"
        if plan.least is not None:
            yield f"| | *nothing fits; {in_size_up(plan.least.host_bytes)} for the engines would do* |" + " |" * (
                len(head) - 2
            )


def _cells(candidate: Candidate, plan: Plan, *, on_gpu: bool) -> Iterator[str]:
    is_chosen = plan.chosen is not None and candidate is plan.candidates[plan.chosen]
    yield f"**{candidate.strategy}**" if is_chosen else candidate.strategy
    yield fits_or_lacks(candidate, plan)
    if on_gpu:
        yield f"{candidate.peak_device_bytes / GIB:.1f}"
    yield f"{candidate.peak_host_bytes / GIB:.1f}"
    yield slots_by_role(candidate)
    yield "/".join(engine.spec.kv_type for engine in candidate.engines)
    if on_gpu:
        layers = (engine.spec.gpu_layers for engine in candidate.engines)
        yield "/".join("all" if n < 0 else str(n) for n in layers)
    yield str(candidate.loads)
    yield in_time(candidate.seconds.total)
    yield f"{candidate.read_bytes / GIB:.0f} GiB"


if __name__ == "__main__":
    main()
