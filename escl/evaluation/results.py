"""A run's results as values: from the stored facts to the summary that every front end shows."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

import msgspec

from escl.core.dimension import Dimension, lowest_digit
from escl.core.message import Message
from escl.core.own_dimension import OwnDimension
from escl.core.settings import GenerationSettings
from escl.errors import StorageError
from escl.evaluation.crisis import crisis_notice
from escl.evaluation.validity import validity_notice
from escl.stats.summary import Average, Cell, Scored, ScoredDialogue, Tally, average_scores, summarize, tally
from escl.store.records import DialogueRow, FailureRow, LabelReading, LoadRow, ModelRow
from escl.store.run import RunStore

NOT_SCORED = "not scored yet"
NOT_FINISHED = "dialogue not finished"


Adjust = Callable[[list[Scored]], list[Scored]]
"""Changes what the scorer said before it is summed up: a recalibration, which its caller must say."""


class OwnScores(msgspec.Struct, frozen=True, kw_only=True):
    """What a scorer said about one dimension of the user's own: beside the seven, in no average with them.

    Attributes:
        dimension: With every word that the scorer was asked.
        scorer: Who was asked, without adapters.
        failures: What the scorer gave up.
    """

    dimension: OwnDimension
    scorer: str
    cells: list[Tally]
    failures: list[FailureRow]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has come to.

    Attributes:
        protocol: The name of the run's protocol.
        notices: What must be said wherever the scores are shown.
        n_dialogues: Dialogues by state.
        scorer: Whose readings these are; None when nothing was scored.
        averages: Of the seven dimensions.
        cut_turns: How many turns of either speaker the token limit cut, by the supporter in whose dialogues.
        failures: What was given up, by the speakers and by this scorer.
        loads: Every stay of a model in memory, in order of time.
        connections: Network connections that were tried in all, 0 where every supporter ran here.
        asked_again: How often a supporter outside had to be asked again, by its name; zeros left out.
        answered_as: What an endpoint called its model, by the supporter's name.
        own: The user's own dimensions.
    """

    settings: GenerationSettings
    protocol: str
    models: list[ModelRow]
    notices: list[str]
    n_dialogues: dict[str, int]
    cut_turns: dict[str, int]
    scorer: str | None
    cells: list[Cell]
    averages: list[Average]
    failures: list[FailureRow]
    loads: list[LoadRow]
    connections: int = 0
    asked_again: dict[str, int] = {}
    answered_as: dict[str, list[str]] = {}
    own: list[OwnScores] = []

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be said or read."""
        waiting = self.n_dialogues["speaking"] + self.n_dialogues["pending"]
        return waiting == 0 and not any(NOT_SCORED in cell.failed for cell in self.all_cells)

    @property
    def all_cells(self) -> list[Tally]:
        """The cells of the seven dimensions and of the user's own."""
        return [*self.cells, *(cell for own in self.own for cell in own.cells)]

    @property
    def all_failures(self) -> list[FailureRow]:
        """What was given up by the speakers and by all scorers that are shown."""
        return [*self.failures, *(failure for own in self.own for failure in own.failures)]


def model_notices(store: RunStore, scorer: str | None, own: Sequence[OwnScores]) -> list[str]:
    """Return what the models of a run, of its scorers those that are shown, must have said of them."""
    models = store.models()
    named = {model.name for model in models if model.role != "scorer"} | {scorer, *(each.scorer for each in own)}
    return list(dict.fromkeys(m.notice for m in models if m.notice and m.name in named))


def results_of(store: RunStore, *, judging_id: int | None = None, adjust: Adjust | None = None) -> Results:
    """Return the results of a run as the judging `judging_id` read it, by default the one asked for last.

    Raises:
        StorageError: The run has no judging of that id.
    """
    dialogues = store.dialogues()
    judging_id, scorer = chosen_judging(store, judging_id)
    states = dict.fromkeys(("complete", "failed", "speaking", "pending"), 0)
    for dialogue in dialogues:
        states[dialogue.state] += 1
    cut = store.cut_turns()
    by_supporter = {d.supporter: 0 for d in dialogues}
    for dialogue in dialogues:
        by_supporter[dialogue.supporter] += cut.get(dialogue.id, 0)
    own = own_scores_of(store)
    scored = [] if judging_id is None else (adjust or list)(scored_of(store, judging_id))
    return Results(
        settings=store.settings,
        protocol=store.protocol.name,
        models=store.models(),
        notices=[
            *model_notices(store, scorer, own),
            *_forgeries(store, dialogues),
            *_ended_early(store, dialogues),
            *validity_notice(store),
            *crisis_notice(store),
        ],
        n_dialogues=states,
        cut_turns=by_supporter,
        scorer=scorer,
        cells=summarize(scored),
        averages=average_scores(scored),
        failures=[*store.failures(), *([] if judging_id is None else store.failures(judging_id))],
        loads=store.loads(),
        connections=store.connections(),
        asked_again=store.asked_again(),
        answered_as=store.answered_as(),
        own=own,
    )


def own_scores_of(store: RunStore, *, cards: Collection[str] | None = None) -> list[OwnScores]:
    """Return what was said about each of the user's own dimensions, as the latest judging of it read the run.

    Args:
        store: The run.
        cards: Ids of the cards that count; None is all.
    """
    return [
        OwnScores(
            dimension=own,
            scorer=store.judging_settings(judging_id).scorer,
            cells=tally(one for one in own_scored_of(store, judging_id, own) if cards is None or one.cluster in cards),
            failures=store.failures(judging_id),
        )
        for judging_id, own in store.own_judgings()
    ]


def own_scored_of(store: RunStore, judging_id: int, own: OwnDimension) -> list[ScoredDialogue]:
    """Return every dialogue that was to be read in one of the user's own dimensions, with the reason where it was not.

    Dialogues in languages that the dimension has no words for are left out: nobody was asked about them.
    """
    crisis = {card.id for card in store.cards().values() if card.crisis is not None}
    readings = {reading.dialogue_id: reading for reading in store.own_readings(judging_id)}
    failed = {failure.dialogue_id: failure for failure in [*store.failures(judging_id), *store.failures()]}
    return [
        ScoredDialogue(
            supporter=dialogue.supporter,
            language=dialogue.language,
            cluster=dialogue.card_id,
            repeat=dialogue.repeat,
            crisis=dialogue.card_id in crisis,
            expected=None if reading is None else reading.expected,
            label=None if reading is None else reading.label,
            upstream_label=None if reading is None else lowest_digit(reading.reply),
            missing=_why_missing(dialogue, reading, failed.get(dialogue.id)),
        )
        for dialogue in store.dialogues()
        if dialogue.language in own.languages
        for reading in [readings.get(dialogue.id)]
    ]


def _forgeries(store: RunStore, dialogues: list[DialogueRow]) -> list[str]:
    """Return a notice for each supporter whose dialogues hold what its scorer may have taken for turns of their own."""
    protocol = store.protocol
    if not protocol.rewriting:
        return []
    counted = Counter(
        dialogue.supporter
        for dialogue in dialogues
        if any(protocol.may_forge(dialogue.language, turn.text) for turn in store.turns(dialogue.id))
    )
    return [
        Message("results.forged", {"n": n, "supporter": supporter, "protocol": protocol.name})
        for supporter, n in counted.items()
    ]


def _ended_early(store: RunStore, dialogues: list[DialogueRow]) -> list[str]:
    """Return what must be said of a run that has not played all its cards."""
    n_cards, n_played = len(store.cards()), len({dialogue.card_id for dialogue in dialogues})
    if n_played >= n_cards:
        return []
    return [Message("results.ended-early", {"n": n_played, "all": n_cards})]


def chosen_judging(store: RunStore, judging_id: int | None) -> tuple[int | None, str | None]:
    """Return the (id, scorer) of the judging of that id, by default the one asked for last; Nones without any.

    Raises:
        StorageError: The run has no judging of that id.
    """
    judgings = dict(store.judgings())
    if judging_id is None:
        judging_id = next(reversed(judgings), None)
    elif judging_id not in judgings:
        raise StorageError(f"the run has no judging {judging_id}", hint=f"it has {sorted(judgings)}")
    return judging_id, None if judging_id is None else judgings[judging_id]


def scored_of(store: RunStore, judging_id: int) -> list[Scored]:
    """Return every dimension of every dialogue as one judging read it, with the reason where it did not."""
    cards = store.cards()
    readings = {(r.dialogue_id, r.dimension): r for r in store.readings(judging_id)}
    speaking_failed = {f.dialogue_id: f for f in store.failures()}
    reading_failed = {(f.dialogue_id, f.dimension): f for f in store.failures(judging_id)}
    crisis = {card.id for card in cards.values() if card.crisis is not None}
    # Replies are nearly all alike.
    upstream_label = lru_cache(lowest_digit)
    scored = []
    for dialogue, dimension in itertools.product(store.dialogues(), Dimension):
        key = (dialogue.id, dimension)
        reading = readings.get(key)
        scored.append(
            Scored(
                supporter=dialogue.supporter,
                language=dialogue.language,
                dimension=dimension,
                cluster=dialogue.card_id,
                repeat=dialogue.repeat,
                crisis=dialogue.card_id in crisis,
                expected=None if reading is None else reading.expected,
                label=None if reading is None else reading.label,
                upstream_label=None if reading is None else upstream_label(reading.reply),
                missing=_why_missing(dialogue, reading, speaking_failed.get(dialogue.id) or reading_failed.get(key)),
            )
        )
    return scored


def _why_missing(dialogue: DialogueRow, reading: LabelReading | None, failure: FailureRow | None) -> str | None:
    if reading is not None:
        return "reply without a label" if reading.label is None else None
    if failure is not None:
        return failure.error
    return NOT_SCORED if dialogue.state == "complete" else NOT_FINISHED
