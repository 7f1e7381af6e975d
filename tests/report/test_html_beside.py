"""What the terminal shows on demand stands on the page when asked for: the paper, metrics, a calibration, a margin."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import Rating
from escl.errors import ExitCode
from escl.evaluation.calibration import read_calibration
from escl.evaluation.published import leaderboard
from escl.evaluation.text_metrics import text_metrics
from escl.report.html.page import render_page
from escl.report.html.subject import Choices, reported_run, subject_of
from escl.store.database import Database
from escl.store.run import RunStore
from tests.evaluation.test_own_dimensions import Answers, ask
from tests.rubrics import PLAIN_WORDS
from tests.runs import card as one_card
from tests.runs import rated, settings, spoken

CARDS = [f"c{at:02}" for at in range(24)]


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("draw_forest", "draw_radar"):
        monkeypatch.setattr(f"escl.report.html.draw.{name}", lambda *_, **__: "<svg></svg>")


def page_of(*paths: Path, choices: Choices, language: Language = Language.ENGLISH) -> str:
    runs = [reported_run(path, Database.reader(path), calibration=choices.calibration) for path in paths]
    return render_page(subject_of(runs, choices), language=language, made_utc="2026-01-02T03:04:05")


def section(page: str, key: str) -> str:
    found = re.search(rf'<section id="{key}".*?</section>', page, re.S)
    assert found is not None
    return found[0]


def two(folder: Path) -> Path:
    """Write a run in which the first supporter is a tenth of a label ahead on nearly every card."""
    labels = {"a": {card: [2 + at % 3 / 2] for at, card in enumerate(CARDS)}}
    labels["b"] = {card: [value[0] - (at % 4 > 0) / 10] for at, (card, value) in enumerate(labels["a"].items())}
    return rated(folder / "two.db", labels)


def test_a_page_has_nothing_that_was_not_asked_for(tmp_path: Path) -> None:
    page = page_of(two(tmp_path), choices=Choices())
    assert not [key for key in ("published", "metrics", "calibration") if f'id="{key}"' in page]


def test_the_papers_models_stand_around_the_supporters_with_the_warning_before_them(tmp_path: Path) -> None:
    shown = section(page_of(two(tmp_path), choices=Choices(published=True)), "published")
    names = re.findall(r'<th scope="row">.*?</th>', shown, re.S)
    english = [row for row in leaderboard() if row.language is Language.ENGLISH]
    assert len(names) == len(english) + 2
    assert all(any(row.model in name for name in names) for row in english)
    assert shown.index("People rated there") < shown.index("<table")


def test_what_must_be_said_of_runs_is_said_in_the_pages_language(tmp_path: Path) -> None:
    labels = {name: {card: [value] for card in CARDS} for name, value in (("a", 3.0), ("b", 2.0))}
    unplayed = [one_card("never")]
    first = rated(tmp_path / "one.db", labels, cards=unplayed)
    other = rated(tmp_path / "two.db", labels, run=msgspec.structs.replace(settings(seed=1), rounds=7))
    choices = Choices(force=True, published=True)
    page = page_of(first, other, choices=choices, language=Language.CHINESE)
    told = re.findall(r'<p class="(?:notice|warning)[^"]*">(.*?)</p>', page, re.S) + re.findall(
        r"<li>([^<]+)</li>", page
    )
    assert len(told) >= 10
    for said in told:
        assert re.search("[\u4e00-\u9fff]", said), said
        assert not re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub("`.*?`", "", said)), said
    assert "轮数：7 与 2" in page


def test_what_counts_as_no_difference_is_the_users(tmp_path: Path) -> None:
    path = two(tmp_path)
    narrow, wide = (section(page_of(path, choices=Choices(margin=margin)), "comparison") for margin in (1.0, 5.0))
    assert "±1.0" in narrow
    assert "±5.0" in wide
    assert 'class="verdict equivalent"' not in narrow


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            Language.ENGLISH,
            ("no resolution. The scorer gives both the label 4", "up to 17 % of cards", "all cards alike"),
        ),
        (Language.CHINESE, ("无法分辨。评分器几乎对每段对话都给双方同一标签 4", "至多 17 % 的卡", "各卡相同")),
    ],
)
def test_the_page_says_where_the_scorer_does_not_move_and_claims_no_certainty(
    language: Language, said: tuple[str, ...], tmp_path: Path
) -> None:
    labels = {name: {f"c{at}": [4.0] for at in range(20)} for name in "ab"}
    shown = section(page_of(rated(tmp_path / "r.db", labels), choices=Choices(), language=language), "comparison")
    for words in said:
        assert words in shown
    assert 'class="verdict equivalent"' not in shown
    assert "+0.0 to +0.0" not in shown


def test_the_page_says_where_an_interval_rests_on_few_cards(tmp_path: Path) -> None:
    other = {f"c{at}": [3.0 if at % 2 else 2.0] for at in range(20)}
    path = rated(tmp_path / "r.db", {"a": other, "b": other | {"c1": [1.0], "c2": [1.0]}})
    assert "the interval rests on the 2 of 20 cards that differ" in section(
        page_of(path, choices=Choices()), "comparison"
    )


def test_the_chinese_pages_comparison_gives_no_reason_in_english(tmp_path: Path) -> None:
    some: dict[str, list[float | None]] = {f"c{at}": [at % 2 + 2.0] for at in range(20)}
    labels: dict[str, dict[str, list[float | None]]] = {
        "A": some,
        "B": {f"c{at}": [at % 2 + 1.0] for at in range(20)},
        "C": some | {"c1": [1.0], "c2": [1.0]},
        "D": some | {"c3": [None]},
        "E": {"c1": [2.0]},
    }
    shown = section(
        page_of(rated(tmp_path / "r.db", labels), choices=Choices(), language=Language.CHINESE), "comparison"
    )
    for said in ("每张卡的差值都是", "区间只取决于 20 张卡中有差值的 2 张", "各卡相同", "只有一张卡"):
        assert said in shown
    assert not re.findall("[a-z]{2,} [a-z]{2,}", re.sub("<.*?>", " ", shown, flags=re.S))


def test_an_own_dimension_in_which_the_scorer_does_not_move_is_said_to_resolve_nothing(tmp_path: Path) -> None:
    path = two(tmp_path)
    ask(path, Answers(4), [PLAIN_WORDS])
    shown = section(page_of(path, choices=Choices()), "own_dimensions")
    assert "no resolution: label 4 for both nearly throughout" in shown


def test_metrics_are_those_of_the_terminal_with_the_scorers_labels_or_peoples(tmp_path: Path) -> None:
    path = spoken(tmp_path / "r.db", {"a": {"c1": ["You did well, you did well."], "c2": ["Tell me more."]}})
    (one,) = text_metrics(RunStore.read(Database.reader(path))).supporters
    shown = section(page_of(path, choices=Choices(metrics=True)), "metrics")
    assert one.distinct_1 is not None
    assert f"{one.distinct_1:.3f}" in shown
    assert "<h4>Correlation" not in shown
    assert "BLEU" not in shown
    given = [
        Rating(line=at, dialogue=f"{card}/a", dimension=Dimension.OVERALL, rater="ann", label=at)
        for at, card in enumerate(("c1", "c2", "c9"))
    ]
    shown = section(page_of(path, choices=Choices(metrics=True, ratings=given)), "metrics")
    assert "the labels of people, 2 dialogues" in shown
    assert "1 rated dialogues are in no run" in shown


def test_a_calibration_maps_every_mean_of_the_page_and_says_so(tmp_path: Path) -> None:
    run = rated(tmp_path / "run.db", {"s": {f"c{at}": [min(4.0, at % 4 + 1.1)] for at in range(40)}})
    human = tmp_path / "human.csv"
    rows = [f"c{at}/s,Overall,ann,{at % 4}" for at in range(40)]
    human.write_text("\n".join(["dialogue,dimension,rater,label", *rows]), encoding="utf-8")
    out = tmp_path / "map.json"
    words = ["judge", "calibrate", str(human), "--runs", str(run), "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == ExitCode.OK
    choices = Choices(calibration=(read_calibration(out), out.name))
    page = page_of(run, choices=choices)
    board = section(page, "leaderboard")
    means = {
        name: float(re.findall(rf'="{name}"><span class="score">([\d.]+)', board)[0]) for name in ("Overall", "Fluency")
    }
    assert means["Overall"] == pytest.approx(37.5, abs=0.1)
    assert means["Fluency"] > 60
    # The average is of the mapped scores too, not of the scorer's own.
    average = float(re.findall(r'class="n main" data-label="Average"><span class="score">([\d.]+)', board)[0])
    assert average == pytest.approx((means["Overall"] + 6 * means["Fluency"]) / 7, abs=0.1)
    assert "map.json" in section(page, "calibration")
    assert "Recalibrated" in section(page, "summary")
