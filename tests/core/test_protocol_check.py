"""A protocol's slips that no rule forbids are named; a sound one has none."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from escl.cli.main import app
from escl.core.dimension import Dimension, Language
from escl.core.protocol import Protocol, load_protocol
from escl.core.protocol_check import remarks
from escl.core.wording import Rewriting, Rubric, Wording
from escl.errors import ExitCode

OPEN = load_protocol("open")


def changed(**fields: object) -> Protocol:
    """Return the open protocol with other English words."""
    wording: Wording = msgspec.structs.replace(OPEN.languages[Language.ENGLISH], **fields)
    return msgspec.structs.replace(OPEN, languages={Language.ENGLISH: wording})


def with_rubric(**fields: object) -> Protocol:
    rubrics = OPEN.languages[Language.ENGLISH].rubrics
    rubric: Rubric = msgspec.structs.replace(rubrics[Dimension.EMPATHY], **fields)
    return changed(rubrics={**rubrics, Dimension.EMPATHY: rubric})


def test_the_open_protocol_has_no_slips() -> None:
    assert remarks(OPEN) == []


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (with_rubric(name="Fluency"), "[en] 2 dimensions are called 'Fluency' in the question"),
        (with_rubric(levels=None), "[en] rubric empathic has no levels"),
        (with_rubric(levels=("a", "b", "b", "c", "d")), "[en] rubric empathic has the same words for two labels"),
        (with_rubric(definition="x" * 3000), "[en] rubric empathic has 3"),
        (changed(seeker_label="A: ", supporter_label="A: "), "[en] seeker and supporter have the same label"),
        (
            msgspec.structs.replace(OPEN, rewriting=Rewriting(separator="\n\n", replacements=())),
            "utterances go into the transcript as they are",
        ),
    ],
)
def test_a_slip_is_named_with_its_place(protocol: Protocol, said: str) -> None:
    (remark,) = remarks(protocol)
    assert remark.startswith(said)


def test_the_command_tells_good_files_from_bad_ones_and_names_the_field(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(msgspec.json.encode(with_rubric(levels=None)))
    document = json.loads(msgspec.json.encode(OPEN))
    document["languages"]["en"]["rubrics"]["empathic"]["levels"] = ["only", "two"]
    bad.write_text(json.dumps(document), encoding="utf-8")
    result = CliRunner().invoke(app, ["protocol", "check", str(good), str(bad)])
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "can be used, called open in reports, version 1, en, sha256" in result.stdout
    assert "look again: [en] rubric empathic has no levels" in result.stdout
    assert "languages.en.rubrics.empathic" in result.stdout
    only_good = CliRunner().invoke(app, ["protocol", "check", str(good), "--json"])
    assert only_good.exit_code == ExitCode.OK
    assert json.loads(only_good.stdout)["protocols"][0]["entry"]["problem"] is None
