"""An engine answers through its pipe, and whatever befalls its child is a typed error in a parent that lives on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import psutil
import pytest

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.wire import Cancel, EngineSpec, Generated, Progress
from escl.errors import (
    ChatTemplateError,
    ContextOverflowError,
    EngineCrashedError,
    EngineError,
    EngineHungError,
    ModelLoadError,
    NonFiniteLogitsError,
    OutOfMemoryError,
)
from tests.engine.conftest import WriteModel
from tests.engine.hostile import UNSTOPPABLE
from tests.tiny_gguf import Script, bpe_vocabulary, chain, write_adapter

GREEDY = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=20)
SENTENCE = Script(chain("\n", "The", " score", " is", " 3", ".", "<|im_end|>"), nan_after=["Z"])
ENDLESS = Script({"\n": {"ha": 30.0}, "ha": {"ha": 30.0}})
LONG = Sampling(temperature=0, repeat_penalty=1.0, max_tokens=1500)

pytestmark = pytest.mark.model


def run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    return asyncio.run(asyncio.wait_for(work, 60))


async def say(engine: Engine, said: str = "hi", *, sampling: Sampling = GREEDY, session: str = "s") -> Generated:
    return await engine.generate(session=session, messages=[Message("user", said)], sampling=sampling, seed=1)


async def failure_of(work: Awaitable[object]) -> BaseException | None:
    try:
        await work
    except EngineError as error:
        return error
    return None


@pytest.fixture
def spec(model_file: WriteModel) -> EngineSpec:
    return EngineSpec(model=str(model_file("sentence", SENTENCE)), slots=2, ctx_per_slot=256, threads=1)


@pytest.fixture
def endless(model_file: WriteModel) -> EngineSpec:
    return EngineSpec(model=str(model_file("endless", ENDLESS)), slots=2, ctx_per_slot=4096, threads=1)


def test_an_engine_tells_what_is_being_said_only_while_it_is_watched(endless: EngineSpec) -> None:
    async def work() -> None:
        async with await Engine.start(endless) as engine:
            engine.watch(is_watched=True)
            grown = ""
            while not grown:
                # A reply may be over before it is time to tell.
                saying = asyncio.create_task(say(engine, sampling=LONG, session="seven"))
                while not saying.done() and not grown:
                    await asyncio.sleep(0.005)
                    grown = engine.speaking.get("seven", "")
                reply = await saying
                assert engine.speaking == {}
            assert grown == "ha" * (len(grown) // 2)
            assert reply.text == "ha" * 1500
            engine.watch(is_watched=False)
            assert (await say(engine, sampling=LONG, session="seven")).text == reply.text
            assert engine.speaking == {}

    run(work())


def fake(how: str) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("fake_worker.py")), how]


def test_an_engine_answers_counts_reads_and_refuses(spec: EngineSpec) -> None:
    async def work() -> None:
        reports: list[Progress] = []
        async with await Engine.start(spec, on_progress=reports.append) as engine:
            ready = engine.ready
            assert (ready.architecture, ready.slots, ready.n_ctx_per_slot, ready.device) == ("qwen2", 2, 256, "CPU")
            assert ready.peak_rss_bytes > 10_000_000
            replies = await asyncio.gather(*[say(engine, f"hi {number}", session=str(number)) for number in range(9)])
            assert {(reply.text, reply.finish, reply.n_generated) for reply in replies} == {
                ("The score is 3.", "stop", 5)
            }
            assert await engine.count_tokens([Message("user", "hi 0")]) == replies[0].n_prompt
            with pytest.raises(ContextOverflowError, match="has 256"):
                await say(engine, "x" * 300)
            with pytest.raises(NonFiniteLogitsError):
                await say(engine, "Z")
            with pytest.raises(EngineError, match="loaded for dialogue"):
                await engine.read_label(adapter=None, system=None, prefix="a", rest="b")
            odd = await say(engine, "\ud83d \x00 <|im_end|>")
            assert odd.text == "The score is 3."
            with pytest.raises(ContextOverflowError):
                await say(engine, "x" * 20_000_000)
            assert (await say(engine)).text == "The score is 3."
            assert reports or engine.progress is None
        with pytest.raises(EngineError, match="closed"):
            await say(engine)

    run(work())


def test_labels_are_read_through_the_pipe(spec: EngineSpec, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a.gguf", scale=0.1, seed=1)
    labels = msgspec.structs.replace(spec, adapters={"a": str(adapter)}, purpose="labels")

    async def work() -> None:
        async with await Engine.start(labels) as engine:
            for name in ("a", None):
                answer = await engine.read_label(adapter=name, system="s", prefix="rate ", rest="\ud83d this")
                assert (answer.reply, answer.label) == ("The score is 3.", 3)
                assert answer.probabilities is not None
                assert answer.probabilities[3] > 0.99

    run(work())


def test_progress_shows_while_it_works_a_few_times_a_second(endless: EngineSpec) -> None:
    def is_shown_active(reports: list[Progress]) -> bool:
        return any(report.n_active == 1 for report in reports)

    async def work() -> None:
        reports: list[Progress] = []
        async with await Engine.start(endless, on_progress=reports.append) as engine:
            started = time.monotonic()
            # A report may fall between two replies.
            while (elapsed := time.monotonic() - started) < 0.7 or (elapsed < 30 and not is_shown_active(reports)):
                await say(engine, sampling=LONG)
            elapsed = time.monotonic() - started
            assert 2 <= len(reports) <= 6 * elapsed + 2
            assert reports[-1].n_generated > reports[0].n_generated
            assert is_shown_active(reports)
            assert engine.progress == reports[-1]

    run(work())


def test_a_request_that_nobody_waits_for_is_cancelled(endless: EngineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with await Engine.start(endless) as engine:
            send = Mock(side_effect=engine._send)
            monkeypatch.setattr(engine, "_send", send)
            tasks = [asyncio.create_task(say(engine, str(number), sampling=LONG)) for number in range(2)]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert [one.args[0] for one in send.call_args_list[2:]] == [Cancel(id=1), Cancel(id=2)]
            assert (await say(engine)).n_generated == 20

    run(work())


# Loading


def test_what_cannot_be_loaded_says_why(model_file: WriteModel, spec: EngineSpec, tmp_path: Path) -> None:
    whole = Path(spec.model).read_bytes()
    (tmp_path / "text.gguf").write_text("hello", encoding="utf-8")
    (tmp_path / "adapter.gguf").write_bytes(whole)
    other = tmp_path / "other.gguf"
    other.write_bytes(whole.replace(b"qwen2", b"qwenX", 1))
    doubled = tmp_path / "doubled.gguf"
    doubled.write_bytes(whole.replace(b"[PAD1]", b"[PAD2]", 1))
    odd = tmp_path / "a\udcff.gguf"
    odd.write_bytes(whole)
    mute = Script(template=None, vocabulary=bpe_vocabulary(control=("<s>",)))
    cases: dict[str, tuple[EngineSpec, type[EngineError], str]] = {
        "missing": (EngineSpec(model=str(tmp_path / "no.gguf")), ModelLoadError, "no.gguf cannot be opened: No such"),
        "folder": (EngineSpec(model=str(tmp_path)), ModelLoadError, "cannot be opened: Is a directory"),
        "text": (EngineSpec(model=str(tmp_path / "text.gguf")), ModelLoadError, "no GGUF file"),
        "architecture": (EngineSpec(model=str(other)), ModelLoadError, "unknown model architecture: 'qwenX'"),
        "doubled token": (EngineSpec(model=str(doubled)), ModelLoadError, "gave up while loading: .* SIGABRT"),
        "adapter": (
            EngineSpec(model=spec.model, adapters={"a": str(tmp_path / "adapter.gguf")}),
            ModelLoadError,
            "adapter a .* cannot be loaded: ",
        ),
        "odd path": (EngineSpec(model=str(odd)), ModelLoadError, "path .* cannot be passed on"),
        "slots": (EngineSpec(model=spec.model, slots=0), ModelLoadError, "slots=0"),
        "many slots": (EngineSpec(model=spec.model, slots=256), ModelLoadError, "slots=256"),
        "no template": (EngineSpec(model=str(model_file("mute", mute))), ChatTemplateError, "no chat template"),
        "hostile template": (
            EngineSpec(model=str(model_file("evil", Script(template="{{ 'a' * 3000000000 }}")))),
            ChatTemplateError,
            "size 3000000000",
        ),
    }

    async def work() -> None:
        errors = await asyncio.gather(*[failure_of(Engine.start(case)) for case, _, _ in cases.values()])
        for (name, (_, kind, words)), error in zip(cases.items(), errors, strict=True):
            assert type(error) is kind, (name, error)
            with pytest.raises(kind, match=words):
                raise error

    run(work())


def test_a_truncated_file_is_refused_with_a_reason(spec: EngineSpec, tmp_path: Path) -> None:
    whole = Path(spec.model).read_bytes()
    specs = []
    for length in (0, 3, 8, 24, 2_000, len(whole) - 1):
        cut = tmp_path / f"{length}.gguf"
        cut.write_bytes(whole[:length])
        specs.append(EngineSpec(model=str(cut)))

    async def work() -> None:
        for error in await asyncio.gather(*[failure_of(Engine.start(cut)) for cut in specs]):
            assert type(error) is ModelLoadError
            assert re.search("empty or cut off|failed to read (header|key-value)|incomplete", str(error)), error

    run(work())


@pytest.mark.kill
@pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")
def test_a_model_that_does_not_fit_is_out_of_memory(spec: EngineSpec) -> None:
    limited = ["/bin/sh", "-c", 'ulimit -v 1500000; exec "$0" -P -m escl.engine.worker', sys.executable]
    # 1.8 KB of KV a token, 1.9 GB in all.
    huge = EngineSpec(model=spec.model, slots=255, ctx_per_slot=4096, n_batch=512, threads=1)

    async def work() -> None:
        with pytest.raises(OutOfMemoryError, match="fewer slots"):
            await Engine.start(huge, _command=limited)

    run(work())


@pytest.mark.kill
def test_a_template_that_nothing_can_interrupt_ends_its_child_in_time(model_file: WriteModel) -> None:
    model = model_file("unstoppable", Script(template=UNSTOPPABLE))

    async def work() -> None:
        started = time.monotonic()
        with pytest.raises(ChatTemplateError, match="processor"):
            await Engine.start(EngineSpec(model=str(model)))
        assert time.monotonic() - started < 8

    run(work())


# Dying


@pytest.mark.kill
def test_a_misbehaving_child_is_a_typed_error_with_its_last_words(spec: EngineSpec) -> None:
    cases = {
        "abort": "killed by SIGABRT",
        "segfault": "killed by SIGSEGV",
        "exit": "exit code 0|closed its pipe",
        "exit with code 3": "exit code 3",
        "send garbage": "no message",
        "send text": "no message",
        "send half a frame": "middle of a message",
        "send a huge frame": "no message",
        "close stdout and stay": "closed its pipe",
    }

    async def die(how: str) -> BaseException | None:
        engine = await Engine.start(spec, _command=fake(how))
        errors = await asyncio.gather(*[failure_of(say(engine)) for _ in range(3)])
        assert {str(error) for error in errors} == {str(errors[0])}
        assert str(await failure_of(say(engine))) == str(errors[0])
        assert not psutil.pid_exists(engine.pid) or psutil.Process(engine.pid).status() == psutil.STATUS_ZOMBIE
        await engine.close()
        return errors[0]

    async def work() -> None:
        for (how, words), error in zip(cases.items(), await asyncio.gather(*map(die, cases)), strict=True):
            assert type(error) is EngineCrashedError, (how, error)
            with pytest.raises(EngineCrashedError, match=words):
                raise error
            assert f"about to {how}" in str(error)

    run(work())


@pytest.mark.kill
def test_a_silent_child_is_hung_and_killed(spec: EngineSpec) -> None:
    async def hang(how: str) -> BaseException | None:
        engine = await Engine.start(spec, hang_timeout_s=0.5, _command=fake(how))
        error = await failure_of(say(engine))
        await engine.close()
        assert not psutil.pid_exists(engine.pid)
        return error

    async def work() -> None:
        started = time.monotonic()
        never_ready = failure_of(Engine.start(spec, ready_timeout_s=0.5, _command=fake("never ready")))
        errors = await asyncio.gather(hang("sleep"), hang("ignore SIGTERM"), never_ready)
        assert {type(error) for error in errors} == {EngineHungError}
        assert time.monotonic() - started < 15

    run(work())


@pytest.mark.kill
def test_noise_on_stderr_and_stray_answers_do_no_harm(spec: EngineSpec) -> None:
    async def work() -> None:
        for how in ("flood stderr", "answer twice", "answer someone else"):
            engine = await Engine.start(spec, _command=fake(how))
            assert (await say(engine)).text == "x"
            assert sum(map(len, engine._stderr)) < 100_000
            engine._kill()
            await engine.close()

    run(work())


@pytest.mark.kill
def test_a_progress_callback_that_fails_leaves_nobody_waiting(endless: EngineSpec) -> None:
    def fail(_: Progress) -> None:
        raise ZeroDivisionError

    async def work() -> None:
        engine = await Engine.start(endless, on_progress=fail)
        error = None
        while error is None:
            error = await failure_of(say(engine, sampling=LONG))
        assert isinstance(error, EngineCrashedError)
        await engine.close()

    run(work())


@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_killed_or_stopped_engine_is_noticed(endless: EngineSpec) -> None:
    async def befall(number: signal.Signals) -> BaseException | None:
        engine = await Engine.start(endless, hang_timeout_s=0.6)
        pending = asyncio.create_task(failure_of(say(engine, sampling=LONG)))
        await asyncio.sleep(0.05)
        os.kill(engine.pid, number)
        error = await pending
        await engine.close()
        return error

    async def work() -> None:
        killed, stopped, ignored = await asyncio.gather(
            befall(signal.SIGKILL), befall(signal.SIGSTOP), befall(signal.SIGINT)
        )
        assert isinstance(killed, EngineCrashedError)
        assert "SIGKILL" in str(killed)
        assert isinstance(stopped, EngineHungError)
        assert ignored is None

    run(work())


def is_gone(process: psutil.Process, *, within_s: float) -> bool:
    """Return whether a process ends in time; some containers let an orphan stay a zombie for long."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


PARENT = """
import asyncio, sys
from escl.engine.client import Engine
from escl.engine.wire import EngineSpec

async def main():
    engine = await Engine.start(EngineSpec(model=sys.argv[1], slots=1, ctx_per_slot=256, threads=1))
    print(engine.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.kill
def test_a_child_does_not_outlive_its_parent(spec: EngineSpec) -> None:
    command = [sys.executable, "-c", PARENT, spec.model]
    root = str(Path(__file__).parents[2])
    parents = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) for _ in range(2)]
    children = [psutil.Process(int(parent.stdout.readline())) for parent in parents if parent.stdout is not None]
    if sys.platform == "linux":
        children[1].suspend()
    for parent, child in zip(parents, children, strict=True):
        parent.kill()
        parent.communicate()
        assert is_gone(child, within_s=10)


def test_an_engine_that_is_closed_frees_everything_and_exits_cleanly(spec: EngineSpec) -> None:
    async def work() -> int | None:
        engine = await Engine.start(spec)
        await say(engine)
        await engine.close()
        await engine.close()
        return engine._process.returncode

    assert run(work()) == 0
