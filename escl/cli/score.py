"""`escl score`: rate dialogues that were spoken elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import (
    AnyQuant,
    AsJson,
    Context,
    DeviceName,
    GpuLayers,
    Memory,
    NoTune,
    Out,
    Parallel,
    ProtocolName,
    RetryFailed,
    Rubrics,
    Scorer,
    Threads,
)
from escl.cli.output import progress_console
from escl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escl.cli.planning import Wishes
    from escl.core.dialogue import Turn
    from escl.core.dimension import Language
    from escl.core.own_dimension import OwnDimension
    from escl.core.protocol import Protocol
    from escl.core.settings import GenerationSettings
    from escl.memory.plan import Plan
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore


def score(
    files: Annotated[
        list[Path],
        typer.Argument(help="Dialogue files as ESC-Eval's evaluate.py writes them; with --rubrics a run's file too."),
    ],
    *,
    scorer: Scorer = None,
    protocol: ProtocolName = "open",
    rubrics: Rubrics = None,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    any_quant: AnyQuant = False,
    no_tune: NoTune = False,
    retry_failed: RetryFailed = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score finished dialogues: each file is one supporter, named after the file.

    Without --scorer, ESC-RANK is used if its files are on the shelf, else the demo's toy scorer, which says so.

    With the file of a run and --rubrics, its dialogues are read in dimensions of your own, by any scorer.

    Example: escl score result/llama3_en.json result/Qwen_7B_en.json --scorer esc-rank --out published.db

    Example: escl score my-model.db --rubrics my-rubrics.toml --scorer qwen2.5-7b-instruct-Q4_K_M.gguf
    """
    from escl.cli.planning import Wishes
    from escl.cli.work import load_model, open_run, show
    from escl.core.own_dimension import own_for
    from escl.shelf.manifest import ModelRole, is_there

    is_of_run = _is_of_run(files, rubrics, out)
    source = _of_run(files[0]) if is_of_run else _imported(files, protocol)
    own = own_for(rubrics or (), source.languages)
    if scorer is None and not is_there("esc-rank"):
        progress_console().print(
            "ESC-RANK's files are not there: the demo's toy scorer rates, and its numbers mean nothing",
            style="bold yellow",
        )
    default = "esc-rank" if is_there("esc-rank") else "demo/scorer"
    model = load_model(scorer or default, ModelRole.SCORER)
    wishes = Wishes(
        memory=memory,
        device=device,
        parallel=parallel,
        ctx=ctx,
        gpu_layers=gpu_layers,
        threads=threads,
        any_quant=any_quant,
        tune=not no_tune,
        named_only=is_of_run,
    )
    path = out or source.path
    store = open_run(path, source.settings, source.words)
    try:
        source.put_into(store)
        interrupted = _read(model, store, wishes, own=own, seven=not is_of_run, retry_failed=retry_failed)
        raise typer.Exit(show(store, path, interrupted=interrupted, as_json=as_json))
    finally:
        store.close()


def _read(
    model: Model,
    store: RunStore,
    wishes: Wishes,
    *,
    own: Sequence[OwnDimension],
    seven: bool,
    retry_failed: bool,
) -> bool:
    """Let the scorer read what it has not read yet; return whether the user stopped it."""
    from escl.cli.planning import explaining_out_of_memory, plan_scoring
    from escl.cli.work import say_plan, work
    from escl.evaluation.engines import Engines
    from escl.evaluation.observer import RunObserver
    from escl.evaluation.run import run_scoring

    planned = partial(plan_scoring, model, store, own=own, seven=seven)
    plan, rater = _planned(model, store, lambda: planned(wishes))
    say_plan(plan, [("scorer", model)])

    async def task(store: RunStore, observer: RunObserver, stop: asyncio.Event) -> None:
        async with Engines(plan, store, observer=observer, stop=stop) as engines:
            await run_scoring(
                rater,
                store,
                engines=engines,
                observer=observer,
                stop=stop,
                retry_failed=retry_failed,
                own=own,
                seven=seven,
            )

    with explaining_out_of_memory(plan, wishes, planned):
        return work(store, task)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The dialogues that are to be scored.

    Attributes:
        path: Of the run's file, unless the user names it.
        dialogues: By supporter and key, those that are not in it yet.
    """

    path: Path
    settings: GenerationSettings
    words: Protocol
    languages: set[Language]
    dialogues: dict[str, dict[str, list[Turn]]]

    def put_into(self, store: RunStore) -> None:
        """Store the dialogues that are not there yet."""
        from escl.store.upstream import language_of

        for supporter, dialogues in self.dialogues.items():
            for key, turns in dialogues.items():
                store.import_dialogue(card_id=key, language=language_of(turns), supporter=supporter, turns=turns)


def _is_of_run(files: list[Path], rubrics: list[Path] | None, out: Path | None) -> bool:
    """Return whether a run is to be read in the user's own dimensions.

    Raises:
        UsageError: A run is named where it cannot be.
    """
    from escl.store.watch import is_run

    if not any(is_run(path) for path in files):
        return False
    if not rubrics:
        raise UsageError(
            f"{files[0]} is a run, and the same `escl run` scores it",
            hint="`escl judge panel RUN --scorer M` lets another scorer read it; --rubrics adds dimensions of your own",
        )
    if len(files) > 1 or out is not None:
        raise UsageError("a run is read alone and in its own file", hint="name one run, without --out")
    return True


def _of_run(path: Path) -> _Source:
    """Return the dialogues that the run at `path` has."""
    from escl.store.database import Database
    from escl.store.run import RunStore

    with Database.reader(path) as database:
        earlier = RunStore.read(database)
        languages = {dialogue.language for dialogue in earlier.dialogues()}
        return _Source(path=path, settings=earlier.settings, words=earlier.protocol, languages=languages, dialogues={})


def _imported(files: list[Path], protocol: str) -> _Source:
    """Return the dialogues of these files, with the protocol as it applies to them."""
    from msgspec import UNSET

    from escl.cli.work import default_out
    from escl.core.protocol import load_protocol
    from escl.core.settings import ImportSettings
    from escl.shelf.manifest import sha256_of
    from escl.store.upstream import SEEKER_LABEL, SUPPORTER_LABELS, language_of, read_upstream

    twice = [name for name, n in Counter(path.stem for path in files).items() if n > 1]
    if twice:
        raise UsageError(f"two files are named {twice[0]}", hint="the file's name names the supporter; rename one")
    read = {path.stem: read_upstream(path) for path in files}
    label, *others = sorted({file.supporter_label for file in read.values()})
    if others:
        raise UsageError(f"the files label the supporter in two ways, {label} and {others[0]}", hint="score them apart")
    words = load_protocol(protocol)
    if words.rewriting:
        # score.py never looks at the labels: it takes the strings as the file has them.
        words = words.labelled_as(seeker=SEEKER_LABEL, supporter=label)
    settings = ImportSettings(
        files={path.stem: sha256_of(path) for path in files},
        protocol_sha256=words.sha256(),
        supporter_label=UNSET if label == SUPPORTER_LABELS[0] else label,
    )
    imported = {name: file.dialogues for name, file in read.items()}
    languages = {language_of(turns) for dialogues in imported.values() for turns in dialogues.values()}
    for language in languages:
        words.wording(language)
    return _Source(path=default_out(settings), settings=settings, words=words, languages=languages, dialogues=imported)


def _planned(scorer: Model, store: RunStore, planned: Callable[[], Plan]) -> tuple[Plan, Model]:
    """Return the plan and the scorer with the file that it chose; where there is none, the attempt has ended."""
    from escl.cli.planning import as_planned

    try:
        plan = planned()
        return plan, as_planned(scorer, "scorer", plan)
    except BaseException as error:
        store.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "error")
        raise
