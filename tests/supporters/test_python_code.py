"""Python code runs where it can hurt nothing: whatever it does, a dialogue gets a reply or a failure that says why."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from escl.core import connections
from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.errors import ManifestError, NotBegunError, SupporterError, SupporterUnavailableError
from escl.supporters.outside import PythonSupporter, Said, Try
from escl.supporters.python_code import PythonCode, sha256_of_code

ROOT = Path(__file__).parents[2]
MODULE = "tests.supporters.code"
ASKED = [Message("system", "Be kind."), Message("user", "I cannot sleep. \ud800")]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def ask(
    name: str,
    *,
    times: int = 1,
    tries: list[Try] | None = None,
    messages: list[Message] = ASKED,
    timeout_s: float = 20.0,
    processes: int = 1,
) -> list[Said | BaseException]:
    """Ask so many times, as many side by side as there are processes, and return what came."""
    one = PythonSupporter(
        name=name, target=f"{MODULE}:{name}", sha256="0" * 64, timeout_s=timeout_s, processes=processes
    )

    async def main() -> list[Said | BaseException]:
        noted = tries if tries is not None else []
        code = PythonCode(one, on_try=lambda _, tried: noted.append(tried), stop=asyncio.Event())
        try:
            return await asyncio.gather(
                *(code.generate(session=str(n), messages=messages, sampling=Sampling(), seed=n) for n in range(times)),
                return_exceptions=True,
            )
        finally:
            await code.release()

    found = asyncio.run(main())
    assert psutil.Process().children(recursive=True) == []
    return found


def test_a_class_is_made_once_and_called_with_the_messages() -> None:
    tries: list[Try] = []
    first, second = ask("Kind", times=2, tries=tries)
    assert isinstance(first, Said)
    assert isinstance(second, Said)
    assert first.text == "I hear you (1): system, I cannot sleep. \ufffd"
    assert second.text.startswith("I hear you (2)")
    assert (first.finish, first.n_prompt, first.n_generated) == (None, None, None)
    assert [(tried.number, tried.error) for tried in tries] == [(1, None), (1, None)]


def test_a_function_inside_a_class_is_found_and_its_reasoning_told_from_its_reply() -> None:
    (said,) = ask("Holder.inner")
    assert isinstance(said, Said)
    assert (said.reasoning, said.text) == ("Hm.", "Go on.")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("raises", "ValueError: no luck ?"),
        ("raises_rudely", "RudeError"),
        ("leaves", "SystemExit: 3"),
        ("dies", "ended with exit code 7; its last words: last words"),
        ("number", "returned int, not str"),
        ("later", "returned coroutine, not str"),
        ("empty", "empty reply"),
        ("huge", "returned 2,097,152 characters"),
        ("half", "half a character"),
    ],
)
def test_what_is_no_reply_is_a_failure_with_its_reason_and_the_next_call_is_answered(name: str, why: str) -> None:
    tries: list[Try] = []
    errors = ask(name, times=2, tries=tries)
    assert [type(error) for error in errors] == [SupporterError, SupporterError]
    assert all(why in str(error) for error in errors), errors
    assert [tried.error is not None and why in tried.error for tried in tries] == [True, True]


def test_a_call_that_takes_too_long_is_killed_and_the_next_one_gets_a_new_process(tmp_path: Path) -> None:
    messages = [Message("user", str(tmp_path / "mark"))]
    began = time.monotonic()
    late, awake = ask("sleeps_once", times=2, messages=messages, timeout_s=1.5)
    assert isinstance(late, SupporterError)
    assert "no reply within 1.5 s" in late.message
    assert isinstance(awake, Said)
    assert awake.text == "awake"
    assert time.monotonic() - began < 30


def test_what_the_code_writes_to_stdout_disturbs_nothing() -> None:
    (said,) = ask("writes_to_fd_1")
    assert isinstance(said, Said)
    assert said.text == "fine"


def test_processes_answer_side_by_side() -> None:
    found = ask("Kind", times=6, processes=3)
    calls = sorted(int(said.text.split("(")[1][0]) for said in found if isinstance(said, Said))
    assert len(calls) == 6
    assert calls.count(1) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="nothing counts connections of other code there")
def test_connections_of_the_code_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = connections.attempted()
        (said,) = ask("connects", messages=[Message("user", str(server.getsockname()[1]))])
    assert isinstance(said, Said)
    assert said.text == "connected"
    assert connections.attempted() == before + 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("NeedsArguments", "missing 1 required positional argument"),
        ("NotCallable", "no function, and no class whose objects can be called"),
        ("Nobody", "has no attribute 'Nobody'"),
    ],
)
def test_code_that_cannot_be_loaded_stops_the_run(name: str, why: str) -> None:
    (error,) = ask(name)
    assert isinstance(error, SupporterUnavailableError)
    assert why in error.message


def test_a_stop_answers_the_call_that_is_running_and_turns_away_the_rest() -> None:
    async def main() -> list[Said | BaseException]:
        stop = asyncio.Event()
        one = PythonSupporter(name="k", target=f"{MODULE}:Kind", sha256="0" * 64)
        code = PythonCode(one, on_try=lambda *_: stop.set(), stop=stop)
        asked = [code.generate(session=str(n), messages=ASKED, sampling=Sampling(), seed=n) for n in range(3)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await code.release()
        return found

    found = asyncio.run(main())
    assert [type(one) for one in found] == [Said, NotBegunError, NotBegunError]


def test_a_cancelled_call_leaves_no_process() -> None:
    async def main() -> None:
        one = PythonSupporter(name="s", target=f"{MODULE}:sleeps", sha256="0" * 64)
        code = PythonCode(one, on_try=lambda *_: None, stop=asyncio.Event())
        await code.preload()
        asked = asyncio.create_task(code.generate(session="1", messages=ASKED, sampling=Sampling(), seed=1))
        await asyncio.sleep(0.2)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await code.release()

    asyncio.run(main())
    assert psutil.Process().children(recursive=True) == []


def test_code_is_known_by_the_hash_of_its_modules_file_and_not_run_for_that(tmp_path: Path) -> None:
    assert (
        sha256_of_code(f"{MODULE}:Kind") == hashlib.sha256((ROOT / "tests/supporters/code.py").read_bytes()).hexdigest()
    )
    source = b"raise SystemExit('it ran')\n"
    (tmp_path / "mine.py").write_bytes(source)
    os.chdir(tmp_path)
    assert sha256_of_code("mine:Model") == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("no_such_module_here:Name", "there is no module no_such_module_here"),
        ("no_such_package.inner:Name", "No module named 'no_such_package'"),
        ("sys:exit", "is in no file"),
    ],
)
def test_code_that_is_not_there_is_refused(target: str, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        sha256_of_code(target)
