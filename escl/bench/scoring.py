"""Scoring by escl against one whole reply for each dialogue and dimension."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.bench.evaluate import Casting, MachineUse, Observed, begin, read, reading_plan, simulation_of
from escl.bench.result import Row, Table, faster, missing, predicted, shorter
from escl.bench.spoken import fill
from escl.core.dimension import Dimension, adapter_name
from escl.engine.sequential import Dialogue, Loading, Outcome, Read, run_in_sequence
from escl.engine.trial import Alike, Evaluated, Evaluation, Stand
from escl.errors import EngineError
from escl.store.run import RunStore

OTHER: Final = "one create_chat_completion for each dimension"
_MAX_TOKENS: Final = 64
"""Of a reply, as escl's own default."""
_OF_BARE: Final = 0.95
_PATIENCE: Final = 4.0
"""How many times longer than escl bare llama.cpp may take before it is given up."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """All sides, once, one after the other.

    Attributes:
        bare: llama.cpp on the tokens that must be evaluated and nothing else, or why that was not measured.
        reusing: The script that keeps the KV of the rubric.
    """

    escl: Observed
    bare: Evaluated | str
    script: Outcome
    reusing: Outcome | None
    same_labels: int


def compare_scoring(
    casting: Casting,
    use: MachineUse,
    *,
    rounds: int,
    pairs: int,
    goal: float | None,
    best_prefill_tps: float | None,
    with_reuse: bool,
) -> Table:
    """Return how fast both sides score a finished dialogue for each card of `casting`.

    Args:
        pairs: How often each side goes, in turns.
        goal: The least ratio of readings a second.
        best_prefill_tps: The most prompt tokens a second that the scorer was measured to evaluate on this machine;
            None when it was not measured.
        with_reuse: Whether to measure the script a second time, with llama-cpp-python keeping the prompt's opening.
    """
    measured = [_measure(casting, use, rounds=rounds, with_reuse=with_reuse) for _ in range(pairs)]
    last = measured[-1]
    return Table(
        key="scoring",
        title=f"Scoring {len(casting.cards)} dialogues in {len(Dimension)} dimensions",
        other=OTHER,
        rows=tuple(_rows(measured, goal=goal, best_prefill_tps=best_prefill_tps)),
        facts={
            "dialogues": len(casting.cards),
            "rounds": rounds,
            "adapters": len(casting.scorer.adapters),
            "plan": last.escl.plan,
            "threads of the script": use.threads,
            "gpu layers": use.gpu_layers,
            "readings, escl": last.escl.n_done,
            "readings, script": len(last.script.calls),
            "prompt tokens, script": sum(call.n_prompt for call in last.script.calls),
            "prompt tokens that must be evaluated": "unknown" if isinstance(last.bare, str) else last.bare.n_tokens,
            "readings with the same label": last.same_labels,
        },
        notes=(
            "Both from the start of loading to the last reading; the script switches adapters only when it must.",
            "The script evaluates every prompt whole. Where it is said to reuse, llama-cpp-python keeps what a prompt "
            "has in common with the one before, which here is the rubric.",
            "Bare llama.cpp evaluates the tokens that must be: each rubric once for its adapter, each dialogue after "
            "it, in escl's own context and settings, with neither labels nor requests. Both without the start of the "
            "process and the load: from the first token (escl: once it can be asked) to the last reading.",
            "The best prefill in tuning is that of any prompt, without adapter and context before it: other work.",
        ),
    )


def _measure(casting: Casting, use: MachineUse, *, rounds: int, with_reuse: bool) -> Scored:
    simulation = simulation_of(casting, rounds=rounds, max_tokens=1)
    with tempfile.TemporaryDirectory(prefix="escl-bench-") as folder:
        store = begin(Path(folder) / "run.db", simulation)
        try:
            fill(store, simulation)
            ours = read(casting.scorer, store, use)
            bare = _bare(casting, store, use, within_s=_PATIENCE * ours.working_s)
            job = _job(casting, store, use)
            script = run_in_sequence(job)
            reusing = run_in_sequence(msgspec.structs.replace(job, reuse=True)) if with_reuse else None
            same = _same_labels(store, script)
        finally:
            store.close()
    return Scored(escl=ours, bare=bare, script=script, reusing=reusing, same_labels=same)


def _bare(casting: Casting, store: RunStore, use: MachineUse, *, within_s: float) -> Evaluated | str:
    (engine,) = reading_plan(casting.scorer, store, use).best().engines
    asked = Evaluation(spec=engine.spec, groups=_groups(casting, store))
    try:
        with Stand(casting.scorer.path) as stand:
            return stand.evaluate(asked, within_s=within_s)
    except EngineError as error:
        return error.message


def _groups(casting: Casting, store: RunStore) -> list[Alike]:
    """Return all that the scorer reads, by adapter."""
    groups = []
    rows = store.dialogues()
    for language in sorted({row.language for row in rows}):
        said = [store.turns(row.id) for row in rows if row.language is language]
        for dimension in Dimension:
            prompts = [casting.protocol.scorer_prompt(language, dimension, turns) for turns in said]
            has_adapter = (language, dimension) in casting.scorer.adapters
            groups.append(
                Alike(
                    adapter=adapter_name(language, dimension) if has_adapter else None,
                    system=prompts[0].system,
                    prefix=prompts[0].prefix,
                    rests=[prompt.rest for prompt in prompts],
                )
            )
    return groups


def _job(casting: Casting, store: RunStore, use: MachineUse) -> Read:
    return Read(
        scorer=str(casting.scorer.path),
        adapters={adapter_name(*key): str(path) for key, (path, _) in casting.scorer.adapters.items()},
        protocol=casting.protocol,
        dialogues=[Dialogue(language=row.language, turns=store.turns(row.id)) for row in store.dialogues()],
        reuse=False,
        max_tokens=_MAX_TOKENS,
        loading=Loading(ctx=use.ctx, threads=use.threads, gpu_layers=use.gpu_layers),
    )


def _same_labels(store: RunStore, script: Outcome) -> int:
    """Return how many readings have the label that is the first in the script's reply."""
    ((judging_id, _),) = store.judgings()
    labels = {(r.dialogue_id, r.dimension): r.label for r in store.readings(judging_id)}
    rows = store.dialogues()
    order = [
        (row.id, dimension)
        for language in sorted({row.language for row in rows})
        for dimension, row in itertools.product(Dimension, [row for row in rows if row.language is language])
    ]
    first = [re.search("[0-4]", reply) for reply in script.replies]
    return sum(found is not None and labels.get(key) == int(found[0]) for key, found in zip(order, first, strict=True))


def _rows(measured: Sequence[Scored], *, goal: float | None, best_prefill_tps: float | None) -> list[Row]:
    rates = [(m.escl.n_done / m.escl.total_s, len(m.script.calls) / m.script.total_s) for m in measured]
    rows = [
        faster("readings", "readings/s", rates, goal=goal),
        shorter("whole", "s", [(m.escl.total_s, m.script.total_s) for m in measured]),
    ]
    reusing = [
        (m.escl.n_done / m.escl.total_s, len(m.reusing.calls) / m.reusing.total_s) for m in measured if m.reusing
    ]
    if reusing:
        rows.append(faster("readings, script reusing the rubric's KV", "readings/s", reusing))
    first = [(m.escl.first_s, m.script.load_s + m.script.calls[0].seconds) for m in measured]
    rows.append(shorter("time to the first reading", "s", first))
    peaks = [(float(m.escl.peak_bytes), float(m.script.peak_rss_bytes)) for m in measured]
    rows.append(shorter("peak memory", "bytes", peaks))
    predictions = [(m.escl.predicted_s, m.escl.total_s) for m in measured]
    return [*rows, *_prefill_rows(measured, best_prefill_tps), predicted(predictions)]


def _prefill_rows(measured: Sequence[Scored], best_prefill_tps: float | None) -> Iterator[Row]:
    what = "tokens that must be evaluated, against bare llama.cpp on the same"
    of_best = "the same, against the best prefill in tuning"
    pairs = [(m.escl, m.bare) for m in measured if not isinstance(m.bare, str)]
    if len(pairs) < len(measured):
        reason = next(m.bare for m in measured if isinstance(m.bare, str))
        yield missing(what, "tokens/s", goal=_OF_BARE, why=reason)
        yield missing(of_best, "tokens/s", why=reason)
        return
    ours = [bare.n_tokens / escl.working_s for escl, bare in pairs]
    rates = [bare.n_tokens / sum(bare.seconds) for _, bare in pairs]
    yield faster(what, "tokens/s", list(zip(ours, rates, strict=True)), goal=_OF_BARE)
    if best_prefill_tps is None:
        yield missing(of_best, "tokens/s", why="the prefill rate was not measured")
    else:
        yield faster(of_best, "tokens/s", [(rate, best_prefill_tps) for rate in ours])
