"""Working on a run from the command line: progress while it goes, Ctrl-C, and the tables at the end."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib import metadata
from pathlib import Path

import msgspec
from rich.console import Console

from escl.cli.output import print_json, progress_console, results_console
from escl.core.protocol import Protocol
from escl.core.settings import GenerationSettings, fingerprint
from escl.errors import ExitCode
from escl.evaluation.observer import RunObserver
from escl.evaluation.results import Results, results_of
from escl.report.live import LineObserver, LiveObserver
from escl.report.terminal import print_results
from escl.shelf.manifest import Model, find_model
from escl.store.database import Database
from escl.store.run import RunStore

Work = Callable[[RunStore, RunObserver, asyncio.Event], Awaitable[None]]


class RunResults(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints for a run."""

    run: str
    interrupted: bool
    results: Results


def default_out(settings: GenerationSettings) -> Path:
    """Return the file that a run without `--out` uses, so that the same command finds it again."""
    return Path(f"escl-{fingerprint(settings)[:8]}.db")


def open_run(path: Path, settings: GenerationSettings, protocol: Protocol) -> RunStore:
    """Open or create the run file `path` for writing and note this command in it."""
    versions = {name: metadata.version(name) for name in ("escl", "llama-cpp-python", "numpy")}
    database = Database.writer(path)
    try:
        return RunStore.begin(database, settings, protocol, command=shlex.join(sys.argv), versions=versions)
    except BaseException:
        database.close()
        raise


def load_model(reference: str) -> Model:
    """Find a model on the shelf, saying so when hashing it takes a while."""
    console = progress_console()

    def on_hash(path: Path, size_bytes: int) -> None:
        if size_bytes > 1 << 30:
            console.print(f"checking the hash of {path.name} ({size_bytes / 2**30:.1f} GiB)", markup=False)

    return find_model(reference, on_hash=on_hash)


def work(store: RunStore, task: Work) -> bool:
    """Run `task` on the store with progress shown; return whether the user stopped it.

    The first Ctrl-C (or SIGTERM) finishes the turns in flight; the second ends at once. Both lose nothing committed.
    """
    console = progress_console()
    with _observer(console) as observer:
        try:
            interrupted = asyncio.run(_until_stopped(store, task, observer))
        except BaseException as error:
            store.finish("interrupted" if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else "error")
            raise
    store.finish("interrupted" if interrupted else "finished")
    return interrupted


def show(store: RunStore, path: Path, *, interrupted: bool, as_json: bool) -> ExitCode:
    """Print the run's results and return the command's exit code."""
    results = results_of(store)
    if as_json:
        print_json(RunResults(run=str(path), interrupted=interrupted, results=results))
    else:
        print_results(results_console(), results)
    if interrupted:
        console = progress_console()
        console.print("Stopped; everything said so far is kept. To go on, run the same command:", markup=False)
        console.print(f"  {_resume_command(path)}", markup=False, soft_wrap=True)
        return ExitCode.INTERRUPTED
    return ExitCode.INCOMPLETE if _has_failures(results) else ExitCode.OK


def _has_failures(results: Results) -> bool:
    return results.n_dialogues["failed"] > 0 or any(cell.failed for cell in results.cells)


def _resume_command(path: Path) -> str:
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if not {"-o", "--out"} & {word.partition("=")[0] for word in words}:
        words += ["--out", str(path)]
    return shlex.join(words)


@contextlib.contextmanager
def _observer(console: Console) -> Iterator[LineObserver]:
    if not console.is_terminal:
        yield LineObserver(console)
        return
    with LiveObserver(console) as live:
        yield live


async def _until_stopped(store: RunStore, task: Work, observer: LineObserver) -> bool:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    working = asyncio.ensure_future(task(store, observer, stop))

    def on_signal() -> None:
        if stop.is_set():
            working.cancel()
            return
        stop.set()
        observer.note("finishing the turns in flight; Ctrl-C again ends at once", style="yellow")

    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no loop signal handlers: there Ctrl-C ends at once, which loses nothing committed either.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, on_signal)
    try:
        await working
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    return stop.is_set()
