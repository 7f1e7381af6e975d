"""Does one scorer still judge like another? From the stored readings of both to a certificate.

Owns which readings are compared and the verdict over all languages and dimensions. Makes no readings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from escl import __version__
from escl.core.dimension import Dimension, Language, adapter_name
from escl.core.protocol import Protocol
from escl.core.settings import fingerprint
from escl.errors import UsageError
from escl.evaluation.certificate import Certificate, CertifiedRun, CertifiedScorer, FidelityCell
from escl.evaluation.results import NOT_SCORED
from escl.evaluation.run import llama_cpp_version
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.manifest import Model
from escl.stats.agreement import Pair, Rated, agreement
from escl.stats.equivalence import Verdict
from escl.store.database import Database
from escl.store.records import Reading
from escl.store.run import RunStore

Key = tuple[bool, Language, Dimension]
"""Crisis or not, language, dimension."""

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRun:
    """A run that both have read, and the ids of their judgings in it."""

    path: Path
    scorer_judging: int
    against_judging: int


def common_protocol(paths: Sequence[Path]) -> Protocol:
    """Return the protocol of the runs.

    Raises:
        StorageError: A file is no run.
        UsageError: The runs have different protocols, so their readings answer different questions.
    """
    found: dict[str, tuple[Path, Protocol]] = {}
    for path in paths:
        with Database.reader(path) as database:
            protocol = RunStore.read(database).protocol
            found.setdefault(protocol.sha256(), (path, protocol))
    if len(found) > 1:
        (one, _), (other, _) = itertools.islice(found.values(), 2)
        raise UsageError(f"{one} and {other} have different protocols", hint="compare the runs of one protocol at once")
    return next(iter(found.values()))[1]


def is_same_model(one: Path, other: Path) -> bool:
    """Return whether two GGUF files hold tensors of the same shapes, as quantizations of one model do."""

    def shape(path: Path) -> tuple[str, dict[str, tuple[int, ...]]]:
        header = read_gguf_header(path)
        return header.architecture, {tensor.name: tensor.shape for tensor in header.tensors}

    return shape(one) == shape(other)


def certify(
    runs: Sequence[ReadRun], scorer: Model, against: Model, *, protocol: Protocol, margin: float
) -> Certificate:
    """Return the certificate of what both have read.

    Args:
        runs: Of this protocol, read by both.
        scorer: The one in question.
        against: The reference.
        protocol: Of the runs.
        margin: Points of 100 that count as no shift.
    """
    pairs: dict[Key, list[Pair]] = {}
    certified: list[CertifiedRun] = []
    kv_types: tuple[set[str], set[str]] = (set(), set())
    for run in runs:
        with Database.reader(run.path) as database:
            store = RunStore.read(database)
            certified.append(_certified_run(store, run))
            for types, judging_id in zip(kv_types, (run.scorer_judging, run.against_judging), strict=True):
                types.update(store.kv_types(judging_id))
            for key, pair in _pairs(store, run):
                pairs.setdefault(key, []).append(pair)
    cells = tuple(
        FidelityCell(crisis=key[0], language=key[1], dimension=key[2], agreement=agreement(pairs[key], margin=margin))
        for key in itertools.product((False, True), Language, Dimension)
        if key in pairs
    )
    verdict, words = verdict_of(cells, margin=margin)
    return Certificate(
        made_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        escl=__version__,
        llama_cpp=llama_cpp_version(),
        protocol=protocol.name,
        protocol_sha256=protocol.sha256(),
        scorer=_certified_scorer(scorer, kv_types[0]),
        against=_certified_scorer(against, kv_types[1]),
        runs=tuple(certified),
        margin=margin,
        verdict=verdict,
        words=words,
        cells=cells,
    )


def verdict_of(cells: Sequence[FidelityCell], *, margin: float) -> tuple[Verdict, str]:
    """Return the verdict over all cells, and the sentence that says it.

    "Equivalent" needs every cell, so testing many costs no confidence (Berger, "Multiparameter hypothesis testing and
    acceptance sampling", Technometrics 24, 1982). "Different" needs one, and is wrong of each cell at most once in 40.
    """
    if not cells:
        return "cannot tell", "cannot tell: the runs hold no complete dialogue"
    different = [cell for cell in cells if cell.agreement.equivalence.verdict == "different"]
    open_cells = [cell for cell in cells if cell.agreement.equivalence.verdict == "cannot tell"]
    of_all = f"{len(cells)} combinations of language and dimension"
    if different:
        shifts = _listed(f"{_name(cell)} {cell.agreement.shift.mean or 0.0:+.1f}" for cell in different)
        return "different", f"different: {len(different)} of {of_all} shift by more than ±{margin:g} points: {shifts}"
    if open_cells:
        needed = [n for cell in open_cells if (n := cell.agreement.equivalence.cards_needed) is not None]
        reasons = _listed(dict.fromkeys(cell.agreement.equivalence.reason for cell in open_cells))
        would = f"; about {max(needed)} cards would decide" if len(needed) == len(open_cells) else ""
        return "cannot tell", f"cannot tell for {len(open_cells)} of {of_all}: {reasons}{would}"
    return "equivalent", f"equivalent: in all {of_all} the mean shifts by less than ±{margin:g} points of 100"


def _name(cell: FidelityCell) -> str:
    return f"{cell.language.value} {cell.dimension.shown}{' (crisis)' if cell.crisis else ''}"


def _listed(items: Iterable[str]) -> str:
    listed = list(items)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more


def _pairs(store: RunStore, run: ReadRun) -> Iterable[tuple[Key, Pair]]:
    """Yield each dimension of each complete dialogue as both read it."""
    cards = store.cards()
    scorer, against = (_Readings(store, judging_id) for judging_id in (run.scorer_judging, run.against_judging))
    complete = (dialogue for dialogue in store.dialogues() if dialogue.state == "complete")
    for dialogue, dimension in itertools.product(complete, Dimension):
        one, other = (readings.of(dialogue.id, dimension) for readings in (scorer, against))
        card = cards.get(dialogue.card_id)
        pair = Pair(
            cluster=dialogue.card_id,
            scorer=one if isinstance(one, Rated) else None,
            against=other if isinstance(other, Rated) else None,
            missing=_why_missing(one, other),
        )
        yield (card is not None and card.crisis is not None, dialogue.language, dimension), pair


def _why_missing(one: Rated | str, other: Rated | str) -> str | None:
    if isinstance(one, str) and isinstance(other, str):
        return f"both: {one}" if one == other else f"scorer: {one}; reference: {other}"
    if isinstance(one, str):
        return f"scorer: {one}"
    return f"reference: {other}" if isinstance(other, str) else None


class _Readings:
    """What one judging read, and why not."""

    def __init__(self, store: RunStore, judging_id: int) -> None:
        self._readings = {(r.dialogue_id, r.dimension): r for r in store.readings(judging_id)}
        self._failures = {(f.dialogue_id, f.dimension): f for f in store.failures(judging_id)}

    def of(self, dialogue_id: int, dimension: Dimension) -> Rated | str:
        """Return the reading, or the reason why there is no label."""
        reading = self._readings.get((dialogue_id, dimension))
        if reading is not None:
            return _rated(reading)
        failure = self._failures.get((dialogue_id, dimension))
        return NOT_SCORED if failure is None else failure.error


def _rated(reading: Reading) -> Rated | str:
    if reading.label is None or reading.probabilities is None or reading.off_label_mass is None:
        return "reply without a label"
    if reading.expected is None:
        return "no label has any probability"
    # A sum of probabilities may come out a rounding error above 1, and what is left of 1 below 0.
    return Rated(label=reading.label, masses=(*reading.probabilities, max(0.0, reading.off_label_mass)))


def _certified_run(store: RunStore, run: ReadRun) -> CertifiedRun:
    return CertifiedRun(
        file=run.path.name,
        generation_fingerprint=fingerprint(store.settings),
        scorer_judging=fingerprint(store.judging_settings(run.scorer_judging)),
        against_judging=fingerprint(store.judging_settings(run.against_judging)),
    )


def _certified_scorer(model: Model, kv_types: set[str]) -> CertifiedScorer:
    return CertifiedScorer(
        name=model.name,
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        adapters={adapter_name(*key): sha256 for key, (_, sha256) in model.adapters.items()},
        kv_types=tuple(sorted(kv_types)),
    )
