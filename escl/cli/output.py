"""Where a command's output goes: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console

from escl.core.message import as_text
from escl.core.printable import printable_json


def print_json(result: object) -> None:
    """Write `result` to stdout as indented JSON. Keys keep their order; structs become objects.

    A terminal may be behind stdout: what could steer it is escaped, and a reader of JSON gets it back.
    """
    encoded = msgspec.json.format(msgspec.json.encode(result, enc_hook=as_text), indent=2)
    sys.stdout.write(printable_json(encoded.decode()) + "\n")


def results_console() -> Console:
    """Return a console on stdout for tables. Text from outside goes in with markup off and through `printable`."""
    return Console(highlight=False)


def progress_console() -> Console:
    """Return a console on stderr for progress and notes."""
    return Console(stderr=True, highlight=False)
