"""What the real program writes to a real terminal, and how it leaves one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from escl.errors import ExitCode

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal is POSIX", allow_module_level=True)

from tests.tui.driving import finished_run
from tests.tui.hostile import FORBIDDEN, PAYLOADS, hostile_run
from tests.tui.terminal import ROOT, Terminal

Start = Callable[..., Terminal]
OURS = re.compile(r"\x1b\[[0-9;?<>=$]*[mHhlupJK]|\x1b\]22;[a-z-]*\x07")
"""What the app itself may tell a terminal: colours, places, modes, keyboards and the pointer's shape, nothing else."""
LEFT = b"\x1b[?1049l"
"""Back from the app's own screen to the shell's."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Terminal] = []

    def started(*words: str, **environment: str) -> Terminal:
        begun.append(Terminal(tmp_path, *words, environment=environment))
        return begun[-1]

    yield started
    for one in begun:
        one.close()


@pytest.mark.kill
def test_no_byte_of_a_payload_steers_the_terminal(start: Start, tmp_path: Path) -> None:
    hostile_run(tmp_path / "run.db", PAYLOADS)
    terminal = start("tui", "run.db")
    terminal.until("The run is finished")
    terminal.press("2")
    terminal.until("Fluency")
    terminal.press("3")
    for at in range(len(PAYLOADS)):
        terminal.until(f"{at + 1} of {len(PAYLOADS)}")
        terminal.press("n")
    terminal.press("q")
    terminal.until("n new run")
    terminal.press("q")
    assert terminal.ended() == 0
    written = OURS.sub("", terminal.written.decode("utf-8")).replace("\r", "")
    assert len(written) > 5000
    assert [written[max(0, one.start() - 30) : one.end() + 30] for one in FORBIDDEN.finditer(written)] == []
    assert "Traceback" not in written


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_to_end_leaves_the_terminal_as_it_was(start: Start, tmp_path: Path, number: int) -> None:
    finished_run(tmp_path / "run.db")
    terminal = start("tui", "run.db")
    terminal.until("The run is finished")
    terminal.process.send_signal(number)
    assert terminal.ended() == ExitCode.INTERRUPTED
    assert LEFT in terminal.written
    assert b"\x1b[?25h" in terminal.written
    assert b"Traceback" not in terminal.written


@pytest.mark.kill
def test_a_lost_connection_ends_the_app(start: Start) -> None:
    terminal = start()
    terminal.until("Press d for the demo")
    terminal.close()
    assert terminal.process.returncode == ExitCode.INTERRUPTED


@pytest.mark.kill
def test_sixteen_colours_are_enough(start: Start, tmp_path: Path) -> None:
    finished_run(tmp_path / "run.db")
    terminal = start("tui", "run.db", TERM="xterm", COLORTERM="")
    terminal.until("The run is finished")
    for key, words in (("2", "Fluency"), ("3", "1 of 8"), ("?", "On this screen")):
        terminal.press(key)
        terminal.until(words)
        unseen = [cell for cell in terminal.cells() if cell.data.strip() and cell.fg == cell.bg]
        assert unseen == []
    codes = {code for found in re.findall(rb"\x1b\[([0-9;]*)m", terminal.written) for code in found.split(b";")}
    assert codes & {b"38", b"48"} == set()
    assert codes & {b"30", b"37", b"97", b"93"}


@pytest.mark.kill
def test_a_dumb_terminal_is_told_why_and_what_works_there(start: Start) -> None:
    terminal = start("tui", TERM="dumb")
    assert terminal.ended() == ExitCode.USAGE
    assert b"TERM=dumb" in terminal.written
    assert b"escl report RUN" in terminal.written
    assert b"\x1b[?" not in terminal.written


def test_without_a_terminal_the_app_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "escl", "tui"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert "this is no terminal" in done.stderr
    assert done.stdout == ""
