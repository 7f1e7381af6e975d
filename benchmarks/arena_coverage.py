"""How often the arena's 95 % intervals hold the truth, over simulated arenas.

python -m benchmarks.arena_coverage --runs 2000

Every supporter has a true strength and its results are drawn from Davidson's model; or, in the second kind of arena,
each card adds its own luck to every strength, so that the comparisons on one card hang together and the model is not
quite true. Then the truth is the share of wins over very many cards, and only the win rate has one.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from escl.stats.davidson import probabilities
from escl.stats.proportion import proportion
from escl.stats.ratings import POINTS, Meeting, rate

Floats = npt.NDArray[np.float64]

STRENGTHS = {
    "two alike": (0.0, 0.0),
    "two apart": (1.0, -1.0),
    "three": (0.8, 0.0, -0.8),
    "far apart": (2.5, 0.0, -2.5),
}
LUCK = 1.0
"""Standard deviation of a card's own luck for one supporter, in natural logarithms."""


def drawn(rng: np.random.Generator, strengths: tuple[float, ...], n_cards: int, *, luck: float) -> list[Meeting]:
    """Return an arena in which all meet all on every card."""
    meetings = []
    for card in range(n_cards):
        today = np.array(strengths) + luck * rng.standard_normal(len(strengths))
        for i in range(len(strengths)):
            for j in range(i + 1, len(strengths)):
                p = [float(part) for part in probabilities(np.asarray(today[i] - today[j]), np.asarray(0.0))]
                score = float(rng.choice((1.0, 0.5, 0.0), p=p))
                meetings.append(Meeting(card=str(card), one=str(i), other=str(j), score=score))
    return meetings


def true_rate(strengths: tuple[float, ...], *, luck: float) -> float:
    """Return how often the first beats the second, ties half."""
    rng = np.random.default_rng(1)
    lead = strengths[0] - strengths[1] + luck * np.sqrt(2) * rng.standard_normal(400_000)
    won, tied, _ = probabilities(lead, np.asarray(0.0))
    return float((won + tied / 2).mean())


def coverage(strengths: tuple[float, ...], n_cards: int, *, luck: float, n_runs: int) -> tuple[float | None, float]:
    """Return how often the rating's and the win rate's interval hold the truth."""
    names = [str(at) for at in range(len(strengths))]
    truth = 1000 + POINTS * (np.array(strengths) - np.mean(strengths))
    share, rng = true_rate(strengths, luck=luck), np.random.default_rng(3)
    held: list[bool] = []
    won: list[bool] = []
    for _ in range(n_runs):
        meetings = drawn(rng, strengths, n_cards, luck=luck)
        if not luck:
            (one, *_), true = rate(meetings, names), float(truth[0])
            held.append(one.low is not None and one.high is not None and one.low <= true <= one.high)
        first = [m for m in meetings if (m.one, m.other) == ("0", "1")]
        found = proportion([m.score for m in first], [m.card for m in first])
        won.append(found.low is not None and found.high is not None and found.low <= share <= found.high)
    return (float(np.mean(held)) if held else None), float(np.mean(won))


def main() -> None:
    """Print a line for each kind of arena."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", choices=STRENGTHS, help="this kind of arena, not all")
    options = parser.parse_args()
    print("arena       luck cards  rating  win rate")
    for name in [options.only] if options.only else STRENGTHS:
        for luck in (0.0, LUCK):
            for n_cards in (8, 24, 60):
                rating, share = coverage(STRENGTHS[name], n_cards, luck=luck, n_runs=options.runs)
                shown = "     -" if rating is None else f"{rating:6.1%}"
                print(f"{name:11} {luck:4.1f} {n_cards:5}  {shown}    {share:6.1%}", flush=True)


if __name__ == "__main__":
    main()
