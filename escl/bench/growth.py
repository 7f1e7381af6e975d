"""How time and memory grow with the number of dialogues. Each size is a run in a process of its own.

Run as a child process with a Job on stdin: only a fresh process has a peak of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from escl.bench.evaluate import Casting, MachineUse, begin, read, simulation_of, speak
from escl.bench.result import Row, Table
from escl.engine.child import peak_rss_bytes
from escl.engine.launch import child_environment
from escl.errors import EngineError


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A whole evaluation of `dialogues` dialogues."""

    casting: Casting
    use: MachineUse
    dialogues: int
    rounds: int
    max_tokens: int


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What it took: seconds of both phases without the loads, and the parent's own peak."""

    speak_s: float
    read_s: float
    parent_peak_bytes: int


def measure_growth(casting: Casting, use: MachineUse, *, sizes: Sequence[int], rounds: int, max_tokens: int) -> Table:
    """Return seconds for each dialogue and the parent's peak memory for runs of `sizes` dialogues."""
    found = {
        size: _in_child(Job(casting=casting, use=use, dialogues=size, rounds=rounds, max_tokens=max_tokens))
        for size in sizes
    }
    rows = []
    for size, growth in found.items():
        seconds = (growth.speak_s + growth.read_s) / size
        rows.append(Row(what=f"{size} dialogues, each", unit="s", escl=seconds))
        peak = float(growth.parent_peak_bytes)
        rows.append(Row(what=f"{size} dialogues, the parent's peak", unit="bytes", escl=peak))
    return Table(
        key="growth",
        title="Growth with the number of dialogues",
        other=None,
        rows=tuple(rows),
        facts={"rounds": rounds, "max_tokens": max_tokens},
        notes=(
            "Simulated and scored in all dimensions; loading is left out. With the smallest model, so that escl's own "
            "work and the commits to the disk weigh as much as they can.",
        ),
    )


def _in_child(job: Job) -> Growth:
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=msgspec.msgpack.encode(job, enc_hook=str),
        env=child_environment(os.environ),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace")[-1500:]
        raise EngineError(f"a run of {job.dialogues} dialogues ended with code {done.returncode}: {said}")
    return msgspec.json.decode(done.stdout, type=Growth)


def _measure(job: Job) -> Growth:
    cards = job.casting.cards[: job.dialogues]
    repeats = -(-job.dialogues // len(cards))
    casting = msgspec.structs.replace(job.casting, cards=cards)
    simulation = simulation_of(casting, rounds=job.rounds, max_tokens=job.max_tokens, repeats=repeats)
    with tempfile.TemporaryDirectory(prefix="escl-bench-") as folder:
        store = begin(Path(folder) / "run.db", simulation)
        try:
            spoken = speak(simulation, store, job.use)
            scored = read(casting.scorer, store, job.use)
        finally:
            store.close()
    return Growth(
        speak_s=spoken.total_s - sum(spoken.load_s),
        read_s=scored.total_s - sum(scored.load_s),
        parent_peak_bytes=peak_rss_bytes(),
    )


def main() -> None:
    """Do the job on stdin and write what it took to stdout."""
    # msgpack, because a model's adapters have pairs for keys; paths go as text.
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job, dec_hook=lambda kind, value: kind(value))
    sys.stdout.buffer.write(msgspec.json.encode(_measure(job)))


if __name__ == "__main__":
    main()
