"""Labels that ESC-Eval's score.py wrote, without the dialogues: how they are spread, and whether they tell anything.

Such files hold whole labels and no probabilities, so there is no expected label and no interval worth the name here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, LABELS, Dimension
from escl.errors import UsageError
from escl.stats.labels import LabelSpread, label_spread
from escl.store.upstream import read_scores


class FileLabels(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension of one file, or of all files together.

    Attributes:
        file: The file's name without its ending, which names the supporter; None for all together.
        counts: How often each label 0 to 4 stands there.
        n_without: Dialogues in which score.py found no label; they are in no other number here.
        label_score: Mean label times 25, as the published leaderboard counts; None without labels.
        spread: None without labels.
    """

    file: str | None
    dimension: Dimension
    counts: tuple[int, int, int, int, int]
    n_without: int
    label_score: float | None
    spread: LabelSpread | None


def labels_of(files: list[Path]) -> list[FileLabels]:
    """Return what each file holds in each dimension, and behind that what all of them hold where there are several.

    Raises:
        DialogueFileError: One is no file of ESC-Eval's score.py.
        UsageError: Two have one name.
    """
    twice = [name for name, n in Counter(path.stem for path in files).items() if n > 1]
    if twice:
        raise UsageError(f"two files are named {twice[0]}", hint="the file's name names the supporter; rename one")
    read = {path.stem: read_scores(path) for path in files}
    found = [_labels(name, dimension, scores) for name, scores in read.items() for dimension in Dimension]
    if len(read) > 1:
        together = {f"{name}/{key}": labels for name, scores in read.items() for key, labels in scores.items()}
        found += [_labels(None, dimension, together) for dimension in Dimension]
    return found


def _labels(name: str | None, dimension: Dimension, scores: Mapping[str, Mapping[Dimension, int]]) -> FileLabels:
    counted = Counter(labels[dimension] for labels in scores.values())
    n = sum(counted[label] for label in LABELS)
    total = sum(label * counted[label] for label in LABELS)
    counts = (counted[0], counted[1], counted[2], counted[3], counted[4])
    return FileLabels(
        file=name,
        dimension=dimension,
        counts=counts,
        n_without=counted[-1],
        label_score=total * LABEL_TO_PERCENT / n if n else None,
        spread=label_spread(counts),
    )
