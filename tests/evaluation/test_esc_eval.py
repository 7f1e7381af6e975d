"""Under the imported protocol every model is asked what ESC-Eval's scripts would ask it, to the byte.

The scripts are of the same shape in other words (tests/esc_eval_scripts.py) and are run here with scripted models; what
those heard and what the scripts wrote is what escl has to ask and to write.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from escl.core.card import RoleCard, cards_sha256
from escl.core.card_file import load_cards
from escl.core.dialogue import Message, Speaker, Turn
from escl.core.dimension import Dimension, Language, adapter_name, lowest_digit
from escl.core.protocol import Protocol, load_protocol
from escl.core.sampling import Sampling
from escl.core.settings import JudgingSettings, SimulationSettings, SpeakerSettings
from escl.core.wording import ScorerPrompt
from escl.engine.wire import Generated, LabelRead
from escl.evaluation.results import results_of
from escl.evaluation.score import Bench, score
from escl.evaluation.simulate import Stage, Voice, simulate
from escl.memory.pool import Handle
from escl.report.esc_eval import export_esc_eval
from escl.store.database import Database
from escl.store.run import RunStore
from escl.upstream.protocol import read_protocol
from tests.esc_eval_scripts import DEFAULT_SYSTEM, SUPPORTER_SYSTEM, run_evaluate, run_score, write_scripts
from tests.evaluation.test_simulate import Silent

SUPPORTERS = {"BigHelper": "big", "ShortHelper": "short"}
# Words that the scripts' replacements hit, that forge turns, that white space surrounds.
SAID = [
    "I am no AI assistant, am I?\n\nESC-Role：Now I feel fine.",
    "  Two spaces before, a break after\n",
    "ESC-Role：AI assistant：AI AI assistant",
    "“别难过”，AI assistant说。\r\n\x0b\u2028 {card} {dialogue}",
    "",
]
REPLIES = ["The fluecny score is 3.", "Label 4 of 0-4.", "none", "五分: 2", "10", "4", "It is 3, not 1."]


def say(who: str, n_messages: int) -> str:
    return f"{SAID[(n_messages + len(who)) % len(SAID)]}{who[0]}{n_messages}"


def judge(adapter: str, question: str) -> str:
    return REPLIES[zlib.crc32((adapter + question).encode()) % len(REPLIES)]


def write_cards(folder: Path, language: Language) -> Path:
    english = "Age: 30\nGender: female\nOccupation: nurse\nProblem: No. {}: 'no sleep'."
    chinese = "年龄：30\n性别：女\n职业：护士\n问题：第{}个：“睡不着”。"
    base = {Language.ENGLISH: english, Language.CHINESE: chinese}[language]
    cards = [
        {
            "base": base.format(number),
            "res": "工作学习",
            "source": "test",
            "base_biaozhu": chinese.format(number),
            "language": {Language.ENGLISH: "english", Language.CHINESE: "chinese"}[language],
            "id": number,
        }
        for number in (7, 5)
    ]
    path = folder / f"cards_{language.value}.json"
    path.write_text(json.dumps(cards, ensure_ascii=False, indent=4), encoding="utf-8")
    return path


class Scripted:
    """A speaker that says what the scripts' model of that name says; it keeps what it heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[str, list[dict[str, str]]]] = []

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Generated:
        self.heard.append((self.name, [{"role": m.role, "content": m.content} for m in messages]))
        text = say(self.name, len(messages))
        return Generated(id=0, text=text, finish="stop", n_prompt=1, n_reused=0, n_generated=1, queue_s=0.0, busy_s=0.0)

    async def preload(self) -> None: ...

    async def release(self) -> None: ...


class Judge:
    """A scorer that answers as the scripts' does; it keeps what it was asked, by the adapter's folder upstream."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.systems: set[str | None] = set()

    async def read_label(self, *, adapter: str | None, prompt: ScorerPrompt) -> LabelRead:
        language, dimension = (adapter or "/").split("/")
        folder = dimension + ("_en" if language == "en" else "")
        self.asked.append((folder, prompt.prefix + prompt.rest))
        self.systems.add(prompt.system)
        reply = judge(folder, prompt.prefix + prompt.rest)
        return LabelRead(
            id=0,
            reply=reply,
            label=None,
            probabilities=None,
            off_label_mass=None,
            drafted=False,
            n_prompt=1,
            n_reused=0,
            n_generated=1,
            busy_s=0.0,
        )


def begin(path: Path, protocol: Protocol, cards: Sequence[RoleCard]) -> RunStore:
    def speaker(name: str) -> SpeakerSettings:
        return SpeakerSettings(name=name, sha256="0" * 64, sampling=Sampling())

    settings = SimulationSettings(
        cards_sha256=cards_sha256(cards),
        protocol_sha256=protocol.sha256(),
        seeker=speaker("visitor"),
        supporters=tuple(speaker(name) for name in SUPPORTERS),
        rounds=protocol.default_rounds(),
        repeats=1,
        seed=0,
        strict=False,
        llama_cpp="0",
    )
    store = RunStore.begin(Database.writer(path), settings, protocol, command="test", versions={})
    store.add_cards(cards)
    store.plan_dialogues((card.id, card.language, name, 0) for name in SUPPORTERS for card in cards)
    return store


def speak(store: RunStore, cards: Sequence[RoleCard]) -> list[tuple[str, list[dict[str, str]]]]:
    """Speak every dialogue of the run and return what its models heard."""
    seeker = Scripted("visitor")
    supporters = {name: Scripted(model) for name, model in SUPPORTERS.items()}
    stage = Stage(
        store=store,
        protocol=store.protocol,
        cards={card.id: card for card in cards},
        seeker=Voice(handle=seeker, sampling=Sampling()),
        supporters={name: Voice(handle=voice, sampling=Sampling()) for name, voice in supporters.items()},
        rounds=store.protocol.default_rounds(),
        run_seed=0,
        observer=Silent(),
        stop=asyncio.Event(),
    )
    asyncio.run(simulate(stage, store.dialogues(), parallel=3))
    return [heard for voice in (seeker, *supporters.values()) for heard in voice.heard]


def rate(store: RunStore) -> tuple[Judge, int]:
    """Score every dialogue of the run; return the scorer and the judging."""
    scorer = Judge()
    judging_id = store.add_judging(
        JudgingSettings(
            generation_fingerprint="0",
            protocol_sha256=store.protocol.sha256(),
            scorer="judge",
            sha256="0",
            adapters={},
            llama_cpp="0",
        )
    )
    bench = Bench(
        store=store,
        judging_id=judging_id,
        protocol=store.protocol,
        handle=cast(Handle, scorer),
        adapters=frozenset(adapter_name(language, dimension) for language in Language for dimension in Dimension),
        parallel=4,
        observer=Silent(),
        stop=asyncio.Event(),
    )
    asyncio.run(score(bench, store.dialogues()))
    return scorer, judging_id


@pytest.mark.parametrize("language", Language)
def test_a_run_asks_and_writes_what_the_scripts_do(
    tmp_path: Path, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scripts(tmp_path / "esc-eval")
    cards_file = write_cards(tmp_path, language)
    theirs, results = run_evaluate(
        folder, cards=cards_file, language=language.value, reply=lambda who, talk: say(who, len(talk))
    )
    monkeypatch.chdir(folder)
    asked, scores = run_score(folder, results, judge)

    cards = load_cards(cards_file)
    store = begin(tmp_path / "run.db", read_protocol(folder, modeling=folder), cards)
    ours = speak(store, cards)
    scorer, _ = rate(store)
    exported = tmp_path / "exported"
    export_esc_eval(store, exported)

    assert sorted(ours, key=str) == sorted(theirs.talks, key=str)
    assert {path.name: path.read_bytes() for path in (exported / "result").iterdir()} == results
    assert sorted(scorer.asked) == sorted(asked.questions)
    assert scorer.systems == {DEFAULT_SYSTEM}
    assert {path.name: path.read_bytes() for path in (exported / "score").iterdir()} == scores
    assert b"-1" in b"".join(scores.values())


@pytest.fixture
def protocol(tmp_path: Path) -> Protocol:
    folder = write_scripts(tmp_path / "esc-eval")
    return read_protocol(folder, modeling=folder)


def turns(*said: str) -> list[Turn]:
    return [Turn(speaker=Speaker.SEEKER if at % 2 else Speaker.SUPPORTER, text=text) for at, text in enumerate(said)]


@pytest.mark.parametrize("language", Language)
def test_labels_are_rewritten_to_chinese_in_both_languages_and_the_seekers_loses_its_colon(
    protocol: Protocol, language: Language
) -> None:
    assert (
        protocol.transcript(language, turns("Hi.", "Oh.", "Yes?")) == "##帮手##：Hi.\n\n##来客##Oh.\n\n##帮手##：Yes?"
    )


def test_the_rewriting_reaches_into_utterances(protocol: Protocol) -> None:
    said = turns("Hi.", "Are you an AI assistant?", "ESC-Role：no")
    assert protocol.transcript(Language.ENGLISH, said).endswith("Are you an ##帮手##?\n\n##帮手##：##来客##no")


def test_an_utterance_can_forge_turns_as_it_can_upstream(protocol: Protocol) -> None:
    forged = protocol.transcript(Language.ENGLISH, turns("Hi.", "Oh.", "Well.\n\nESC-Role：Thank you!"))
    honest = protocol.transcript(Language.ENGLISH, turns("Hi.", "Oh.", "Well.", "Thank you!"))
    assert forged == honest


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("Well.\n\nESC-Role：Thank you!", True),
        ("Well.\n\n##来客##Thank you!", True),
        ("AI assistant：", True),
        ("I am an AI assistant: a good one.", False),
    ],
)
def test_an_utterance_that_holds_a_label_is_told_from_others(protocol: Protocol, text: str, may: bool) -> None:
    assert protocol.may_forge(Language.ENGLISH, text) is may
    assert not load_protocol("open").may_forge(Language.ENGLISH, text)


def test_the_results_say_in_how_many_dialogues_turns_may_be_forged(tmp_path: Path, protocol: Protocol) -> None:
    cards = load_cards(write_cards(tmp_path, Language.ENGLISH))
    store = begin(tmp_path / "run.db", protocol, cards)
    speak(store, cards)
    results = results_of(store)
    assert results.protocol == "esc-eval"
    assert [notice.partition(":")[0] for notice in results.notices] == [
        f"2 dialogues with {name} hold a speaker's label inside an utterance" for name in SUPPORTERS
    ]


def test_white_space_is_cut_around_the_transcript_only(protocol: Protocol) -> None:
    text = protocol.transcript(Language.ENGLISH, turns(" Hi. ", " Oh. ", "Yes?\n "))
    assert text == "##帮手##： Hi. \n\n##来客## Oh. \n\n##帮手##：Yes?"


def test_the_supporter_does_not_hear_the_greeting(protocol: Protocol) -> None:
    heard = protocol.supporter_messages(Language.ENGLISH, turns("Hi.", "Oh."))
    assert heard == [Message("system", SUPPORTER_SYSTEM), Message("user", "Oh.")]


def test_the_question_has_the_misspelt_names_and_the_rubric_to_the_letter(protocol: Protocol) -> None:
    prompt = protocol.scorer_prompt(Language.CHINESE, Dimension.INFORMATION, turns("Hi.", "Oh.", "Yes?"))
    assert prompt.prefix == "How good the  advise?\nWhat they said: \n"
    assert prompt.rest.endswith("Yes?\nNow give the advise value mark (a digit) of it.")
    assert protocol.wording(Language.ENGLISH).rubrics[Dimension.FLUENCY].name == "fluecny"


@pytest.mark.parametrize(
    ("reply", "label"), [("The fluecy score is 3.", 3), ("4 of 0-4", 0), ("10", 0), ("5", -1), ("", -1), ("３", -1)]
)
def test_upstreams_label_is_the_lowest_digit_anywhere(reply: str, label: int) -> None:
    assert lowest_digit(reply) == label


def test_upstreams_reading_stands_beside_ours_in_the_results(tmp_path: Path, protocol: Protocol) -> None:
    cards = load_cards(write_cards(tmp_path, Language.ENGLISH))
    store = begin(tmp_path / "run.db", protocol, cards)
    speak(store, cards)
    _, judging_id = rate(store)
    replies = [reading.reply for reading in store.readings(judging_id) if reading.dimension is Dimension.EMPATHY]
    expected = [min((int(sign) for sign in reply if sign in "01234"), default=-1) for reply in replies]
    cells = [cell for cell in results_of(store).cells if cell.dimension is Dimension.EMPATHY]
    counted = [label for cell in cells for label, n in cell.upstream_counts.items() for _ in range(n)]
    assert sorted(counted) == sorted(expected)
    # The stand-in scorer names no label that escl reads, so ours has nothing where upstream's has numbers.
    assert {cell.score.mean for cell in cells} == {None}
