"""The terminal and the environment: what is too small, not UTF-8 or unsafe is said, and secrets never are."""

from __future__ import annotations

import msgspec
import pytest

from escl.doctor.surroundings import Terminal, offline_finding, terminal_finding

GOOD = Terminal(is_terminal=True, columns=80, lines=24, encoding="utf-8", colours="truecolor", no_color=False)


def changed(**fields: object) -> Terminal:
    return msgspec.structs.replace(GOOD, **fields)


@pytest.mark.parametrize(
    ("terminal", "state", "said"),
    [
        (GOOD, "ok", "80 x 24, UTF-8, truecolor colours"),
        (changed(encoding="UTF8"), "ok", "UTF-8"),
        (changed(no_color=True), "ok", "NO_COLOR"),
        (changed(colours=None), "ok", "no colours"),
        (changed(columns=79), "warn", "79 x 24"),
        (changed(lines=23), "warn", "80 x 23"),
        (changed(encoding="ascii"), "warn", "encoding ascii"),
        (changed(is_terminal=False, columns=40), "ok", "plain text"),
        (changed(is_terminal=False, encoding="cp1252"), "warn", "cp1252"),
    ],
)
def test_a_terminal_that_cannot_show_everything_is_a_warning(terminal: Terminal, state: str, said: str) -> None:
    found = terminal_finding(terminal)
    assert found.state == state
    assert said in found.said


def test_every_command_that_connects_is_named() -> None:
    assert all(f"`escl {command}`" in offline_finding({}).said for command in ("models pull", "bundle wheels"))


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_hugging_faces_own_switch_is_understood(value: str) -> None:
    assert "no model is downloaded" in offline_finding({"HF_HUB_OFFLINE": value}).said
    assert "no model is downloaded" not in offline_finding({"HF_HUB_OFFLINE": "0"}).said


@pytest.mark.parametrize(
    ("endpoint", "state"),
    [
        ("https://mirror.example", "ok"),
        ("http://mirror.example", "warn"),
        ("http://127.0.0.1:9000", "ok"),
        ("http://localhost", "ok"),
        ("http://[::1]:9000/x", "ok"),
        ("http://127.0.0.1.example", "warn"),
        ("http://localhost@mirror.example", "warn"),
        ("http://[broken", "warn"),
        ("mirror.example", "warn"),
    ],
)
def test_downloads_in_the_clear_are_a_warning_beyond_this_machine(endpoint: str, state: str) -> None:
    assert offline_finding({"HF_ENDPOINT": endpoint}).state == state


def test_no_token_is_shown() -> None:
    environment = {"HF_TOKEN": "hf_secret1", "HUGGING_FACE_HUB_TOKEN": "hf_secret2"}
    found = offline_finding({**environment, "HF_ENDPOINT": "http://user:hf_secret3@mirror.example"})
    assert "token is set" in found.said
    assert "secret" not in f"{found.said} {found.to_do}"
