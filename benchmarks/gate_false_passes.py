"""How often the gate passes, and how often "equivalent" is said, although the true loss is the whole margin.

python -m benchmarks.gate_false_passes --runs 2000

Both promise 2.5 % at most. That holds where the loss is spread over the cards; where a few cards carry it, a sample may
hold none of them, and then nothing in it can tell.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from escl.stats.noninferiority import noninferiority
from escl.stats.paired import PairedValues, compare

Floats = npt.NDArray[np.float64]
MARGIN = 5.0
"""In points of 100, as `escl compare` has it unless it is told otherwise."""

LOSSES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "spread, SD 10": lambda rng, n: rng.normal(-MARGIN, 10, n),
    "1 in 5 loses 25": lambda rng, n: np.where(rng.random(n) < 0.2, -25.0, 0.0),
    "1 in 20 loses 100": lambda rng, n: np.where(rng.random(n) < 0.05, -100.0, 0.0),
}
"""Differences by card with a mean of minus the margin."""


def false_rates(loss: str, n_cards: int, *, n_runs: int) -> tuple[float, float]:
    """Return how often the gate passes and how often the verdict is "equivalent"."""
    rng = np.random.default_rng(7)
    passed = equivalent = 0
    for _ in range(n_runs):
        values = LOSSES[loss](rng, n_cards).tolist()
        cards = PairedValues(differences={str(at): value for at, value in enumerate(values)})
        found = compare({"one": cards}, margin=MARGIN)["one"]
        passed += noninferiority(found.difference, margin=MARGIN).passed
        equivalent += found.verdict == "equivalent"
    return passed / n_runs, equivalent / n_runs


def main() -> None:
    """Print a line for each kind of loss and number of cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--cards", type=int, nargs="+", default=[12, 20, 40, 99, 331])
    options = parser.parse_args()
    print("true loss: the margin  cards  gate passes  equivalent")
    for loss in LOSSES:
        for n_cards in options.cards:
            gate, same = false_rates(loss, n_cards, n_runs=options.runs)
            print(f"{loss:21} {n_cards:6}  {gate:11.1%}  {same:10.1%}", flush=True)


if __name__ == "__main__":
    main()
