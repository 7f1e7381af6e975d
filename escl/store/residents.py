"""What the last command on a run has in memory, by what the bytes hold, and which models came and went.

Asked of the run's file while another process works on it. Reads of the stored plan only what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from escl.store.database import Database


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes by what they hold.

    Attributes:
        weights: Of models and adapters.
        kv: Keys and values.
        buffers: Work memory, logits, and the processes themselves.
    """

    weights: int = 0
    kv: int = 0
    buffers: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.buffers


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One memory of the machine and what of it the models in it take, as planned.

    Attributes:
        device: As the plan names it; None is main memory.
        limit_bytes: What the run may take of it.
    """

    device: str | None
    limit_bytes: int
    taken: Share


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """A model that came or went.

    Attributes:
        what: "lost": its process died, and the model was loaded again.
        seconds: Loading took so long, or so long it stayed.
    """

    at_utc: str
    name: str
    what: Literal["loaded", "left", "lost"]
    seconds: float


class _Footprint(msgspec.Struct, frozen=True):
    weights: int = 0
    adapters: int = 0
    kv: int = 0
    compute: int = 0
    output: int = 0
    process: int = 0


class _Need(msgspec.Struct, frozen=True):
    host: _Footprint
    device: _Footprint | None = None


class _Engine(msgspec.Struct, frozen=True):
    role: str
    name: str
    need: _Need


class _Candidate(msgspec.Struct, frozen=True):
    engines: tuple[_Engine, ...]


class _Budget(msgspec.Struct, frozen=True):
    host_bytes: int
    device_bytes: int | None
    device: str | None
    shares_ram: bool


class _Plan(msgspec.Struct, frozen=True):
    budget: _Budget
    candidates: tuple[_Candidate, ...]
    chosen: int | None


def memories(database: Database, names: Iterable[str]) -> list[Memory]:
    """Return each memory of the last command's plan with what the models in it, as loads name them, take.

    Empty where the command stored no plan, or one that this version does not know.
    """
    rows = database.rows("SELECT plan FROM attempt ORDER BY id DESC LIMIT 1")
    plan = _plan(rows[0]["plan"]) if rows else None
    if plan is None or plan.chosen is None or not 0 <= plan.chosen < len(plan.candidates):
        return []
    engines = plan.candidates[plan.chosen].engines
    # One model in two seats is loaded under the name of the seat.
    known = {engine.name: engine for engine in engines}
    known |= {f"{engine.name} as {engine.role}": engine for engine in engines}
    needs = [known[name].need for name in names if name in known]
    host = [need.host for need in needs]
    device = [need.device for need in needs if need.device is not None]
    budget = plan.budget
    if budget.shares_ram:
        host, device = [*host, *device], []
    found = [Memory(device=None, limit_bytes=budget.host_bytes, taken=_share(host))]
    if budget.device is not None and budget.device_bytes is not None and not budget.shares_ram:
        found.append(Memory(device=budget.device, limit_bytes=budget.device_bytes, taken=_share(device)))
    return found


def swaps(database: Database, limit: int) -> list[Swap]:
    """Return which models came and went in the last command, the latest first."""
    rows = database.rows(
        "WITH own AS (SELECT *, (SELECT min(later.loaded_utc) FROM load AS later WHERE later.name = load.name"
        "  AND later.attempt_id = load.attempt_id AND later.id > load.id) AS again_utc FROM load"
        "  WHERE attempt_id = (SELECT max(id) FROM attempt))"
        " SELECT * FROM (SELECT loaded_utc AS at_utc, name, 'loaded' AS what,"
        "  json_extract(ready, '$.load_s') AS seconds FROM own"
        " UNION ALL SELECT coalesce(left_utc, again_utc), name, iif(left_utc IS NULL, 'lost', 'left'),"
        "  86400.0 * (julianday(coalesce(left_utc, again_utc)) - julianday(loaded_utc)) FROM own"
        "  WHERE coalesce(left_utc, again_utc) IS NOT NULL)"
        " ORDER BY at_utc DESC, what <> 'loaded' LIMIT ?",
        limit,
    )
    return [database.taken(dict(row), Swap) for row in rows]


def _plan(stored: str | None) -> _Plan | None:
    try:
        return None if stored is None else msgspec.json.decode(stored, type=_Plan)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _share(footprints: Iterable[_Footprint]) -> Share:
    listed = list(footprints)
    return Share(
        weights=sum(one.weights + one.adapters for one in listed),
        kv=sum(one.kv for one in listed),
        buffers=sum(one.compute + one.output + one.process for one in listed),
    )
