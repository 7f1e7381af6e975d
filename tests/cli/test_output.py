"""What is printed as data is data to a program and steers no terminal."""

from __future__ import annotations

import json

import pytest

from escl.cli.output import print_json

STEERING = "\x9b2J\u202e\u2028\x7f\x1b]0;owned\x07\U000e0041"


def test_json_on_a_terminal_steers_nothing_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": STEERING, "said": "难过 é 👩\u200d⚕️"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": STEERING, "said": "难过 é 👩\u200d⚕️"}
    assert not set(STEERING) & set(shown) - set("2J]0;owned")
    assert "难过 é 👩\u200d⚕️" in shown
