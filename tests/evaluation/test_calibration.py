"""A calibration is a file: refused for another scorer, applied where it helps, and always said."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.dimension import Dimension
from escl.errors import ExitCode, RatingsError, UsageError
from escl.evaluation.calibration import calibrated_results, fitting_cards, read_calibration
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import rated, settings

CARDS = 40


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run whose scorer says one label too much."""
    return rated(tmp_path / "run.db", {"s": {f"c{at}": [min(4.0, at % 4 + 1.1)] for at in range(CARDS)}})


@pytest.fixture
def made(run: Path, tmp_path: Path) -> Path:
    """Return the calibration of its Overall scores."""
    out = tmp_path / "map.json"
    assert CliRunner().invoke(app, calibrate(run, out)).exit_code == ExitCode.OK
    return out


def calibrate(run: Path, out: Path, *, turned: bool = False) -> list[str]:
    """Return the words that calibrate on people who order the dialogues as the scorer does, or the other way round."""
    human = run.with_name("human.csv")
    rows = [f"c{at}/s,Overall,ann,{3 - at % 4 if turned else at % 4}" for at in range(CARDS)]
    human.write_text("\n".join(["dialogue,dimension,rater,label", *rows]), encoding="utf-8")
    return ["judge", "calibrate", str(human), "--runs", str(run), "--out", str(out)]


def test_a_report_applies_it_where_it_helps_and_says_so(run: Path, made: Path) -> None:
    shown = CliRunner().invoke(app, ["report", str(run), "--calibration", str(made), "--json"])
    results = json.loads(shown.stdout)["results"]
    scores = {cell["dimension"]: cell["score"]["mean"] for cell in results["cells"]}
    assert scores["overall"] == pytest.approx(37.5, abs=0.1)
    assert scores["fluency"] > 60
    (notice,) = [notice for notice in results["notices"] if "Recalibrated" in notice]
    assert "by map.json" in notice
    assert "in en Overall" in notice
    plain = json.loads(CliRunner().invoke(app, ["report", str(run), "--json"]).stdout)["results"]
    assert {cell["score"]["mean"] for cell in plain["cells"]} == {scores["fluency"]}


def test_where_it_helps_nowhere_it_is_refused_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, calibrate(run, tmp_path / "no.json", turned=True))
    assert refused.exit_code == ExitCode.GATE
    assert not (tmp_path / "no.json").exists()
    assert "Refused" in refused.stderr


def test_the_scorer_of_other_weights_or_words_is_refused(made: Path, tmp_path: Path) -> None:
    calibration = read_calibration(made)
    other = msgspec.structs.replace(
        calibration, judged_by=msgspec.structs.replace(calibration.judged_by, sha256="f" * 64)
    )
    path = rated(tmp_path / "other.db", {"s": {"c1": [2.0]}}, run=settings(seed=1))
    with Database.reader(path) as database:
        store = RunStore.read(database)
        assert calibrated_results(store, calibration, file="map.json", judging_id=None).cells
        with pytest.raises(UsageError, match="the calibration is of scorer under open"):
            calibrated_results(store, other, file="map.json", judging_id=None)


def test_it_holds_what_it_was_made_of(made: Path) -> None:
    calibration = read_calibration(made)
    assert (calibration.ratings, calibration.n_raters, calibration.runs) == ("human.csv", 1, ("run.db",))
    assert [(cell.dimension, cell.found.n_fit_cards) for cell in calibration.cells] == [(Dimension.OVERALL, 20)]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"[" * 5000)
    with pytest.raises(RatingsError, match="is no calibration"):
        read_calibration(path)


def test_a_card_keeps_its_side_when_a_seed_stays() -> None:
    cards = [f"c{at}" for at in range(50)]
    half = fitting_cards(cards, seed=0)
    assert half == fitting_cards(reversed(cards), seed=0)
    assert len(half) == 25
    assert half != fitting_cards(cards, seed=1)
