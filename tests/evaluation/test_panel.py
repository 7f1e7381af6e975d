"""The judgings of runs make a panel: who read what, how far they agree, and whether they rank supporters alike."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from escl.core.dimension import Dimension
from escl.core.settings import JudgingSettings
from escl.errors import UsageError
from escl.evaluation.panel import Panel, panel_of
from escl.report.panel import print_panel
from escl.stats.panel import PanelDialogue, Voice, panel_agreement
from escl.store.database import Database
from escl.store.run import RunStore
from tests.runs import PROTOCOL, rated, reading, settings

LABELS = {"warm": {f"c{at}": [float(at % 4)] for at in range(12)}, "curt": {f"c{at}": [0.0] for at in range(12)}}


def read_again(path: Path, scorer: str, shift: float | None, *, reverse: Mapping[str, str] | None = None) -> None:
    """Let another scorer read a run: the same labels and a shift, or no label at all."""
    run = settings()
    store = RunStore.begin(Database.writer(path), run, PROTOCOL, command="test", versions={})
    first = store.judging_settings(store.judgings()[0][0])
    number = store.add_judging(msgspec.structs.replace(first, scorer=scorer, sha256=scorer.rjust(64, "0")))
    for dialogue in store.dialogues():
        supporter = (reverse or {}).get(dialogue.supporter, dialogue.supporter)
        for dimension in Dimension:
            expected = None if shift is None else LABELS[supporter][dialogue.card_id][0] + shift
            store.add_reading(number, reading(dialogue.id, dimension, expected))
    store.finish("finished")
    store.close()


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the file of a run that one scorer read."""
    return rated(tmp_path_factory.mktemp("panel") / "run.db", LABELS).read_bytes()


@pytest.fixture
def run(once: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "run.db"
    path.write_bytes(once)
    return path


def shown(panel: Panel) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_panel(console, panel)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_scorers_that_say_the_same_agree_fully_and_rank_alike(run: Path) -> None:
    read_again(run, "b", 0.0)
    panel = panel_of([run])
    (cell,) = [cell for cell in panel.cells if cell.dimension is Dimension.OVERALL]
    assert (cell.agreement.alpha.value, cell.agreement.pairs[0].exact.value, cell.agreement.n_used) == (1, 1, 24)
    assert all(order.is_shared and order.by_scorer[0] == ("warm", "curt") for order in panel.orders)


def test_a_scorer_that_ranks_otherwise_is_named(run: Path) -> None:
    read_again(run, "b", 0.0, reverse={"warm": "curt", "curt": "warm"})
    panel = panel_of([run])
    assert not any(order.is_shared for order in panel.orders)
    assert "en Overall: A: warm > curt; B: curt > warm" in shown(panel)


def test_a_scorer_without_a_label_is_said_and_does_not_silence_the_others(run: Path) -> None:
    read_again(run, "b", 1.0)
    read_again(run, "mute", None)
    panel = panel_of([run])
    assert [(each.scorer, each.n_labels) for each in panel.panelists] == [("scorer", 168), ("b", 168), ("mute", 0)]
    assert panel.panelists[2].failed == {"reply without a label": 168}
    scores = [score.mean for score in panel.cells[0].agreement.scores]
    assert scores == [pytest.approx(0.75), pytest.approx(1.75), None]
    assert panel.orders[0].by_scorer == (("warm", "curt"), ("warm", "curt"), None)
    assert "168 without a label: reply without a label" in shown(panel)


def test_tables_fit_80_columns(run: Path) -> None:
    for at in range(2):
        read_again(run, f"scorer-{at}", at / 4, reverse={"warm": "curt", "curt": "warm"} if at == 1 else None)
    tables = shown(panel_of([run])).partition("All scorers put")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "…" not in tables


def test_one_scorer_is_no_panel(run: Path) -> None:
    with pytest.raises(UsageError, match="read by one scorer only") as raised:
        panel_of([run])
    assert "--scorer" in (raised.value.hint or "")


def test_the_same_scorer_of_two_runs_is_one_panelist(run: Path, tmp_path: Path) -> None:
    read_again(run, "b", 0.0)
    other = rated(tmp_path / "other.db", {"new": {"c1": [2.0]}}, run=settings(seed=1))
    panel = panel_of([run, other])
    assert [(each.scorer, each.n_labels) for each in panel.panelists] == [("scorer", 175), ("b", 168)]
    assert panel.cells[0].agreement.n_asked == 25


def test_what_makes_a_scorer_another_one_is_how_it_was_asked(run: Path) -> None:
    store = RunStore.begin(Database.writer(run), settings(), PROTOCOL, command="test", versions={})
    first: JudgingSettings = store.judging_settings(1)
    store.add_judging(msgspec.structs.replace(first, kv_type="q8_0"))
    store.finish("finished")
    store.close()
    assert [each.kv_type for each in panel_of([run]).panelists] == [None, "q8_0"]


def test_agreement_about_nothing_has_reasons() -> None:
    found = panel_agreement([PanelDialogue(cluster="c", voices={0: Voice(label=2, expected=2.0)})], scorers=2)
    assert found.alpha.reason == found.pairs[0].kappa.reason == "no dialogue was labelled by two scorers"
    assert (found.n_used, found.modal_shares) == (0, (1.0, None))
