"""What escl runs on: too old, missing or dying of its first instruction is said, with what to do."""

from __future__ import annotations

import sys

import pytest

from escl.doctor.diagnose import diagnose
from escl.doctor.finding import Finding
from escl.doctor.software import package_findings, python_finding, sqlite_finding
from escl.doctor.surroundings import Terminal
from escl.errors import ExitCode
from escl.memory import devices

TERMINAL = Terminal(is_terminal=True, columns=80, lines=24, encoding="utf-8", colours="256", no_color=False)


def packages(*requirements: str) -> Finding:
    (found,) = package_findings(requirements)
    return found


def test_this_python_will_do_and_an_older_or_a_32_bit_one_will_not() -> None:
    assert python_finding().state == "ok"
    old, narrow = python_finding((3, 10, 14)), python_finding((3, 12, 0), bits=32)
    assert (old.state, narrow.state) == ("fail", "fail")
    assert old.exit_code is ExitCode.USAGE
    assert "32 bits" in narrow.said


def test_a_package_that_is_missing_or_of_another_version_fails_by_name() -> None:
    found = packages("msgspec>=0.1", "no-such-package-at-all", "rich>=1000")
    assert (found.state, found.exit_code) == ("fail", ExitCode.MODEL)
    assert "no-such-package-at-all is not installed" in found.said
    assert "needed is >=1000" in found.said
    assert "msgspec" not in found.said


def test_packages_of_extras_and_other_systems_are_not_asked_for() -> None:
    assert packages('no-such-package; extra == "test"', 'no-such-package; sys_platform == "plan9"').state == "ok"


def test_a_requirement_that_is_none_is_told() -> None:
    assert packages("===").state == "fail"


@pytest.mark.parametrize(("version", "state"), [((3, 37, 2), "fail"), ((3, 38, 0), "ok"), ((3, 51, 3), "ok")])
def test_an_sqlite_without_strict_tables_and_json_fails(version: tuple[int, int, int], state: str) -> None:
    assert sqlite_finding(version).state == state


def test_the_wal_reset_bug_is_mentioned_where_it_is_there_with_why_it_does_not_matter() -> None:
    assert "rollback journal" in sqlite_finding((3, 51, 2)).said
    assert "WAL" not in sqlite_finding((3, 51, 3)).said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("raise ModuleNotFoundError('llama_cpp')", "ModuleNotFoundError: llama_cpp"),
        ("print('hello')", "cannot be read"),
        ("pass", "cannot be read"),
    ],
)
def test_a_llama_cpp_that_dies_is_a_finding_and_all_other_checks_are_made(
    monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(devices, "_PROBE", (sys.executable, "-c", code))
    found = diagnose(TERMINAL, {})
    (llama,) = (finding for finding in found.findings if finding.check == "llama.cpp")
    assert (llama.state, llama.exit_code) == ("fail", ExitCode.MODEL)
    assert said in llama.said
    assert llama.to_do
    assert found.exit_code is ExitCode.MODEL
    checks = {finding.check for finding in found.findings}
    assert {"Python", "accelerator", "memory", "disk", "SQLite", "shelf", "protocol", "terminal", "offline"} <= checks


def test_the_llama_cpp_of_this_machine_is_read_out() -> None:
    (llama,) = (finding for finding in diagnose(TERMINAL, {}).findings if finding.check == "llama.cpp")
    assert llama.state == "ok"
    assert llama.said.startswith("llama-cpp-python ")
    assert "backends in use: CPU" in llama.said
    assert "= 1" not in llama.said
