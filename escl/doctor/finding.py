"""What a check found."""

from __future__ import annotations

from typing import Literal

import msgspec

from escl.errors import ExitCode

State = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a diagnosis.

    Attributes:
        check: What was looked at, in a word or two.
        state: "warn": escl runs, but less well, or not with everything. "fail": something of escl cannot work.
        said: What was found.
        to_do: What to do about it; None when there is nothing.
        exit_code: What a failure ends the command with.
    """

    check: str
    state: State
    said: str
    to_do: str | None = None
    exit_code: ExitCode = ExitCode.OK


def ok(check: str, said: str) -> Finding:
    """Return a finding that is fine."""
    return Finding(check=check, state="ok", said=said)


def warn(check: str, said: str, *, to_do: str) -> Finding:
    """Return a finding that limits what can be done."""
    return Finding(check=check, state="warn", said=said, to_do=to_do)


def fail(check: str, said: str, *, to_do: str, exit_code: ExitCode) -> Finding:
    """Return a finding that must be put right first."""
    return Finding(check=check, state="fail", said=said, to_do=to_do, exit_code=exit_code)


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All findings, in the order of the checks."""

    escl: str
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Return the first failure's code, 0 where nothing fails."""
        return next((finding.exit_code for finding in self.findings if finding.state == "fail"), ExitCode.OK)

    def count(self, state: State) -> int:
        """Return how many findings are in that state."""
        return sum(finding.state == state for finding in self.findings)
