"""Working on a run from the command line: progress while it goes, Ctrl-C, and the tables at the end."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

import msgspec
from rich.console import Console

from escl.cli.output import print_json, progress_console, results_console
from escl.core.printable import printable
from escl.core.protocol import Protocol
from escl.core.settings import GenerationSettings, fingerprint
from escl.errors import ExitCode
from escl.evaluation.certificate import Citation, citations
from escl.evaluation.crisis import crisis_report
from escl.evaluation.crisis_flow import crisis_dialogues
from escl.evaluation.published import Published
from escl.evaluation.results import NOT_FINISHED, NOT_SCORED, Results, results_of
from escl.memory.choices import Role
from escl.memory.plan import Plan, chosen_line
from escl.report.crisis import print_crisis
from escl.report.fidelity import print_citations
from escl.report.live import LineObserver, LiveObserver
from escl.report.published import print_published
from escl.report.terminal import print_results
from escl.shelf.manifest import Model, ModelRole, find_model
from escl.store.database import Database
from escl.store.records import Outcome
from escl.store.run import RunStore


class Attempt(typing.Protocol):
    """What a command works on, and where it notes how that ended."""

    def finish(self, outcome: Outcome) -> None:
        """Record how this attempt ended."""


Stored = typing.TypeVar("Stored", bound=Attempt)
Work = Callable[[Stored, LineObserver, asyncio.Event], Awaitable[None]]


class RunResults(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints for a run.

    Attributes:
        run: The run's file; None when it was not kept.
        interrupted: Whether this command was stopped by the user.
        is_complete: Whether nothing is left to be said or read.
        certificates: What comparisons of this scorer with others found.
        published: The paper's leaderboard beside them, where it was asked for.
    """

    run: str | None
    interrupted: bool
    is_complete: bool
    results: Results
    certificates: list[Citation] = []
    published: Published | None = None


def default_out(settings: GenerationSettings) -> Path:
    """Return the file that a run without `--out` uses, so that the same command finds it again."""
    return Path(f"escl-{fingerprint(settings)[:8]}.db")


def open_run(path: Path, settings: GenerationSettings, protocol: Protocol) -> RunStore:
    """Open or create the run file `path` for writing and note this command in it."""
    versions = {name: metadata.version(name) for name in ("escl", "llama-cpp-python", "numpy")}
    database = Database.writer(path)
    try:
        return RunStore.begin(database, settings, protocol, command=printable(shlex.join(sys.argv)), versions=versions)
    except BaseException:
        database.close()
        raise


def load_model(reference: str, role: ModelRole = ModelRole.SUPPORTER) -> Model:
    """Find a model on the shelf, saying so when hashing it takes a while."""
    console = progress_console()

    def on_hash(path: Path, size_bytes: int) -> None:
        if size_bytes > 1 << 30:
            console.print(f"checking the hash of {path.name} ({size_bytes / 2**30:.1f} GiB)", markup=False)

    # Any model may be put to the test, a seeker or scorer too.
    return find_model(reference, role=None if role is ModelRole.SUPPORTER else role, on_hash=on_hash)


def say_plan(plan: Plan, named: Iterable[tuple[Role, Model]], *, at_most: bool = False) -> None:
    """Print the plan's choice in a line, and one for each model that gets another file than the named one.

    Args:
        plan: What was chosen.
        named: The models of the run as the user named them, each with its role.
        at_most: The work may end before all of it is done.
    """
    console = progress_console()
    console.print(printable(chosen_line(plan, at_most=at_most)), markup=False, soft_wrap=True)
    used = {(engine.role, engine.name): Path(engine.path) for engine in plan.best().engines}
    for role, model in named:
        path = used[role, model.name]
        if path != model.path:
            line = (
                f"{role} {model.name}: {path} is used in place of {model.path.name}. With other free memory another "
                f"file may be chosen, and that is another run. To resume a run whatever memory is free, begin it with "
                f"this path itself as the {role}; with --strict nothing ever stands in"
            )
            console.print(printable(line), markup=False, soft_wrap=True, style="yellow")


def work(store: Stored, task: Work[Stored], *, is_talking: bool = False) -> bool:
    """Run `task` on the store with progress shown; return whether the user stopped it.

    With `is_talking` the terminal is the person's who answers, and progress is lines.

    The first Ctrl-C (or SIGTERM) finishes the turns in flight; the second ends at once. Both lose nothing committed.
    """
    console = progress_console()
    with _observer(console, is_talking=is_talking) as observer:
        try:
            interrupted = asyncio.run(_until_stopped(store, task, observer))
        except BaseException as error:
            store.finish("interrupted" if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else "error")
            raise
    store.finish("interrupted" if interrupted else "finished")
    return interrupted


def show(
    store: RunStore,
    path: Path | None,
    *,
    interrupted: bool,
    as_json: bool,
    judging_id: int | None = None,
    results: Results | None = None,
    published: Published | None = None,
) -> ExitCode:
    """Print the run's results and return the command's exit code; without a path the run is not kept.

    Args:
        store: The run.
        path: Its file.
        interrupted: Whether the user stopped it.
        as_json: Print data instead of tables.
        judging_id: Whose readings; by default those of the judging asked for last.
        results: What they come to, where it is not the usual.
        published: The paper's leaderboard, to stand beside them.
    """
    results = results or results_of(store, judging_id=judging_id)
    cited = _citations(store, judging_id)
    if as_json:
        shown = RunResults(
            run=None if path is None else str(path),
            interrupted=interrupted,
            is_complete=results.is_complete,
            results=results,
            certificates=cited,
            published=published,
        )
        print_json(shown)
    else:
        print_results(results_console(), results)
        if crisis_dialogues(store):
            print_crisis(results_console(), crisis_report(store))
        print_citations(results_console(), cited)
        if published is not None:
            print_published(results_console(), published)
    _say_where(path, interrupted=interrupted)
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.INCOMPLETE if _has_gaps(results) else ExitCode.OK


def _citations(store: RunStore, judging_id: int | None) -> list[Citation]:
    """Return the certificates about the scorer whose readings are shown."""
    shown = judging_id or next((number for number, _ in reversed(store.judgings())), None)
    return [] if shown is None else citations(store.judging_settings(shown), store.kv_types(shown))


def _say_where(path: Path | None, *, interrupted: bool) -> None:
    console = progress_console()
    if path is None:
        console.print("This run is not kept; --out FILE keeps one.")
    elif interrupted:
        console.print("Stopped; everything said so far is kept. To go on, run the same command:", markup=False)
        console.print(f"  {_resume_command(path)}", markup=False, soft_wrap=True)
    else:
        console.print(f"The run is kept in {printable(str(path))}", markup=False, soft_wrap=True)


def _has_gaps(results: Results) -> bool:
    unlabelled = any(set(cell.failed) - {NOT_SCORED, NOT_FINISHED} for cell in results.all_cells)
    return bool(results.all_failures) or unlabelled


def _resume_command(path: Path) -> str:
    words = list(sys.argv)
    if not {"-o", "--out"} & {word.partition("=")[0] for word in words}:
        words += ["--out", str(path)]
    return shlex.join(words)


@contextlib.contextmanager
def _observer(console: Console, *, is_talking: bool) -> Iterator[LineObserver]:
    if is_talking or not console.is_terminal:
        yield LineObserver(console)
        return
    with LiveObserver(console) as live:
        yield live


async def _until_stopped(store: Stored, task: Work[Stored], observer: LineObserver) -> bool:
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
