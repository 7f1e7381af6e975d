"""Score files of ESC-Eval are shown for what they are: whole labels, and whether those separate anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from escl.cli.main import main
from escl.core.dimension import Dimension
from escl.errors import DialogueFileError, ExitCode
from escl.evaluation.label_files import labels_of

PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "esc-eval" / "score"


def score_file(path: Path, *labels: int) -> Path:
    """Write a score file in which each dialogue has one label in all dimensions."""
    found = {str(at): {each.value: label for each in Dimension} for at, label in enumerate(labels)}
    path.write_text(json.dumps(found, indent=4))
    return path


def test_each_file_and_all_together_are_counted(tmp_path: Path) -> None:
    files = [score_file(tmp_path / "a.json", 3, 3, 3), score_file(tmp_path / "b.json", 2, -1)]
    found = {(one.file, one.dimension): one for one in labels_of(files)}
    assert len(found) == 3 * len(Dimension)
    both = found[None, Dimension.OVERALL]
    assert (both.counts, both.n_without, both.label_score) == ((0, 0, 1, 3, 0), 1, 68.75)
    alone = found["a", Dimension.OVERALL].spread
    assert alone is not None
    assert alone.saturated
    assert both.spread is not None
    assert not both.spread.saturated


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"0": dict.fromkeys((one.value for one in Dimension), 5)}, "5 is no label"),
        ({"0": {"fluency": 3}}, "no label in diversity"),
        ({"0": ["AI assistant：Hi."]}, "Expected `object`"),
        ({}, "no dialogues"),
    ],
)
def test_other_files_are_refused_with_the_place(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DialogueFileError, match=said):
        labels_of([path])


def report(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["escl", "report", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_what_needs_dialogues_is_refused_for_labels_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = score_file(tmp_path / "a.json", 3, 2)
    assert report(monkeypatch, path) == ExitCode.OK
    assert report(monkeypatch, path, "--html", tmp_path / "a.html") == ExitCode.USAGE
    assert report(monkeypatch, path, "--validity") == ExitCode.USAGE


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs ESC-Eval's published example scores beside the checkout")
def test_the_published_example_scores_are_shown_as_saturated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, *sorted(PUBLISHED.glob("*.json"))) == ExitCode.OK
    shown = capsys.readouterr().out
    assert shown.count("saturated") == 6 * 3
    assert "in 6 of 7 dimensions" in shown
