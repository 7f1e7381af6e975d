"""How often the 95 % intervals of `escl judge validate` hold the truth, over simulated runs.

python -m benchmarks.validation_coverage --runs 2000

Each run has some cards with three dialogues each. A person's label is drawn evenly, and the scorer's lies apart from it
by something that the dialogues on one card share and something of their own, so that the dialogues hang together. The
truth is the statistic over very many cards.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from escl.stats import weighted
from escl.stats.bootstrap import Floats, Statistic
from escl.stats.estimate import Clusters, estimate

DIALOGUES = 3
TRUE_CARDS = 50_000
CARDS = (20, 40)

Ints = npt.NDArray[np.int_]


class Rated:
    """The dialogues of one run with a label of a person and of the scorer."""

    def __init__(self, rng: np.random.Generator, n_cards: int) -> None:
        shape = (n_cards, DIALOGUES)
        people = rng.integers(0, 5, size=shape)
        apart = rng.choice([-1, 0, 0, 1], size=(n_cards, 1)) + rng.choice([-1, 0, 0, 0, 1], size=shape)
        scorer = np.clip(people + apart, 0, 4)
        self.people: Ints = people.ravel()
        self.scorer: Ints = scorer.ravel()
        self.expected: Floats = np.clip(scorer + rng.uniform(-0.4, 0.4, size=shape), 0, 4).ravel()
        self.clusters = Clusters([str(card) for card in np.repeat(np.arange(n_cards), DIALOGUES)])
        self.pairs: Floats = self.clusters.sums(weighted.label_pairs(self.scorer, self.people))


def same_label(run: Rated) -> Statistic:
    """Return the share of the same label."""
    return partial(weighted.share_within, 0, run.pairs)


def gain(run: Rated) -> Statistic:
    """Return what the scorer has over the best single answer, chosen with the ratings in hand."""
    own, best = same_label(run), partial(weighted.best_constant, 0, run.pairs)
    return lambda weights: own(weights) - best(weights)


def kappa(run: Rated) -> Statistic:
    """Return kappa with quadratic weights."""
    return partial(weighted.kappa, run.pairs)


def alpha(run: Rated) -> Statistic:
    """Return Krippendorff's alpha."""
    units = [list(pair) for pair in zip(run.people.tolist(), run.scorer.tolist(), strict=True)]
    return partial(weighted.alpha, run.clusters.sums(weighted.coincidences(units)))


def correlation(of: Callable[[Floats, Floats, Floats], Floats], run: Rated) -> Statistic:
    """Return a correlation of the scorer's expected label with people's label."""
    people = run.people.astype(float)
    return lambda of_cards: of(run.expected, people, run.clusters.weights(of_cards))


STATISTICS: dict[str, Callable[[Rated], Statistic]] = {
    "same label": same_label,
    "gain": gain,
    "kappa": kappa,
    "alpha": alpha,
    "Spearman": partial(correlation, weighted.spearman),
    "Pearson": partial(correlation, weighted.pearson),
}


def coverage(name: str, n_cards: int, *, n_runs: int) -> tuple[float, float, float]:
    """Return the shares of runs whose interval holds the truth, lies above it and lies below it; none counts as not."""
    made, rng = STATISTICS[name], np.random.default_rng(5)
    (truth,) = made(Rated(rng, TRUE_CARDS))(np.ones((1, TRUE_CARDS)))
    counted: Counter[str] = Counter()
    for _ in range(n_runs):
        found = estimate(made(Rated(rng, n_cards)), n_cards, undefined="", is_share=name == "same label")
        if found.low is None or found.high is None:
            counted["none"] += 1
        else:
            counted["above" if found.low > truth else "below" if found.high < truth else "held"] += 1
    return counted["held"] / n_runs, counted["above"] / n_runs, counted["below"] / n_runs


def main() -> None:
    """Print a line for each statistic and number of cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print("statistic   cards    held   above   below")
    for name in STATISTICS:
        for n_cards in CARDS:
            held, above, below = coverage(name, n_cards, n_runs=runs)
            print(f"{name:11} {n_cards:5}  {held:6.1%}  {above:6.1%}  {below:6.1%}", flush=True)


if __name__ == "__main__":
    main()
