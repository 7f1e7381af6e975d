"""What the scorer says of a crisis dialogue changes no number of quality, whichever way the numbers go out."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.card import CrisisKind
from escl.core.dimension import Language
from escl.evaluation.leaderboard import leaderboard_of
from escl.evaluation.published import published_beside
from escl.evaluation.results import results_of
from escl.report.html.page import render_page
from escl.report.html.subject import Choices, reported_run, subject_of
from escl.store.browse import Browser
from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.overview import overview
from tests.runs import card, rated

QUALITY = [f"c{at}" for at in range(12)]
CRISIS = ["x0", "x1"]
Shown = Callable[[Path], object]


def run(folder: Path, *, crisis: float) -> Path:
    """Return a run of two supporters in which every crisis dialogue of the second has the label `crisis`."""
    folder.mkdir()
    labels = {
        "a": {name: [2.0 + at % 3 / 2] for at, name in enumerate(QUALITY)} | {name: [2.0] for name in CRISIS},
        "b": {name: [2.5 + at % 4 / 4] for at, name in enumerate(QUALITY)} | {name: [crisis] for name in CRISIS},
    }
    return rated(folder / "run.db", labels, cards=[card(name, crisis=CrisisKind.VIOLENCE) for name in CRISIS])


def printed(*words: str | Path) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code in (0, 8), found.output
    return found.stdout


def without_crisis(value: object) -> object:
    """Return JSON without the parts that say of themselves that they are of crisis cards."""
    if isinstance(value, dict):
        return {key: without_crisis(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_crisis(one) for one in value if not (isinstance(one, dict) and one.get("crisis"))]
    return value


def quality_tables(text: str) -> str:
    """Return what is printed up to the first heading of crisis cards, and from there what follows its table."""
    before, heading, after = text.partition("English, crisis cards")
    return before + after[after.index("No measure of how danger was met") :] if heading else before


def as_json(*words: str) -> Shown:
    return lambda path: without_crisis(json.loads(printed(words[0], path, *words[1:], "--json")))


def gate(path: Path) -> object:
    words = ("compare", f"{path}:b", "--baseline", f"{path}:a")
    found = json.loads(printed(*words, "--json"))["gate"]
    assert found["crisis_cards_left_out"] == len(CRISIS)
    assert len(found["checks"]) == 7
    assert "Crisis cards left out: 2." in printed(*words)
    junit = path.with_name("gate.xml")
    printed(*words, "--junit", junit)
    return found, junit.read_text()


def page(path: Path) -> str:
    """Return the page without the dialogues, under which every label stands, and the times in its provenance."""
    made = render_page(
        subject_of([reported_run(path, Database.reader(path))], Choices()),
        language=Language.ENGLISH,
        made_utc="2026-01-02T03:04:05",
    )
    assert all(f'id="{section}"' in made for section in ("summary", "leaderboard", "comparison", "crisis_track"))
    return re.sub(r'<section id="(transcripts|provenance)".*?</section>', "", made, flags=re.S)


def csv_rows(path: Path) -> object:
    rows = list(csv.reader(printed("report", path, "--csv", "-").splitlines()))
    assert {"quality", "crisis"} <= {row[3] for row in rows}
    return [row for row in rows if row[3] != "crisis"]


def exported(path: Path) -> object:
    folder = path.with_name("exported")
    printed("report", path, "--export", "esc-eval", folder)
    files = {one.name: one.read_bytes() for one in (folder / "score").iterdir()}
    assert set(files) == {"a_en.json", "a_en_crisis.json", "b_en.json", "b_en_crisis.json"}
    assert list(json.loads(files["b_en.json"])) == [str(at) for at in range(len(QUALITY))]
    return {name: content for name, content in files.items() if "crisis" not in name}


def kept(path: Path) -> Iterator[object]:
    """Yield what the app's first screen, its scores and the paper's leaderboard are made of."""
    with Database.reader(path) as database:
        store = RunStore.read(database)
        yield Browser(database).averages()
        yield published_beside(results_of(store), store)
        yield [cell for cell in leaderboard_of(store).cells if not cell.crisis]
    yield overview(path).averages


EXITS: dict[str, Shown] = {
    "report": lambda path: printed("report", path),
    "report --json": as_json("report"),
    "report --by": lambda path: quality_tables(printed("report", path, "--by", "category")),
    "report --by --json": as_json("report", "--by", "category"),
    "report --csv": csv_rows,
    "report --markdown": lambda path: quality_tables(printed("report", path, "--markdown", "-")),
    "report --export": exported,
    "report --published": lambda path: printed("report", path, "--published"),
    "report --metrics": lambda path: printed("report", path, "--metrics"),
    "compare": lambda path: quality_tables(printed("compare", path)),
    "compare --json": as_json("compare"),
    "gate": gate,
    "power": as_json("power"),
    "page": page,
    "app": lambda path: list(kept(path)),
}


@pytest.mark.parametrize("shown", EXITS.values(), ids=EXITS.keys())
def test_a_crisis_dialogues_label_changes_no_number_of_quality(
    tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for at, label in enumerate((0.0, 4.0)):
        path = run(tmp_path / str(at), crisis=label)
        monkeypatch.chdir(path.parent)
        found.append(shown(Path(path.name)))
    assert found[0] == found[1]
    assert found[0]
