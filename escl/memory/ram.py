"""How much memory the processor has left, for this process and its children.

Owns the reading of control groups; the system's own count comes from psutil. ggml is not asked: its CPU device reports
all memory as free.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import psutil

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUP: Final = Path("/proc/self/cgroup")
# cgroup v1 writes "no limit" as the largest multiple of the page size below 2^63.
_NO_LIMIT: Final = 1 << 62


class Ram(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of main memory; None is unknown.

    Attributes:
        total_bytes: The machine's, or the container's limit when that is less.
        available_bytes: What can be taken without swapping and without passing a container's limit. Page cache counts
            as available: the kernel gives it up first.
    """

    total_bytes: int | None
    available_bytes: int | None


def read_ram() -> Ram:
    """Return what is there now."""
    memory = psutil.virtual_memory()
    totals, available = [int(memory.total)], [int(memory.available)]
    for limit in cgroup_limits(_OWN_CGROUP, _CGROUPS):
        totals.append(limit.limit_bytes)
        available.append(limit.available_bytes)
    # Some sandboxes report 0 for what they hide.
    return Ram(total_bytes=min(totals) or None, available_bytes=min(available) if totals[0] else None)


class CgroupLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that holds for this process; `available_bytes` is what is left below it."""

    limit_bytes: int
    available_bytes: int


def cgroup_limits(own: Path, root: Path) -> list[CgroupLimit]:
    """Return the memory limits of this process's control group and of all groups above it.

    Args:
        own: The process's /proc/self/cgroup.
        root: Where the groups are mounted.
    """
    limits = (_limit_v2(folder) or _limit_v1(folder) for folder in _folders(own, root))
    return [limit for limit in limits if limit is not None]


def _folders(own: Path, root: Path) -> Iterator[Path]:
    """Yield the folders of the process's groups from the innermost up; ones that are not mounted here are harmless."""
    for line in (_read(own) or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "memory" if controllers else root
        # Seen from inside a namespace the path may begin with "/..": what lies there is not mounted.
        group = PurePosixPath(*[part for part in PurePosixPath(path).parts if part not in ("/", "..")])
        yield from (mount / parent for parent in [group, *group.parents])


def _limit_v2(folder: Path) -> CgroupLimit | None:
    limits = [limit for name in ("memory.max", "memory.high") if (limit := _number(folder / name)) is not None]
    used = _number(folder / "memory.current")
    if not limits or used is None:
        return None
    return _limit(min(limits), used, folder, ("active_file", "inactive_file"))


def _limit_v1(folder: Path) -> CgroupLimit | None:
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
    if limit is None or limit >= _NO_LIMIT or used is None:
        return None
    return _limit(limit, used, folder, ("total_active_file", "total_inactive_file"))


def _limit(limit: int, used: int, folder: Path, file_keys: tuple[str, str]) -> CgroupLimit:
    words = [line.split() for line in (_read(folder / "memory.stat") or "").splitlines()]
    page_cache = sum(int(pair[1]) for pair in words if len(pair) == 2 and pair[0] in file_keys)
    unreclaimable = max(0, used - page_cache)
    return CgroupLimit(limit_bytes=limit, available_bytes=max(0, limit - unreclaimable))


def _number(path: Path) -> int | None:
    text = (_read(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
