"""A scorer is asked about a user's own dimensions beside the seven: each reading once, without adapters, apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest

from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.wording import ScorerPrompt
from escl.engine.wire import LabelRead
from escl.errors import ContextOverflowError
from escl.evaluation.results import own_scores_of, results_of
from escl.evaluation.run import own_judging_settings
from escl.evaluation.score import Bench, score_own
from escl.memory.pool import Handle
from escl.shelf.manifest import Model
from escl.store.browse import Browser, Wanted
from escl.store.database import Database
from escl.store.run import RunStore
from escl.store.watch import Watcher
from tests.evaluation.test_simulate import Silent
from tests.rubrics import PATIENCE, PLAIN_WORDS
from tests.runs import PROTOCOL, card, rated, settings

ADAPTERS = {(Language.ENGLISH, dimension): (Path("a.gguf"), "1" * 64) for dimension in Dimension}
SCORER = Model(name="s", path=Path("s.gguf"), sha256="2" * 64, size_bytes=1, adapters=ADAPTERS)
LABELS = {"warm": {"c1": [3.0], "c2": [3.0], "z1": [3.0]}, "curt": {"c1": [1.0], "c2": [1.0], "z1": [1.0]}}
CHINESE = card("z1", language=Language.CHINESE)


class Answers:
    """A scorer's handle that gives one label to everything, or fails."""

    def __init__(self, label: int | None = 4, *, fails: bool = False) -> None:
        self.label, self.fails = label, fails
        self.asked: list[tuple[str | None, ScorerPrompt]] = []

    async def read_label(self, *, adapter: str | None, prompt: ScorerPrompt) -> LabelRead:
        self.asked.append((adapter, prompt))
        if self.fails:
            raise ContextOverflowError("too long")
        named = self.label is not None
        return LabelRead(
            id=0,
            reply="The score is 4." if named else "Well.",
            label=self.label,
            probabilities=[0.0, 0.0, 0.0, 0.25, 0.75] if named else None,
            off_label_mass=0.0 if named else None,
            drafted=False,
            busy_s=0.1,
            n_prompt=9,
            n_reused=0,
            n_generated=5,
        )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return rated(tmp_path / "run.db", LABELS, cards=[CHINESE])


def ask(path: Path, answers: Answers, own: Sequence[OwnDimension], *, scorer: Model = SCORER) -> list[int]:
    """Let a scorer read a run in these dimensions, and return the ids of the judgings."""
    with Database.reader(path) as database:
        before = RunStore.read(database).settings
    store = RunStore.begin(Database.writer(path), before, PROTOCOL, command="test", versions={})
    ids = []
    for each in own:
        ids.append(store.add_judging(own_judging_settings(store, scorer, each)))
        bench = Bench(
            store=store,
            judging_id=ids[-1],
            protocol=PROTOCOL,
            handle=cast(Handle, answers),
            adapters=frozenset({"en/fluency"}),
            parallel=2,
            observer=Silent(),
            stop=asyncio.Event(),
        )
        asyncio.run(score_own(bench, each, store.dialogues()))
    store.finish("finished")
    store.close()
    return ids


def test_each_dialogue_in_a_language_of_the_dimension_is_asked_about_once_by_its_words_without_adapter(
    run: Path,
) -> None:
    answers = Answers()
    ask(run, answers, [PATIENCE, PLAIN_WORDS])
    ask(run, answers, [PATIENCE, PLAIN_WORDS])
    assert len(answers.asked) == 6 + 4
    assert {adapter for adapter, _ in answers.asked} == {None}
    for language, own in ((Language.ENGLISH, PLAIN_WORDS), (Language.CHINESE, PATIENCE)):
        rubric = own.languages[language]
        prompt = PROTOCOL.question(language, rubric, [])
        assert prompt.prefix.strip().startswith(rubric.text)
        assert rubric.name in prompt.rest
        assert any(asked.prefix == prompt.prefix for _, asked in answers.asked)


def test_own_dimensions_stand_beside_the_seven_and_change_nothing_of_them(run: Path) -> None:
    with Database.reader(run) as database:
        before = results_of(RunStore.read(database))
    ask(run, Answers(), [PATIENCE, PLAIN_WORDS])
    with Database.reader(run) as database:
        store = RunStore.read(database)
        after = results_of(store)
        assert store.judgings() == [(1, "scorer")]
        found = Browser(database).find(Wanted(below=2.0))
        whole = Browser(database).whole(1)
    assert (after.cells, after.scorer) == (before.cells, before.scorer)
    assert {own.dimension.key: len(own.cells) for own in after.own} == {"patience": 4, "plain-words": 2}
    (cell,) = [one for one in after.own[1].cells if one.supporter == "curt"]
    assert (cell.score.mean, cell.n_used, cell.n_asked, cell.label_counts) == (93.75, 2, 2, (0, 0, 0, 0, 2))
    assert cell.spread is not None
    assert cell.spread.saturated
    # The means by which dialogues are found are over the seven.
    assert len(found) == 3
    assert whole is not None
    assert len(whole.readings) == len(Dimension)
    assert [(one.name, one.scorer, one.reading.label) for one in whole.own] == [
        ("Patience", "s", 4),
        ("Plain words", "s", 4),
    ]


def test_a_scorer_that_fails_or_names_no_label_is_counted_with_its_reason(run: Path) -> None:
    ask(run, Answers(fails=True), [PATIENCE])
    ask(run, Answers(label=None), [PLAIN_WORDS])
    with Database.reader(run) as database:
        patience, plain = own_scores_of(RunStore.read(database))
        (trouble, *_) = Watcher(database).troubles()
    assert patience.cells[0].failed == {"ContextOverflowError": 2}
    assert {(failure.own, failure.dimension) for failure in patience.failures} == {("patience", None)}
    assert plain.cells[0].failed == {"reply without a label": 2}
    assert trouble.own == "patience"


def test_what_was_given_up_is_asked_again_only_when_wanted(run: Path) -> None:
    ask(run, Answers(fails=True), [PATIENCE])
    again = Answers()
    (number,) = ask(run, again, [PATIENCE])
    assert again.asked == []
    store = RunStore.begin(Database.writer(run), settings(), PROTOCOL, command="test", versions={})
    store.retry_failed(judging_id=number)
    store.close()
    ask(run, again, [PATIENCE])
    assert len(again.asked) == 6


def test_other_words_and_another_scorer_read_anew_and_the_latest_is_shown(run: Path) -> None:
    rubric = PLAIN_WORDS.languages[Language.ENGLISH]
    reworded = OwnDimension(
        key="plain-words", languages={Language.ENGLISH: msgspec.structs.replace(rubric, name="Simple words")}
    )
    other = msgspec.structs.replace(SCORER, name="t", sha256="3" * 64)
    first = ask(run, Answers(), [PLAIN_WORDS])
    second = ask(run, Answers(label=None), [reworded])
    third = ask(run, Answers(), [reworded], scorer=other)
    assert len({*first, *second, *third}) == 3
    with Database.reader(run) as database:
        (own,) = own_scores_of(RunStore.read(database))
    assert (own.scorer, own.dimension.shown(Language.ENGLISH)) == ("t", "Simple words")
    assert own.cells[0].n_used == 2


def test_progress_counts_the_readings_of_own_dimensions(run: Path) -> None:
    ask(run, Answers(), [PLAIN_WORDS])
    with Database.reader(run) as database:
        progress = Watcher(database).progress()
    assert (progress.n_readings, progress.n_readings_asked) == (6 * 7 + 4, 6 * 7 + 4)
    assert progress.scorer == "scorer"
