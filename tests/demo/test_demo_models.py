"""The committed demo models keep their promises: read through the engine, as the demo does."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from escl.core.bundled import bundled
from escl.core.card import RoleCard
from escl.core.card_file import load_cards
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.engine.client import Engine
from escl.shelf.manifest import Manifest, ModelFile, find_model, load_manifest
from tools.demo.generator import BANKS, dialogue
from tools.demo.measure import PAIRS, Reading, adapter_name, ask, held_out, scorer_spec, talk
from tools.demo.measure_judge import held_out_pairs
from tools.demo.told import told

FOLDER = bundled("gguf") / "demo"
NAMES = ("seeker", "warm", "curt", "scorer", "judge")
SEED = 424_242
EACH = 40


def _files(manifest: Manifest) -> list[ModelFile]:
    return [manifest.file, *(file for files in manifest.adapters.values() for file in files.values())]


def test_all_files_together_are_at_most_24_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 24_000_000


@pytest.mark.parametrize("name", NAMES)
def test_manifest_states_size_and_hash_of_every_file(name: str) -> None:
    manifest = load_manifest(FOLDER / f"{name}.toml")
    assert all(file.sha256 is not None and file.size_bytes is not None for file in _files(manifest))
    assert find_model(f"demo/{name}").name == f"demo/{name}"


@pytest.mark.parametrize("name", NAMES)
def test_manifest_says_that_the_model_is_a_toy(name: str) -> None:
    notice = load_manifest(FOLDER / f"{name}.toml").notice
    assert notice is not None
    assert "toy" in notice
    assert "mean nothing" in notice


def test_no_file_lies_there_that_no_manifest_names() -> None:
    named = {file.path for name in NAMES for file in _files(load_manifest(FOLDER / f"{name}.toml"))}
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.gguf")} == named


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    return asyncio.run(held_out(FOLDER, each=EACH, seed=SEED))


# Measured on 250 pairs in each language: 91 % of the labels, 370 of 381 unequal pairs and none the wrong way round;
# 3 of 500 flipped (tools/train_demo.py).
@pytest.mark.model
def test_judge_agrees_with_the_generator_on_held_out_pairs_in_both_orders() -> None:
    pairs = asyncio.run(held_out_pairs(FOLDER / "judge.gguf", each=12, seed=SEED))
    verdicts = [one.found for one in pairs]
    scores = [(v.score, one.expected_score) for v, one in zip(verdicts, pairs, strict=True) if v is not None]
    assert len(scores) == len(pairs)
    assert sum(found == expected for found, expected in scores) >= 0.8 * len(pairs)
    assert not any(found == 1 - expected != expected for found, expected in scores)
    assert sum(v is not None and v.agreement == "flipped" for v in verdicts) <= 0.1 * len(pairs)


@pytest.mark.model
@pytest.mark.parametrize("dimension", Dimension)
def test_scorer_agrees_with_the_generator_on_held_out_dialogues(
    readings: Sequence[Reading], dimension: Dimension
) -> None:
    mine = [r for r in readings if r.dimension is dimension]
    assert len(mine) == 2 * EACH
    assert sum(r.read.label == r.expected for r in mine) >= 0.8 * len(mine)


# Measured on 250 dialogues each, agreement is 82 to 96 % (tools/train_demo.py). Forty cannot tell 82 % from 75 %, so
# the bound for a single adapter is lower: it catches a broken one.
@pytest.mark.model
@pytest.mark.parametrize(("language", "dimension"), PAIRS)
def test_scorer_follows_the_generator_in_every_dimension_and_language(
    readings: Sequence[Reading], language: Language, dimension: Dimension
) -> None:
    mine = [r for r in readings if (r.language, r.dimension) == (language, dimension)]
    assert len(mine) == EACH
    assert sum(r.read.label == r.expected for r in mine) >= 0.7 * EACH


@pytest.mark.model
def test_scorer_is_hardly_ever_off_by_more_than_one(readings: Sequence[Reading]) -> None:
    near = [r.read.label is not None and abs(r.read.label - r.expected) <= 1 for r in readings]
    assert sum(near) >= 0.98 * len(readings)


@pytest.mark.model
def test_scorer_answers_in_the_form_that_the_protocol_asks_for(readings: Sequence[Reading]) -> None:
    for reading in readings:
        name = load_protocol("open").wording(reading.language).rubrics[reading.dimension].name
        form = rf"The {name} score is [0-4]\." if reading.language is Language.ENGLISH else rf"{name}得分是[0-4]。"
        assert re.fullmatch(form, reading.read.reply.strip()), reading.read.reply


@pytest.mark.model
def test_the_adapter_decides_what_is_rated() -> None:
    protocol, rng = load_protocol("open"), random.Random(SEED)
    empathy, humanoid = ((Language.ENGLISH, d) for d in (Dimension.EMPATHY, Dimension.HUMANOID))

    async def right() -> list[bool]:
        async with await Engine.start(scorer_spec(FOLDER, threads=2)) as engine:
            made = [dialogue(rng, language=Language.ENGLISH, protocol=protocol, rounds=5) for _ in range(12)]
            # The words ask for Empathy; the adapter is Humanoid's.
            reads = [await ask(engine, protocol, m.turns, empathy, adapter=adapter_name(*humanoid)) for m in made]
            return [read.label == m.label(Dimension.HUMANOID) for read, m in zip(reads, made, strict=True)]

    assert sum(asyncio.run(right())) >= 8


@pytest.fixture(scope="module")
def cards() -> list[RoleCard]:
    return [card for lang in Language for card in load_cards(bundled("role_cards") / f"{lang.value}.toml")[:2]]


@pytest.fixture(scope="module")
def dialogues(cards: list[RoleCard]) -> dict[str, list[tuple[Turn, ...]]]:
    return {name: asyncio.run(talk(FOLDER, name, cards)) for name in ("warm", "curt")}


def _said(turns: Sequence[Turn], speaker: Speaker) -> list[str]:
    return [turn.text for turn in turns[1:] if turn.speaker is speaker]


@pytest.mark.model
def test_everybody_speaks_the_language_of_the_card(
    cards: list[RoleCard], dialogues: dict[str, list[tuple[Turn, ...]]]
) -> None:
    for name in ("warm", "curt"):
        for card, turns in zip(cards, dialogues[name], strict=True):
            chinese = [bool(re.search("[\u4e00-\u9fff]", turn.text)) for turn in turns]
            assert chinese == [card.language is Language.CHINESE] * len(turns), (card.id, turns)


@pytest.mark.model
def test_seeker_mentions_what_its_card_is_about(
    cards: list[RoleCard], dialogues: dict[str, list[tuple[Turn, ...]]]
) -> None:
    for name in ("warm", "curt"):
        for card, turns in zip(cards, dialogues[name], strict=True):
            said = " ".join(_said(turns, Speaker.SEEKER)).lower()
            assert len(_shared(card, said)) >= 3, (card.id, said)


def _shared(card: RoleCard, said: str) -> set[str]:
    """Return what seeker and card have in common: words of five letters and more, or pairs of characters."""
    if card.language is Language.ENGLISH:
        return set(re.findall(r"[a-z]{5,}", card.problem.lower())) & set(re.findall(r"[a-z]{5,}", said))
    pairs = {card.problem[at : at + 3] for at in range(len(card.problem) - 2)}
    return {pair for pair in pairs if pair in said}


@pytest.mark.model
def test_warm_supporter_is_rated_above_the_curt_one_in_empathy_and_overall(
    cards: list[RoleCard], dialogues: dict[str, list[tuple[Turn, ...]]]
) -> None:
    protocol = load_protocol("open")

    async def means(name: str) -> dict[tuple[Language, Dimension], float]:
        totals: dict[tuple[Language, Dimension], list[int]] = {}
        async with await Engine.start(scorer_spec(FOLDER, threads=2)) as engine:
            for card, turns in zip(cards, dialogues[name], strict=True):
                for dimension in (Dimension.EMPATHY, Dimension.OVERALL):
                    pair = (card.language, dimension)
                    read = await ask(engine, protocol, turns, pair, adapter=adapter_name(*pair))
                    assert read.label is not None, read.reply
                    totals.setdefault(pair, []).append(read.label)
        return {pair: sum(labels) / len(labels) for pair, labels in totals.items()}

    warm, curt = asyncio.run(means("warm")), asyncio.run(means("curt"))
    assert all(warm[pair] > curt[pair] + 1 for pair in warm), (warm, curt)


@pytest.mark.model
def test_warm_supporter_suggests_steps_that_fit_the_topic(
    cards: list[RoleCard], dialogues: dict[str, list[tuple[Turn, ...]]]
) -> None:
    for card, turns in zip(cards, dialogues["warm"], strict=True):
        topic = next(topic for topic in BANKS[card.language].topics if topic.key == told()[card.id][0])
        said = " ".join(_said(turns, Speaker.SUPPORTER))
        assert any(step in said for step in topic.steps), (card.id, said)


def test_labels_are_what_the_marks_say() -> None:
    rng = random.Random(SEED)
    made = dialogue(rng, language=Language.ENGLISH, protocol=load_protocol("open"), rounds=5)
    comforted = sum(mark.comfort for mark in made.marks)
    assert made.label(Dimension.EMPATHY) == min(comforted, 4)
    assert made.label(Dimension.FLUENCY) == 4 - min(sum(mark.broken for mark in made.marks), 4)
    assert Path(FOLDER).is_dir()
