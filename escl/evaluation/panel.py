"""The judgings of runs side by side: which scorers read them, and how far they agree."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.settings import JudgingSettings
from escl.errors import UsageError
from escl.evaluation.judged_runs import Cell
from escl.evaluation.results import scored_of
from escl.stats.panel import PanelAgreement, PanelDialogue, Voice, panel_agreement
from escl.store.database import Database
from escl.store.run import RunStore


class Panelist(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer of the panel, as it was asked.

    Attributes:
        adapters: sha256 of each adapter, by "language/dimension".
        kv_type: How its keys and values had to be stored; None where that was left to the plan.
        n_labels: Labels that it gave in these runs.
        failed: What it gave no label for, by reason.
    """

    scorer: str
    sha256: str
    adapters: dict[str, str]
    llama_cpp: str
    kv_type: str | None
    n_labels: int
    failed: dict[str, int]


class PanelCell(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension in one language; crisis cards are apart."""

    language: Language
    dimension: Dimension
    crisis: bool
    agreement: PanelAgreement


class SupporterOrder(msgspec.Struct, frozen=True, kw_only=True):
    """How each scorer ranks the supporters in one dimension, by mean expected label.

    Attributes:
        by_scorer: The supporters from the best on; None for a scorer that labelled nothing.
    """

    language: Language
    dimension: Dimension
    by_scorer: tuple[tuple[str, ...] | None, ...]

    @property
    def is_shared(self) -> bool:
        """Whether all scorers that labelled anything have the same order."""
        return len({order for order in self.by_scorer if order is not None}) == 1


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """All scorers of some runs.

    Attributes:
        orders: For each language and dimension, the supporters as each scorer ranks them; crisis cards left out.
    """

    protocol: str
    runs: tuple[str, ...]
    panelists: tuple[Panelist, ...]
    cells: tuple[PanelCell, ...]
    orders: tuple[SupporterOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One dimension of one dialogue as the scorers read it."""

    key: Cell
    supporter: str
    dialogue: PanelDialogue


def panel_of(paths: Sequence[Path]) -> Panel:
    """Return the panel that the judgings of some runs make.

    Raises:
        StorageError: A file is no run.
        UsageError: There are no two scorers, or the runs have different protocols.
    """
    protocol, members = _members(paths)
    missing: dict[int, Counter[str]] = {at: Counter() for at in range(len(members))}
    read = [each for path in paths for each in _readings(path, members, missing)]
    labelled = Counter(at for each in read for at in each.dialogue.voices)
    return Panel(
        protocol=protocol,
        runs=tuple(path.name for path in paths),
        panelists=tuple(
            Panelist(
                scorer=settings.scorer,
                sha256=settings.sha256,
                adapters=settings.adapters,
                llama_cpp=settings.llama_cpp,
                kv_type=settings.kv_type or None,
                n_labels=labelled[at],
                failed=dict(missing[at]),
            )
            for at, settings in enumerate(members.values())
        ),
        cells=tuple(_cells(read, len(members))),
        orders=tuple(_orders(read, len(members))),
    )


def _members(paths: Sequence[Path]) -> tuple[str, dict[bytes, JudgingSettings]]:
    """Return the protocol's name, and the scorers by what makes them the ones they are."""
    members: dict[bytes, JudgingSettings] = {}
    protocols: dict[str, str] = {}
    for path in paths:
        with Database.reader(path) as database:
            store = RunStore.read(database)
            protocols.setdefault(store.protocol.sha256(), store.protocol.name)
            for number, _ in store.judgings():
                settings = store.judging_settings(number)
                members.setdefault(_identity(settings), settings)
    if len(protocols) > 1:
        raise UsageError("the runs have different protocols", hint="compare the runs of one protocol at once")
    if len(members) < 2:
        hint = "--scorer NAME lets another one read; any GGUF file of a chat model will do"
        raise UsageError("the runs were read by one scorer only" if members else "the runs were not scored", hint=hint)
    return next(iter(protocols.values())), members


def _identity(settings: JudgingSettings) -> bytes:
    """Return what two judgings of different runs share when the same scorer was asked in the same way."""
    return msgspec.json.encode(msgspec.structs.replace(settings, generation_fingerprint=""), order="sorted")


def _readings(path: Path, members: dict[bytes, JudgingSettings], missing: dict[int, Counter[str]]) -> Iterator[_Read]:
    place = {identity: at for at, identity in enumerate(members)}
    with Database.reader(path) as database:
        store = RunStore.read(database)
        said = {place[_identity(store.judging_settings(n))]: scored_of(store, n) for n, _ in store.judgings()}
    for items in zip(*said.values(), strict=True):
        voices: dict[int, Voice] = {}
        for at, item in zip(said, items, strict=True):
            if item.label is not None and item.expected is not None:
                voices[at] = Voice(label=item.label, expected=item.expected)
            elif item.missing is not None:
                missing[at][item.missing] += 1
        first = items[0]
        dialogue = PanelDialogue(cluster=first.cluster, voices=voices)
        yield _Read(key=(first.crisis, first.language, first.dimension), supporter=first.supporter, dialogue=dialogue)


def _cells(read: Sequence[_Read], scorers: int) -> Iterator[PanelCell]:
    groups: dict[Cell, list[PanelDialogue]] = {}
    for each in read:
        groups.setdefault(each.key, []).append(each.dialogue)
    for key in itertools.product((False, True), Language, Dimension):
        if key in groups:
            agreement = panel_agreement(groups[key], scorers=scorers)
            yield PanelCell(crisis=key[0], language=key[1], dimension=key[2], agreement=agreement)


def _orders(read: Sequence[_Read], scorers: int) -> Iterator[SupporterOrder]:
    """Yield the orders over the dialogues that all scorers labelled who labelled any."""
    groups: dict[tuple[Language, Dimension], list[_Read]] = {}
    for each in read:
        crisis, language, dimension = each.key
        if not crisis:
            groups.setdefault((language, dimension), []).append(each)
    for (language, dimension), group in groups.items():
        speaking = {at for each in group for at in each.dialogue.voices}
        by_all = [each for each in group if each.dialogue.voices.keys() == speaking]
        if len(speaking) > 1 and len({each.supporter for each in by_all}) > 1:
            orders = tuple(_order(by_all, at) if at in speaking else None for at in range(scorers))
            yield SupporterOrder(language=language, dimension=dimension, by_scorer=orders)


def _order(read: Sequence[_Read], at: int) -> tuple[str, ...]:
    said: dict[str, list[float]] = {}
    for each in read:
        said.setdefault(each.supporter, []).append(each.dialogue.voices[at].expected)
    return tuple(sorted(said, key=lambda name: (-fmean(said[name]), name)))
