"""Which module holds each command. A command's module is imported when it is called, or when help lists them all."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_WHERE: Final = {
    "demo": "run:demo",
    "run": "run:run",
    "score": "score:score",
    "report": "report:report",
    "rate": "rate:rate",
    "compare": "compare:compare",
    "power": "power:power",
    "arena": "arena:arena",
    "plan": "plan:plan",
    "convert": "convert:convert",
    "bench": "bench:bench",
    "tune": "tune:tune",
    "tui": "tui:tui",
    "doctor": "doctor:doctor",
    "cards": "cards:cards_app",
    "bundle": "bundle:bundle_app",
    "judge": "judge:judge_app",
    "crisis": "crisis:crisis_app",
    "protocol": "protocol:protocol_app",
    "models": "models:models_app",
}
"""By name, in the order of the help: the module in this package and what in it is the command or group."""


class Commands(TyperGroup):
    """The commands of `escl`, each brought in when it is asked for."""

    def list_commands(self, ctx: object) -> list[str]:
        """Return every command's name."""
        return list(_WHERE)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Return the command of that name; None where there is none."""
        if cmd_name not in _WHERE:
            return None
        if cmd_name not in self.commands:
            module, _, attribute = _WHERE[cmd_name].partition(":")
            found = getattr(import_module(f"escl.cli.{module}"), attribute)
            if not isinstance(found, typer.Typer):
                one = typer.Typer(add_completion=False)
                one.command(cmd_name)(found)
                found = one
            self.commands[cmd_name] = get_command(found)
        return cast("TyperCommand | TyperGroup", self.commands[cmd_name])
