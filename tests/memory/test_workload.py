"""The tokens of a run, counted turn by turn, are those that the formulas give."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from escl.core.bundled import bundled
from escl.core.card_file import load_cards
from escl.core.dimension import Dimension, Language
from escl.core.judging import load_rubric
from escl.core.protocol import load_protocol
from escl.memory.workload import (
    LanguageWork,
    Reply,
    Tokens,
    Workload,
    comparing_workload,
    scoring_workload,
    tokens_in,
    typical_reply,
    workload_of,
)

FRAME = 6
SEEKER, SUPPORTER = Reply(typical=40, longest=512), Reply(typical=200, longest=256)


def one_dialogue(rounds: int, *, seeker_prompt: int = 300, supporter_prompt: int = 30) -> Workload:
    work = LanguageWork(
        language=Language.ENGLISH,
        cards=1,
        seeker_prompt=seeker_prompt,
        supporter_prompt=supporter_prompt,
        rubrics=700,
        question=50,
    )
    return Workload(languages=(work,), rounds=rounds)


@given(rounds=st.integers(1, 12))
def test_whole_histories_are_what_reading_everything_before_each_turn_adds_up_to(rounds: int) -> None:
    seeker = supporter = 0
    history_seeker, history_supporter = 300, 30
    for _ in range(rounds):
        seeker += history_seeker
        history_supporter += 40 + FRAME
        supporter += history_supporter + FRAME
        history_supporter += 200 + FRAME
        history_seeker += 40 + 200 + 2 * FRAME
    workload = one_dialogue(rounds)
    # While a reply grows, half of it is in the cache, with all that was read before it.
    asked, answered = (seeker + rounds * 20) * 40, (supporter + rounds * 100) * 200
    assert workload.seeker(SEEKER, SUPPORTER, whole=True) == Tokens(prefill=seeker, decode=rounds * 40, attended=asked)
    assert workload.supporter(SEEKER, SUPPORTER, whole=True) == Tokens(
        prefill=supporter, decode=rounds * 200, attended=answered
    )
    assert workload.seeker(SEEKER, SUPPORTER, whole=False).attended == asked
    assert workload.supporter(SEEKER, SUPPORTER, whole=False).attended == answered


@given(rounds=st.integers(1, 12))
def test_a_kept_history_reads_every_message_of_the_other_once(rounds: int) -> None:
    workload = one_dialogue(rounds)
    new = workload.seeker(SEEKER, SUPPORTER, whole=False)
    assert new.prefill == 300 + (rounds - 1) * (200 + 2 * FRAME)
    assert workload.supporter(SEEKER, SUPPORTER, whole=False).prefill == 30 + rounds * (40 + 2 * FRAME)
    assert new.prefill <= workload.seeker(SEEKER, SUPPORTER, whole=True).prefill


def test_each_rubric_is_read_once_and_each_dialogue_once_in_each_dimension() -> None:
    workload = one_dialogue(5)
    one = workload.scoring(SEEKER, [SUPPORTER])
    two = workload.scoring(SEEKER, [SUPPORTER, SUPPORTER])
    assert two.prefill - one.prefill == one.prefill - 700
    transcript = 5 * (40 + 200 + 2 * FRAME)
    assert one.prefill == 700 + 7 * (transcript + 50 + 12)


def test_a_shorter_token_limit_makes_shorter_turns_but_a_longer_one_does_not_make_them_longer() -> None:
    assert typical_reply(250, 96) == Reply(typical=96, longest=96)
    assert typical_reply(250, 4096) == Reply(typical=250, longest=4096)


def test_the_context_holds_the_typical_dialogue_half_as_long_again_and_the_longest_reply() -> None:
    assert one_dialogue(5).context_of_dialogue(SEEKER, SUPPORTER) == 1.5 * (300 + 5 * (240 + 2 * FRAME)) + 512


def test_the_bundled_cards_are_counted_by_language() -> None:
    cards = load_cards(Path(bundled("role_cards")))
    workload = workload_of(cards, load_protocol("open"), rounds=5, repeats=2)
    assert workload.dialogues == 2 * len(cards)
    assert [work.language for work in workload.languages] == list(Language)
    for work in workload.languages:
        own = [card for card in cards if card.language is work.language]
        mean = sum(tokens_in(card.text) for card in own) / len(own)
        assert work.seeker_prompt > mean + tokens_in(load_protocol("open").wording(work.language).greeting)


def test_finished_dialogues_are_as_long_as_they_are() -> None:
    workload = scoring_workload({Language.ENGLISH: ["a" * 400, "b" * 800], Language.CHINESE: []}, load_protocol("open"))
    (work,) = workload.languages
    assert (work.cards, work.transcript) == (2, 150)
    read = workload.scoring(SEEKER, [SUPPORTER]).prefill - work.rubrics
    assert read == 7 * 2 * (150 + work.question + 12)


def test_chinese_characters_are_more_tokens_than_letters() -> None:
    assert tokens_in("word" * 10) == 10
    assert tokens_in("好" * 10) == 6


def test_comparing_reads_each_question_once_and_each_rubric_once() -> None:
    rubric = load_rubric("open")
    both = (Dimension.OVERALL, Dimension.EMPATHY)
    small = comparing_workload({Language.ENGLISH: [600, 800]}, rubric, both)
    large = comparing_workload({Language.ENGLISH: [600, 800, 600, 800]}, rubric, both)
    prefixes = sum(tokens_in(rubric.question(Language.ENGLISH, one, "", "").prefix) for one in both)
    assert large.comparing().prefill - small.comparing().prefill == small.comparing().prefill - prefixes
    assert small.comparing().prefill > prefixes + 1400
    assert large.comparing().decode == 2 * small.comparing().decode
    assert comparing_workload({Language.CHINESE: []}, rubric, both).comparing().prefill == 0
