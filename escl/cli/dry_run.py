"""`escl run --dry-run`: the plan and the tables as they stand before the first word, without a model loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from escl.cli.output import print_json, progress_console, results_console
from escl.core.card import cards_sha256
from escl.core.message import as_text
from escl.core.printable import printable
from escl.errors import ExitCode

if TYPE_CHECKING:
    from escl.evaluation.results import Results
    from escl.evaluation.run import Simulation
    from escl.memory.plan import Plan
    from escl.shelf.manifest import Model


def show_dry_run(simulation: Simulation, scorer: Model | None, plan: Plan, *, path: Path, as_json: bool) -> ExitCode:
    """Print what the run would be: with JSON the plan beside the results, in the fields that they will have."""
    from escl.cli.work import RunResults
    from escl.report.plan import print_plan
    from escl.report.terminal import print_results

    results = _before_the_first_word(simulation, scorer)
    if as_json:
        shown = RunResults(run=str(path), interrupted=False, is_complete=False, results=results)
        fields: dict[str, object] = msgspec.to_builtins(shown, enc_hook=as_text)
        print_json({"dry_run": True, **fields, "plan": plan})
        return ExitCode.OK
    print_plan(results_console(), plan)
    print_results(results_console(), results)
    line = f"Nothing was run. Without --dry-run this is kept in {printable(str(path))}"
    progress_console().print(line, markup=False, soft_wrap=True)
    return ExitCode.OK


def _before_the_first_word(simulation: Simulation, scorer: Model | None) -> Results:
    """Return the results of the run as it would be laid out, from a file that is gone again."""
    from escl.cli.work import open_run
    from escl.evaluation.results import results_of
    from escl.evaluation.run import lay_out

    settings = simulation.settings(cards_sha256(simulation.cards))
    with tempfile.TemporaryDirectory(prefix="escl-dry-run-") as folder:
        store = open_run(Path(folder) / "run.db", settings, simulation.protocol)
        try:
            lay_out(simulation, scorer, store)
            return results_of(store)
        finally:
            store.close()
