"""Dialogues by escl, many at a time, against the plain script that has one after the other."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from escl.bench.evaluate import Casting, MachineUse, Observed, begin, simulation_of, speak
from escl.bench.result import Fact, Row, Table, faster, missing, predicted, shorter
from escl.engine.sequential import Loading, Outcome, Speak, run_in_sequence
from escl.engine.trial import Stand
from escl.errors import EngineError

OTHER: Final = "create_chat_completion, one after the other"
_PATIENCE: Final = 4.0
"""How many times longer than escl bare llama.cpp may take before it is given up."""


def compare_simulation(
    casting: Casting, use: MachineUse, *, rounds: int, max_tokens: int, pairs: int, goal: float | None
) -> Table:
    """Return how fast both sides simulate a dialogue for each card of `casting`.

    Args:
        pairs: How often both are measured, in turns.
        goal: The least ratio of turns a second.
    """
    simulation = simulation_of(casting, rounds=rounds, max_tokens=max_tokens)
    settings = simulation.settings("")
    job = Speak(
        seeker=str(casting.seeker.path),
        supporter=str(casting.supporter.path),
        seeker_sampling=settings.seeker.sampling,
        supporter_sampling=settings.supporters[0].sampling,
        protocol=casting.protocol,
        cards=list(casting.cards),
        rounds=rounds,
        loading=Loading(ctx=use.ctx, threads=use.threads, gpu_layers=use.gpu_layers),
    )
    measured: list[tuple[Observed, Outcome]] = []
    bare: list[float | str] = []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory(prefix="escl-bench-") as folder:
            store = begin(Path(folder) / "run.db", simulation)
            try:
                ours = speak(simulation, store, use)
            finally:
                store.close()
        bare.append(_bare_s(ours))
        measured.append((ours, run_in_sequence(job)))
    return Table(
        key="simulation",
        title=f"Simulating {len(casting.cards)} dialogues of {rounds} rounds",
        other=OTHER,
        rows=(*_rows(measured, goal=goal), _bare_row(measured, bare)),
        facts=_facts(measured, use)
        | _bare_facts(measured, bare)
        | {
            "dialogues": len(casting.cards),
            "rounds": rounds,
            "tokens of a seeker's turn": settings.seeker.sampling.max_tokens,
            "tokens of a supporter's turn": max_tokens,
        },
        notes=(
            "Both from the start of loading to the last turn; escl stores every turn durably, the script stores none.",
            "The script has both models resident and reuses the KV of the turns before, as llama-cpp-python does.",
            "Bare llama.cpp evaluates the tokens that escl evaluated and generates as many, all dialogues in step, one "
            "model after the other: no text, requests, sampling, storage. Both without the start of the process and "
            "the load; against the script, with escl's loads added.",
            "A turn's latency in escl includes waiting for the other dialogues.",
            "escl's peak is the sum over its processes, where pages of a mapped file that both hold count twice.",
        ),
    )


def _rows(measured: Sequence[tuple[Observed, Outcome]], *, goal: float | None) -> list[Row]:
    rates = [(o.n_done / o.total_s, len(s.calls) / s.total_s) for o, s in measured]
    tokens = [(o.n_generated / o.total_s, _generated(s) / s.total_s) for o, s in measured]
    median = [(statistics.median(o.latencies_s), statistics.median(c.seconds for c in s.calls)) for o, s in measured]
    slow = [(_p95(o.latencies_s), _p95([c.seconds for c in s.calls])) for o, s in measured]
    first = [(o.first_s, s.load_s + s.calls[0].seconds) for o, s in measured]
    return [
        faster("turns", "turns/s", rates, goal=goal),
        faster("generated tokens", "tokens/s", tokens),
        shorter("whole", "s", [(o.total_s, s.total_s) for o, s in measured]),
        shorter("time to the first turn", "s", first),
        shorter("turn latency, median", "s", median),
        shorter("turn latency, 95th percentile", "s", slow),
        shorter("peak memory", "bytes", [(float(o.peak_bytes), float(s.peak_rss_bytes)) for o, s in measured]),
        predicted([(o.predicted_s, o.total_s) for o, _ in measured]),
    ]


def _bare_s(ours: Observed) -> float | str:
    """Return the seconds of bare llama.cpp on the same tokens, or why they were not measured."""
    seconds = 0.0
    try:
        for asked in ours.bare:
            with Stand(Path(asked.spec.model)) as stand:
                seconds += sum(stand.evaluate(asked, within_s=_PATIENCE * ours.working_s).seconds)
    except EngineError as error:
        return error.message
    return seconds


def _bare_row(measured: Sequence[tuple[Observed, Outcome]], bare: Sequence[float | str]) -> Row:
    what = "the work without loading, against bare llama.cpp on the same tokens"
    reason = next((one for one in bare if isinstance(one, str)), None)
    if reason is not None:
        return missing(what, "s", why=reason)
    return shorter(
        what, "s", [(o.working_s, s) for (o, _), s in zip(measured, bare, strict=True) if s and not isinstance(s, str)]
    )


def _bare_facts(measured: Sequence[tuple[Observed, Outcome]], bare: Sequence[float | str]) -> dict[str, Fact]:
    """Return how many times as fast as the script bare llama.cpp is: what a scheduler can reach at best."""
    ratios = [
        script.total_s / (sum(ours.load_s) + seconds)
        for (ours, script), seconds in zip(measured, bare, strict=True)
        if not isinstance(seconds, str)
    ]
    return {"bare llama.cpp by the script": round(statistics.median(ratios), 2)} if ratios else {}


def _facts(measured: Sequence[tuple[Observed, Outcome]], use: MachineUse) -> dict[str, Fact]:
    ours, script = measured[-1]
    return {
        "plan": ours.plan,
        "threads of the script": use.threads,
        "gpu layers": use.gpu_layers,
        "turns, escl": ours.n_done,
        "turns, script": len(script.calls),
        "prompt tokens, escl": ours.n_prompt,
        "prompt tokens, script": sum(call.n_prompt for call in script.calls),
        "of them reused, escl": ours.n_reused,
        "generated tokens, escl": ours.n_generated,
        "generated tokens, script": _generated(script),
    }


def _generated(outcome: Outcome) -> int:
    return sum(call.n_generated for call in outcome.calls)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]
