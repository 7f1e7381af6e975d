"""What was chosen in the app and the command that it shows are the same run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from escl.core.card import Category
from escl.core.card_choice import choose_cards, drawn
from escl.core.dimension import Language
from escl.evaluation.prospect import planned
from escl.memory.devices import budget_of, probe_hardware
from escl.memory.plan import Plan
from escl.tui.draft import Draft, Preset, Scoring, shown, suggested
from tests import rubrics

ROOT = Path(__file__).parents[2]
WARM = ("demo/warm",)


@pytest.mark.parametrize(
    ("draft", "command"),
    [
        (Draft(supporters=WARM), "run demo/warm --quick --out x.db"),
        (Draft(supporters=(*WARM, "demo/curt"), preset=Preset.FULL), "run demo/warm demo/curt --out x.db"),
        (
            Draft(supporters=WARM, language=Language.CHINESE, category=Category.FAMILY, preset=Preset.STANDARD),
            "run demo/warm --lang zh --category family --sample 48 --out x.db",
        ),
        (
            Draft(supporters=WARM, source="a b", unseen=True, rounds=3, repeats=2, scoring=Scoring(is_wanted=False)),
            "run demo/warm --source 'a b' --rounds 3 --repeats 2 --unseen --no-score --quick --out x.db",
        ),
        (
            Draft(supporters=WARM, files=(Path("c.json"),), crisis=True, seeker="s", scoring=Scoring(scorer="r")),
            "run demo/warm --cards c.json --seeker s --scorer r --crisis --quick --out x.db",
        ),
        (Draft(supporters=WARM, rubrics=Path("r.toml")), "run demo/warm --rubrics r.toml --quick --out x.db"),
        (
            Draft(supporters=WARM, rubrics=Path("r.toml"), scoring=Scoring(is_wanted=False)),
            "run demo/warm --no-score --quick --out x.db",
        ),
    ],
)
def test_the_command_says_what_was_chosen_and_leaves_out_what_is_usual(draft: Draft, command: str) -> None:
    assert list(draft.words("x.db")) == shlex.split(command)
    assert shlex.split(shown(draft.words("x.db"))) == ["escl", *shlex.split(command)]


def test_the_plan_of_a_draft_is_that_of_its_command(tmp_path: Path) -> None:
    draft = Draft(
        supporters=("demo/warm", "python:json:loads"),
        language=Language.ENGLISH,
        category=Category.STUDY_WORK,
        preset=Preset.STANDARD,
        rounds=2,
        repeats=3,
        seeker="demo/seeker",
        scoring=Scoring(scorer="demo/scorer"),
        rubrics=rubrics.write(tmp_path / "rubrics.json", rubrics.PATIENCE),
    )
    done = subprocess.run(
        [sys.executable, "-m", "escl", *draft.words("x.db"), "--dry-run", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_command = msgspec.convert(json.loads(done.stdout)["plan"], Plan)
    hardware = probe_hardware()
    plan = planned(draft.prospect(), hardware=hardware, budget=budget_of(hardware, memory=None, device=None))
    assert plan.workload == by_command.workload
    assert [(engine.role, engine.name) for engine in plan.best().engines] == [
        (engine.role, engine.name) for engine in by_command.best().engines
    ]
    assert plan.workload.dialogues == 3 * len(drawn(choose_cards(draft.cards), draft.cards)) > 0


def test_a_suggested_name_says_who_and_is_free(tmp_path: Path) -> None:
    draft = Draft(supporters=("http://host/v1#qwen3", "models/my model-Q4_K_M.gguf", "python:mine:Model"))
    first = suggested(draft, tmp_path)
    assert first == "qwen3-my-model-Q4_K_M-mine-Model-quick.db"
    (tmp_path / first).touch()
    assert suggested(draft, tmp_path) == "qwen3-my-model-Q4_K_M-mine-Model-quick-2.db"


@pytest.mark.parametrize("name", ["../../etc/passwd", "\x1b[2J\u202e", "-rf", "..", "/", "雨" * 300])
def test_a_suggested_name_is_a_plain_name_whoever_is_tested(tmp_path: Path, name: str) -> None:
    made = suggested(Draft(supporters=(name,)), tmp_path)
    assert Path(made).name == made
    assert made.isprintable()
    assert not made.startswith(("-", "."))
    assert len(made.encode()) < 200
