"""A certificate is read back as it was, is cited for its own scorer only, and a file that is none does no harm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from escl.core.dimension import Dimension, Language
from escl.core.settings import JudgingSettings
from escl.errors import StorageError
from escl.evaluation.certificate import (
    Certificate,
    CertifiedScorer,
    FidelityCell,
    certificates_folder,
    citations,
    default_path,
    kept_certificates,
    read_certificate,
    write_certificate,
)
from escl.stats.agreement import Pair, Rated, agreement

JUDGING = JudgingSettings(
    generation_fingerprint="g",
    protocol_sha256="p",
    scorer="small",
    sha256="a",
    adapters={"en/tech": "x"},
    llama_cpp="1",
)


def scorer(sha256: str, kv: str = "f16") -> CertifiedScorer:
    return CertifiedScorer(name="s", sha256=sha256, size_bytes=1, adapters={"en/tech": "x"}, kv_types=(kv,))


def certificate(scorer_: CertifiedScorer, against: CertifiedScorer, *, made: str = "2026-01-02") -> Certificate:
    rated = Rated(label=1, masses=(0, 1, 0, 0, 0, 0))
    found = agreement([Pair(cluster="c", scorer=rated, against=rated)], margin=1)
    return Certificate(
        made_utc=made,
        escl="0",
        llama_cpp="1",
        protocol="open",
        protocol_sha256="p",
        scorer=scorer_,
        against=against,
        runs=(),
        margin=1,
        verdict="cannot tell",
        words="cannot tell",
        cells=(FidelityCell(language=Language.ENGLISH, dimension=Dimension.OVERALL, crisis=False, agreement=found),),
    )


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))


def keep(made: Certificate) -> Path:
    write_certificate(made, default_path(made))
    return default_path(made)


def test_a_certificate_is_read_back_as_it_was_written() -> None:
    made = certificate(scorer("a"), scorer("b"))
    assert read_certificate(keep(made)) == made


def test_the_same_comparison_replaces_its_own_file_and_leaves_nothing_beside() -> None:
    keep(certificate(scorer("a"), scorer("b")))
    newer = certificate(scorer("a"), scorer("b"), made="2026-01-03")
    assert list(certificates_folder().iterdir()) == [keep(newer)]


def test_only_certificates_of_the_same_files_are_cited_the_latest_first() -> None:
    keep(certificate(scorer("a"), scorer("b")))
    keep(certificate(scorer("a"), scorer("c"), made="2026-01-03"))
    keep(certificate(scorer("b"), scorer("a")))
    keep(certificate(msgspec.structs.replace(scorer("a"), adapters={"en/tech": "other"}), scorer("d")))
    cited = citations(JUDGING, ("f16",))
    assert [citation.certificate.against.sha256 for citation in cited] == ["c", "b"]
    assert all(not citation.differences for citation in cited)


def test_what_was_otherwise_is_said() -> None:
    keep(certificate(scorer("a", "q8_0"), scorer("b")))
    other = msgspec.structs.replace(JUDGING, protocol_sha256="q", llama_cpp="2")
    (cited,) = citations(other, ("f16",))
    assert cited.differences == (
        "the protocol there was open with other words",
        "llama-cpp-python there was 1, here 2",
        "KV there was q8_0, here f16",
    )


def test_a_comparison_of_kv_types_is_about_readings_with_the_one_that_was_in_question() -> None:
    keep(certificate(scorer("a", "q8_0"), scorer("a", "f16")))
    assert len(citations(JUDGING, ("q8_0",))) == 1
    assert citations(JUDGING, ("f16",)) == []


def test_a_second_reading_by_the_same_scorer_certifies_nothing() -> None:
    keep(certificate(scorer("a"), scorer("a")))
    assert citations(JUDGING, ("f16",)) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff", b" " * ((1 << 20) + 1)])
def test_a_broken_file_is_told_apart_and_never_cited(content: bytes) -> None:
    certificates_folder().mkdir(parents=True)
    (certificates_folder() / "x.json").write_bytes(content)
    ((_, reason),) = kept_certificates()
    assert isinstance(reason, str)
    assert citations(JUDGING, ("f16",)) == []


def test_a_disk_that_does_not_keep_the_file_leaves_the_earlier_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_text("earlier")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        write_certificate(certificate(scorer("a"), scorer("b")), path)
    assert "--out" in (caught.value.hint or "")
    assert [(file.name, file.read_text()) for file in tmp_path.glob("*.*")] == [("x.json", "earlier")]


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_certificate(certificate(scorer("a"), scorer("b")), tmp_path / "none" / "x.json")
