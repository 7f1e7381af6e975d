"""A certificate compares what both scorers read of the same dialogues, says what is missing, and gives one verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from escl.core.bundled import bundled
from escl.core.card import CrisisKind
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.settings import ImportSettings
from escl.errors import UsageError
from escl.evaluation.certificate import Certificate
from escl.evaluation.fidelity import ReadRun, certify, common_protocol, is_same_model, verdict_of
from escl.evaluation.run import judging_settings
from escl.shelf.manifest import Model
from escl.store.database import Database
from escl.store.records import FailureRow, Reading
from escl.store.run import RunStore
from tests.runs import CARD, PROTOCOL

A = Model(name="small", path=Path("small.gguf"), sha256="a" * 64, size_bytes=10)
B = Model(name="large", path=Path("large.gguf"), sha256="b" * 64, size_bytes=20)
Says = Callable[[int, Dimension], Reading | str | None]
"""What a scorer says of the n-th dialogue: a reading, why it failed, or None for not read."""


def reading(label: int | None, *, up: float = 0.0) -> Reading:
    """Return a reading that is sure of its label but for `up`, which goes to the next one."""
    p = [0.0] * 6
    if label is not None:
        p[label], p[label + 1] = 0.99 - up, up
    return Reading(
        dialogue_id=0,
        dimension=Dimension.OVERALL,
        reply="",
        label=label,
        probabilities=None if label is None else (p[0], p[1], p[2], p[3], p[4]),
        off_label_mass=None if label is None else 0.01,
        drafted=False,
        busy_s=0.0,
    )


def read(path: Path, cards: int, scorer: Says, against: Says, *, supporters: tuple[str, ...] = ("s",)) -> ReadRun:
    """Write a run of imported dialogues that both have read."""
    settings = ImportSettings(files=dict.fromkeys(supporters, path.name), protocol_sha256=PROTOCOL.sha256())
    store = RunStore.begin(Database.writer(path), settings, PROTOCOL, command="test", versions={})
    turns = [Turn(speaker=Speaker.SEEKER, text="I cannot sleep."), Turn(speaker=Speaker.SUPPORTER, text="Tell me.")]
    for supporter in supporters:
        for at in range(cards):
            store.import_dialogue(card_id=f"c{at}", language=Language.ENGLISH, supporter=supporter, turns=turns)
    ids = [store.add_judging(judging_settings(store, model)) for model in (A, B)]
    for judging_id, says in zip(ids, (scorer, against), strict=True):
        for at, dialogue in enumerate(store.dialogues()):
            for dimension in Dimension:
                _put(store, judging_id, dialogue.id, dimension, says(at, dimension))
    store.close()
    return ReadRun(path=path, scorer_judging=ids[0], against_judging=ids[1])


def _put(store: RunStore, judging_id: int, dialogue_id: int, dimension: Dimension, said: Reading | str | None) -> None:
    if isinstance(said, str):
        failure = FailureRow(dialogue_id=dialogue_id, dimension=dimension, error=said, message="")
        store.add_failure(failure, judging_id=judging_id)
    elif said is not None:
        kept = msgspec.structs.replace(said, dialogue_id=dialogue_id, dimension=dimension)
        store.add_reading(judging_id, kept)


def of(*runs: ReadRun, margin: float = 1.0) -> Certificate:
    return certify(runs, A, B, protocol=PROTOCOL, margin=margin)


def test_equal_readings_of_enough_cards_are_equivalent_in_every_dimension(tmp_path: Path) -> None:
    run = read(tmp_path / "r.db", 12, lambda at, _: reading(at % 4), lambda at, _: reading(at % 4))
    made = of(run)
    assert made.verdict == "equivalent"
    assert made.words.startswith("equivalent: in all 7 combinations")
    assert [cell.dimension for cell in made.cells] == list(Dimension)
    assert all((cell.agreement.exact, cell.agreement.n_used) == (1, 12) for cell in made.cells)
    assert (made.scorer.sha256, made.against.sha256, made.runs[0].file) == ("a" * 64, "b" * 64, "r.db")


def test_a_shift_without_a_single_other_label_is_found(tmp_path: Path) -> None:
    def scorer(at: int, dimension: Dimension) -> Reading:
        return reading(at % 4, up=0.2 if dimension is Dimension.EMPATHY else 0.0)

    made = of(read(tmp_path / "r.db", 12, scorer, lambda at, _: reading(at % 4)))
    assert made.verdict == "different"
    assert made.words.startswith("different: 1 of 7 combinations")
    assert made.words.endswith("shift by more than ±1 points: en Empathy +5.1")
    assert all(cell.agreement.exact == 1 for cell in made.cells)


def test_what_one_could_not_read_is_counted_by_side_and_leaves_the_verdict_open(tmp_path: Path) -> None:
    def scorer(at: int, _: Dimension) -> Reading | str | None:
        special: dict[int, Reading | str | None] = {0: reading(None), 1: "ContextOverflowError", 2: None}
        return special.get(at, reading(2))

    run = read(tmp_path / "r.db", 14, scorer, lambda at, _: "ContextOverflowError" if at == 1 else reading(2))
    made = of(run)
    assert made.cells[0].agreement.failed == {
        "scorer: reply without a label": 1,
        "both: ContextOverflowError": 1,
        "scorer: not scored yet": 1,
    }
    assert (made.cells[0].agreement.n_asked, made.cells[0].agreement.n_used) == (14, 11)
    assert made.words == (
        "cannot tell for 7 of 7 combinations of language and dimension: 2 dialogues have a label of one scorer only"
    )


def test_the_same_card_in_two_runs_and_of_two_supporters_is_one_card(tmp_path: Path) -> None:
    runs = [
        read(tmp_path / name, 3, lambda at, _: reading(2), lambda at, _: reading(2), supporters=("s", "t"))
        for name in ("one.db", "two.db")
    ]
    shift = of(*runs).cells[0].agreement.shift
    assert (shift.n, shift.n_clusters) == (12, 3)


def test_too_few_cards_say_how_many_would_do(tmp_path: Path) -> None:
    run = read(tmp_path / "r.db", 2, lambda at, _: reading(2), lambda at, _: reading(2))
    assert of(run).words.endswith("2 cards are too few; about 10 cards would decide")


def test_crisis_cards_have_cells_of_their_own(tmp_path: Path) -> None:
    run = read(tmp_path / "r.db", 2, lambda at, _: reading(2), lambda at, _: reading(2))
    with Database.writer(run.path) as database:
        RunStore.read(database).add_cards([msgspec.structs.replace(CARD, id="c0", crisis=next(iter(CrisisKind)))])
    cells = of(run).cells
    assert [(cell.crisis, cell.agreement.n_asked) for cell in cells] == [(False, 1)] * 7 + [(True, 1)] * 7


def test_no_dialogue_is_no_agreement() -> None:
    assert verdict_of([], margin=1)[0] == "cannot tell"


def test_runs_of_different_protocols_are_not_compared(tmp_path: Path) -> None:
    one = read(tmp_path / "one.db", 1, lambda at, _: reading(2), lambda at, _: reading(2))
    other = msgspec.structs.replace(PROTOCOL, version=PROTOCOL.version + 1)
    settings = ImportSettings(files={}, protocol_sha256=other.sha256())
    RunStore.begin(Database.writer(tmp_path / "two.db"), settings, other, command="test", versions={}).close()
    assert common_protocol([one.path]) == PROTOCOL
    with pytest.raises(UsageError, match="different protocols"):
        common_protocol([one.path, tmp_path / "two.db"])


def test_a_model_of_other_shapes_is_another_model() -> None:
    scorer, seeker = (bundled("gguf") / "demo" / f"{name}.gguf" for name in ("scorer", "seeker"))
    assert is_same_model(scorer, scorer)
    assert not is_same_model(scorer, seeker)
