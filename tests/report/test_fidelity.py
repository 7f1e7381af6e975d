"""The table of a certificate fits 80 columns and says which numbers mean little; nothing from a file steers it."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from escl.core.dimension import Dimension, Language
from escl.evaluation.certificate import Certificate, CertifiedScorer, Citation, FidelityCell
from escl.report.fidelity import cited_line, print_certificate
from escl.stats.agreement import Pair, Rated, agreement


def rated(label: int, *, up: float = 0.0) -> Rated:
    p = [0.0] * 6
    p[label], p[label + 1] = 1 - up, up
    return Rated(label=label, masses=(p[0], p[1], p[2], p[3], p[4], p[5]))


def certificate(pairs: list[Pair], *, name: str = "a") -> Certificate:
    scorer = CertifiedScorer(name=name, sha256="a" * 64, size_bytes=10**9, adapters={}, kv_types=("f16",))
    found = agreement(pairs, margin=1)
    return Certificate(
        made_utc="2026-01-02T03:04:05+00:00",
        escl="0",
        llama_cpp="1",
        protocol="open",
        protocol_sha256="p",
        scorer=scorer,
        against=msgspec.structs.replace(scorer, name="b", sha256="b" * 64),
        runs=(),
        margin=1,
        verdict="cannot tell",
        words="cannot tell at all",
        cells=tuple(
            FidelityCell(language=language, dimension=dimension, crisis=False, agreement=found)
            for language in Language
            for dimension in Dimension
        ),
    )


def printed(made: Certificate) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    print_certificate(console, made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def pairs(*labels: tuple[int, int], up: float = 0.0) -> list[Pair]:
    return [Pair(cluster=f"c{at}", scorer=rated(a, up=up), against=rated(b)) for at, (a, b) in enumerate(labels)]


def test_every_dimension_has_a_whole_row_within_80_columns() -> None:
    shown = printed(certificate(pairs((0, 3), (3, 0), (1, 1), up=0.4) * 40))
    rows = [line for line in shown.splitlines() if line.split(" ")[0] in {dimension.shown for dimension in Dimension}]
    assert len(rows) == 14
    assert all(len(row) <= 80 and row.split()[-1] == "120/120" and "…" not in row for row in rows)


def test_one_label_throughout_is_said_to_mean_little() -> None:
    shown = printed(certificate(pairs((3, 3), (3, 3))))
    assert "-*" in shown
    assert "sameness and kappa say little" in shown
    assert "chance alone agrees as well" in shown
    assert "say little" not in printed(certificate(pairs((3, 3), (2, 2))))


def test_what_was_left_out_is_said_with_its_reason() -> None:
    missing = Pair(cluster="x", scorer=None, against=rated(2), missing="scorer: reply without a label")
    assert "14 left out, scorer: reply without a label" in printed(certificate([*pairs((3, 3)), missing]))


@pytest.mark.parametrize("name", ["\x1b[2Jgone", "a\nb\u202e"])
def test_a_name_from_a_certificate_steers_no_terminal(name: str) -> None:
    made = certificate(pairs((3, 3)), name=name)
    cited = Citation(file=name, certificate=made, differences=(name,))
    assert "\x1b" not in printed(made)
    assert not {"\x1b", "\u202e"} & set(cited_line(cited).plain)
