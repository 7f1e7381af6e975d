"""Supporters that are no model here, on the command line: finding them, and saying whom a run will ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escl.cli.output import progress_console
from escl.core.printable import printable
from escl.core.proxies import proxy_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escl.evaluation.run import Simulation, Supporter
    from escl.supporters.outside import EndpointSupporter, OutsideSupporter
    from escl.supporters.person import Answer


def load_supporter(reference: str, *, parallel: int | None) -> Supporter:
    """Return the supporter that `reference` names, its file hashed if it is a model's.

    Args:
        reference: As on the command line.
        parallel: Dialogues side by side at most; None leaves it to each supporter.

    Raises:
        ManifestError: Nothing of that name, or a malformed manifest.
        UsageError: An address that cannot be.
    """
    from escl.cli.work import load_model
    from escl.supporters.reference import outside_supporter

    supporter = outside_supporter(reference)
    if supporter is None:
        return load_model(reference)
    return supporter if parallel is None else supporter.with_at_most(parallel)


def answering(simulation: Simulation) -> Answer | None:
    """Return who asks the person that the run is with; None where it is with none.

    Raises:
        UsageError: There is no terminal, and nothing is piped in.
    """
    from escl.supporters.outside import HumanSupporter

    if not any(isinstance(one, HumanSupporter) for one in simulation.outside):
        return None
    from escl.cli.person import the_person

    return the_person()


def say_outside(simulation: Simulation) -> None:
    """Print for each supporter outside whom the run will ask, and what it is told.

    Raises:
        UsageError: An endpoint's key is not there.
    """
    for supporter in simulation.outside:
        _say(_who(supporter))
        for note in _notes(supporter, simulation):
            _say(f"  {note}", style="yellow")


def _who(supporter: OutsideSupporter) -> str:
    from escl.supporters.outside import HumanSupporter, PythonSupporter

    if isinstance(supporter, HumanSupporter):
        return f"{supporter.name}: you answer as the supporter"
    if isinstance(supporter, PythonSupporter):
        count = "a process" if supporter.processes == 1 else f"{supporter.processes} processes"
        return f"{supporter.name}: python:{supporter.target} is called in {count} of its own"
    return f"{supporter.name}: this run opens connections to {supporter.url}, {_key_in_words(supporter)}"


def _key_in_words(supporter: EndpointSupporter) -> str:
    from escl.supporters.endpoint import key_for

    key = key_for(supporter)
    return "without a key" if key is None else f"with the key in ${key[0]}"


def _notes(supporter: OutsideSupporter, simulation: Simulation) -> list[str]:
    from escl.supporters.outside import HumanSupporter, PythonSupporter

    notes: list[str] = []
    if simulation.strict:
        notes.append("--strict is about the models here: nobody can promise the same reply twice of this one")
    if isinstance(supporter, PythonSupporter):
        if simulation.temperature is not None or simulation.max_tokens is not None:
            notes.append("--temperature and --max-tokens do not reach it: code is called with the messages only")
        return notes
    if isinstance(supporter, HumanSupporter):
        return notes
    return [*notes, *_on_the_way(supporter)]


def _on_the_way(supporter: EndpointSupporter) -> Iterator[str]:
    """Yield who may read along between here and an endpoint on another machine."""
    from escl.supporters.addresses import is_loopback

    if is_loopback(supporter.url):
        return
    if supporter.url.startswith("http://"):
        yield "the address is not https: dialogues and key can be read on the way"
    if proxies := proxy_variables():
        yield f"proxies that the environment names may stand in between: {', '.join(proxies)}"


def _say(line: str, *, style: str = "") -> None:
    progress_console().print(printable(line), markup=False, soft_wrap=True, style=style)
