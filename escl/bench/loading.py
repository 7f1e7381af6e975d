"""What it costs to have a model: loading it from the disk, loading it again, and putting it in the place of another."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from escl.bench.evaluate import MachineUse
from escl.bench.result import Row, Table, missing
from escl.bench.tuning import tuned_spec, tuning_of
from escl.engine.client import Engine
from escl.shelf.manifest import Model


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load: seconds from the start of the child process until it can be asked, and of the weights alone."""

    total_s: float
    load_s: float
    close_s: float
    peak_bytes: int


def measure_loading(models: Sequence[Model], use: MachineUse) -> Table:
    """Return what each of `models` takes to load, first from the disk and then from the page cache, and a swap."""
    rows: list[Row] = []
    for model in models:
        rows += _rows_of(model, use)
    if len(models) > 1:
        rows.append(Row(what=f"swap {models[0].name} for {models[1].name}", unit="s", escl=_swap(models, use)))
    return Table(
        key="loading",
        title="Loading and swapping",
        other=None,
        rows=tuple(rows),
        facts={"slots": use.slots, "ctx": use.ctx, "gpu layers": use.gpu_layers},
        notes=(
            "From the start of the child process until it can be asked. For the first load the file's pages were "
            "dropped from the page cache (posix_fadvise); a disk below may have caches of its own.",
            "A swap ends one process, waits until it is gone, and starts the next, its file in the page cache.",
        ),
    )


def _rows_of(model: Model, use: MachineUse) -> list[Row]:
    tuning_of(model, use)
    dropped = drop_from_page_cache(model.path)
    first = asyncio.run(_load(model, use))
    second = asyncio.run(_load(model, use))
    from_disk = f"{model.name}, first load"
    return [
        Row(what=from_disk, unit="s", escl=first.total_s)
        if dropped
        else missing(from_disk, "s", why="this system cannot drop a file from the page cache"),
        Row(what=f"{model.name}, second load", unit="s", escl=second.total_s),
        Row(what=f"{model.name}, file", unit="bytes", escl=float(model.size_bytes)),
        Row(what=f"{model.name}, peak when ready", unit="bytes", escl=float(second.peak_bytes)),
    ]


def drop_from_page_cache(path: Path) -> bool:
    """Ask the system to forget the file's pages, after writing out what is dirty; return whether it can."""
    if not hasattr(os, "posix_fadvise"):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return True


async def _load(model: Model, use: MachineUse) -> Load:
    spec = tuned_spec(model, use)
    began = time.perf_counter()
    engine = await Engine.start(spec)
    ready = time.perf_counter()
    await engine.close()
    return Load(
        total_s=ready - began,
        load_s=engine.ready.load_s,
        close_s=time.perf_counter() - ready,
        peak_bytes=engine.ready.peak_rss_bytes,
    )


def _swap(models: Sequence[Model], use: MachineUse) -> float:
    async def swap() -> float:
        specs = [tuned_spec(model, use) for model in models[:2]]
        leaving = await Engine.start(specs[0])
        began = time.perf_counter()
        await leaving.close()
        coming = await Engine.start(specs[1])
        took = time.perf_counter() - began
        await coming.close()
        return took

    return asyncio.run(swap())
