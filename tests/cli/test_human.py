"""A person as the supporter: at a terminal and through a pipe, stopped, killed, resumed, scored."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from escl.cli.person import Talk
from escl.core.dialogue import Message
from escl.core.settings import SimulationSettings
from escl.errors import ExitCode, UsageError
from escl.store.database import Database
from escl.store.run import RunStore
from escl.supporters.person import LINE_BREAK

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'escl'; from escl.cli.main import main; main()"
TOYS = ["--seeker", "demo/seeker", "--scorer", "demo/scorer", "--device", "cpu", "--threads", "1", "--ctx", "2048"]


def command(*words: str, rounds: int = 2) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "run", "human", *words, *TOYS, "--rounds", str(rounds), "--out", "me.db"]


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ESCL_HOME": str(folder / "home"),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }


def run(folder: Path, replies: str | None, *words: str, rounds: int = 2) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words, rounds=rounds),
        cwd=folder,
        env=environment(folder),
        input=replies,
        stdin=None if replies is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def stored(path: Path) -> list[list[str]]:
    """Return what is said in each dialogue so far."""
    try:
        with Database.reader(path) as database:
            store = RunStore.read(database)
            return [[turn.text for turn in store.turns(dialogue.id)] for dialogue in store.dialogues()] or [[]]
    except Exception:  # noqa: BLE001 - the file is being made
        return [[]]


@pytest.mark.model
@pytest.mark.kill
def test_replies_that_are_piped_in_survive_a_kill_and_the_same_command_ends_with_a_rating(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(rounds=3),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"I am here.\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while len(stored(tmp_path / "me.db")[0]) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert stored(tmp_path / "me.db")[0][2] == "I am here."

    stopped = run(tmp_path, f"\nTell me{LINE_BREAK}more.\n", rounds=3)
    assert stopped.returncode == ExitCode.INTERRUPTED, stopped.stderr
    assert "To go on, run the same command" in stopped.stderr

    done = run(tmp_path, "Thank you for saying so.", rounds=3)
    assert done.returncode == ExitCode.OK, done.stderr
    (said,) = stored(tmp_path / "me.db")
    assert said[2::2] == ["I am here.", "Tell me\nmore.", "Thank you for saying so."]
    with Database.reader(tmp_path / "me.db") as database:
        store = RunStore.read(database)
        assert isinstance(store.settings, SimulationSettings)
        (speaker,) = store.settings.supporters
        (judging_id, _) = store.judgings()[-1]
        assert len(list(store.readings(judging_id))) == 7
    assert (speaker.name, speaker.kind, speaker.told) == ("human", "human", ())


@pytest.mark.model
def test_a_person_stands_beside_models_on_one_card_that_can_be_named(tmp_path: Path) -> None:
    done = run(tmp_path, "Hm.\n", "demo/curt", "--card", "en-loneliness-1", "--no-score", rounds=1)
    assert done.returncode == ExitCode.OK, done.stderr
    with Database.reader(tmp_path / "me.db") as database:
        dialogues = RunStore.read(database).dialogues()
    assert {(one.supporter, one.card_id, one.state) for one in dialogues} == {
        ("human", "en-loneliness-1", "complete"),
        ("demo/curt", "en-loneliness-1", "complete"),
    }


def test_without_a_terminal_and_without_a_pipe_nobody_is_asked(tmp_path: Path) -> None:
    done = run(tmp_path, None)
    assert done.returncode == ExitCode.USAGE
    assert "pipe replies in" in done.stderr
    assert not (tmp_path / "me.db").exists()


class Pty:
    """The command in a terminal, and what it has shown."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.ours, theirs = os.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            command(*words, rounds=3),
            cwd=folder,
            env=environment(folder),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=_own_terminal,
        )
        os.close(theirs)

    def until(self, words: bytes) -> None:
        deadline = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self.look()

    def look(self) -> None:
        if select.select([self.ours], [], [], 0.05)[0]:
            try:
                self.shown += os.read(self.ours, 65536)
            except OSError:
                time.sleep(0.01)

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def interrupted(self) -> int:
        # input() forgets a signal that comes after it has drawn its prompt and before it waits for keys
        # (readline_until_enter_or_signal in CPython); a person who sees nothing happen presses again.
        deadline = time.monotonic() + 60
        next_press = 0.0
        while self.process.poll() is None and (now := time.monotonic()) < deadline:
            if now >= next_press:
                self.type(b"\x03")
                next_press = now + 10
            self.look()
        return self.process.wait(1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)


def _own_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.model
@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
def test_at_a_terminal_a_paste_is_one_reply_and_control_c_keeps_what_was_said(tmp_path: Path) -> None:
    terminal = Pty(tmp_path, "--max-tokens", "20")
    try:
        terminal.until(b"you  ")
        assert b"supportive listener" in terminal.shown
        terminal.shown = b""
        terminal.type(b"\r")
        terminal.until(b"you  ")
        terminal.type(b"x" * 61 + b"\r")
        terminal.until(b"has 61 bytes, and 60 are allowed")
        # Readline may draw a prompt more than once: what comes after the answer to it is the next one.
        terminal.shown = terminal.shown.partition(b"has 61 bytes")[2]
        terminal.until(b"you  ")
        terminal.type(b"\x1b[200~first line\nsecond\x1b[201~\r")
        terminal.until(b"the seeker is writing")
        terminal.shown = terminal.shown.partition(b"the seeker is writing")[2]
        terminal.until(b"you  ")
        assert terminal.interrupted() == ExitCode.INTERRUPTED, terminal.shown
    finally:
        terminal.close()
    (said,) = stored(tmp_path / "me.db")
    assert said[2] == "first line\nsecond"
    assert len(said) == 4


HOSTILE = "\x1b]0;owned\x07 [bold]not bold[/] \u202egnorw\u2066"


def test_what_the_seeker_says_is_shown_harmlessly() -> None:
    screen = io.StringIO()
    talk = Talk(Console(file=screen, width=80, force_terminal=False), lambda: "I see.", is_piped=False)
    messages = [Message("system", HOSTILE), Message("user", HOSTILE)]
    assert talk(session="1", messages=messages, longest_bytes=100) == "I see."
    shown = screen.getvalue()
    assert "[bold]not bold[/]" in shown
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(shown)


def test_only_what_is_new_in_a_dialogue_is_shown() -> None:
    screen = io.StringIO()
    replies = iter(["one", "two"])
    talk = Talk(Console(file=screen, width=80), lambda: next(replies), is_piped=True)
    first = [Message("user", "opening words")]
    talk(session="1", messages=first, longest_bytes=100)
    screen.truncate(0)
    talk(session="1", messages=[*first, Message("assistant", "one"), Message("user", "then this")], longest_bytes=100)
    assert "then this" in screen.getvalue()
    assert "opening words" not in screen.getvalue()
    assert "assistant" not in screen.getvalue()


def test_a_reply_from_a_pipe_that_is_too_long_stops_the_run_and_is_named() -> None:
    replies = iter(["", "x" * 11])
    talk = Talk(Console(file=io.StringIO()), lambda: next(replies), is_piped=True)
    with pytest.raises(UsageError, match="reply 2 of those piped in has 11 bytes, and 10 are allowed"):
        talk(session="1", messages=[], longest_bytes=10)
