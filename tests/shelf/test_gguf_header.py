"""The header reader tells the truth about sound files and refuses every broken one at once."""

from __future__ import annotations

import contextlib
import os
import random
import struct
from pathlib import Path
from time import process_time

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escl.errors import GGUFError
from escl.shelf.gguf_header import Array, GGUFHeader, Tensor, read_gguf_header
from tests.gguf_bytes import BOOL, F32, STRING, U8, U32, array, gguf_bytes, key, string, tensor, text, u32


def read(path: Path, raw: bytes) -> GGUFHeader:
    path.write_bytes(raw)
    return read_gguf_header(path)


def test_reads_what_the_reference_writer_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_uint32("a.uint32", 2**32 - 1)
    writer.add_int32("a.int32", -5)
    writer.add_uint64("a.uint64", 2**64 - 1)
    writer.add_float32("a.float32", 0.5)
    writer.add_float64("a.float64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_array("a.texts", ["one", "两", "three"])
    writer.add_array("a.numbers", list(range(100)))
    writer.add_tensor("w", np.zeros((3, 64), np.float32))
    writer.add_tensor("q", np.zeros((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_gguf_header(path, max_items=4)
    assert header.architecture == "qwen2"
    assert header.metadata == {
        "general.architecture": "qwen2",
        "a.uint32": 2**32 - 1,
        "a.int32": -5,
        "a.uint64": 2**64 - 1,
        "a.float32": 0.5,
        "a.float64": 0.1,
        "a.bool": True,
        "a.texts": Array(item_type="string", length=3, items=("one", "两", "three")),
        "a.numbers": Array(item_type="int32", length=100, items=(0, 1, 2, 3)),
    }
    assert header.value_types["a.float32"] == "float32"
    assert header.tensors == (
        Tensor(name="w", shape=(64, 3), type_name="F32", offset=header.data_offset, size_bytes=768),
        Tensor(name="q", shape=(32, 2), type_name="Q8_0", offset=header.data_offset + 768, size_bytes=68),
    )
    reference = gguf.GGUFReader(path)
    assert [tensor.data_offset for tensor in reference.tensors] == [tensor.offset for tensor in header.tensors]
    assert header.size_bytes == path.stat().st_size


SOUND = gguf_bytes(
    [key("general.architecture", text("qwen2")), key("a.list", array(U32, [struct.pack("<I", 7)] * 3))],
    [tensor("w", [32, 2])],
    payload=bytes(256),
)
ONE = [tensor("w", [32])]

BROKEN = {
    "empty": (b"", "empty"),
    "one byte": (b"G", "not a GGUF file"),
    "only the magic": (b"GGUF", "version"),
    "wrong magic": (gguf_bytes(magic=b"GGML"), "not a GGUF file"),
    "version 0": (gguf_bytes(version=0), "big-endian"),
    "version 1": (gguf_bytes(version=1), "version 1"),
    "version 4": (gguf_bytes(version=4), "version 4"),
    "other endianness": (gguf_bytes(version=0x03000000), "big-endian"),
    "2^63 tensors": (gguf_bytes(n_tensors=2**63), "claims"),
    "2^63 keys": (gguf_bytes(n_keys=2**63), "claims"),
    "more keys than there are": (gguf_bytes([key("a", u32(1))], n_keys=2), "length of a metadata key"),
    "more tensors than there are": (gguf_bytes(n_tensors=1), "length of a tensor's name"),
    "key of 2^63 bytes": (gguf_bytes([struct.pack("<Q", 2**63)]), "a metadata key claims"),
    "key beyond the file": (gguf_bytes([struct.pack("<Q", 60_000)]), "a metadata key needs"),
    "empty key": (gguf_bytes([key("", u32(1))]), "empty"),
    "key not UTF-8": (gguf_bytes([key(b"\xff\xfe", u32(1))]), "not UTF-8"),
    "key twice": (gguf_bytes([key("a", u32(1)), key("a", u32(2))]), "stands twice"),
    "value of unknown type": (gguf_bytes([key("a", (13, b"\0" * 8))]), "unknown value type 13"),
    "value cut off": (gguf_bytes([key("a", (U32, b"\0\0"))]), "the value of a"),
    "bool of 2": (gguf_bytes([key("a", (BOOL, b"\2"))]), "where a bool stands"),
    "string of 2^63 bytes": (gguf_bytes([key("a", (STRING, struct.pack("<Q", 2**63)))]), "claims"),
    "string beyond the file": (gguf_bytes([key("a", (STRING, struct.pack("<Q", 1 << 20)))]), "needs"),
    "value not UTF-8": (gguf_bytes([key("a", text(b"\xc3"))]), "not UTF-8"),
    "array of 2^63 numbers": (gguf_bytes([key("a", array(U8, [], length=2**63))]), "more than the file holds"),
    "array of 2^30 strings": (gguf_bytes([key("a", array(STRING, [], length=2**30))]), "more than the file holds"),
    "array of arrays": (gguf_bytes([key("a", array(9, [], length=1))]), "nested"),
    "array of unknown type": (gguf_bytes([key("a", array(99, [], length=1))]), "unknown"),
    "string array cut off": (gguf_bytes([key("a", array(STRING, [string("b"), struct.pack("<Q", 9)]))]), "item of a"),
    "alignment 0": (gguf_bytes([key("general.alignment", u32(0))], ONE, payload=bytes(128)), "power of two"),
    "alignment 3": (gguf_bytes([key("general.alignment", u32(3))], ONE, payload=bytes(128)), "power of two"),
    "alignment 2^31": (gguf_bytes([key("general.alignment", u32(2**31))], ONE, payload=bytes(128)), "power of two"),
    "alignment as float": (gguf_bytes([key("general.alignment", (F32, bytes(4)))], ONE), "not a uint32"),
    "tensor name too long": (gguf_bytes(tensors=[tensor("w" * 64, [32])], payload=bytes(128)), "a tensor's name"),
    "tensor name twice": (
        gguf_bytes(tensors=[tensor("w", [32]), tensor("w", [32], offset=128)], payload=bytes(256)),
        "same name",
    ),
    "no dimensions": (gguf_bytes(tensors=[tensor("w", [])], payload=bytes(128)), "0 dimensions"),
    "five dimensions": (gguf_bytes(tensors=[tensor("w", [1] * 5)], payload=bytes(128)), "5 dimensions"),
    "2^32 dimensions": (gguf_bytes(tensors=[string("w") + struct.pack("<I", 2**32 - 1)]), "dimensions"),
    "zero-sized": (gguf_bytes(tensors=[tensor("w", [32, 0])], payload=bytes(128)), "impossible shape"),
    "elements beyond 2^63": (gguf_bytes(tensors=[tensor("w", [2**32, 2**32])], payload=bytes(128)), "impossible shape"),
    "size that wraps": (gguf_bytes(tensors=[tensor("w", [2**62 - 31])], payload=bytes(128)), "cut off"),
    "unknown type": (gguf_bytes(tensors=[tensor("w", [32], type_id=4)], payload=bytes(128)), "unknown type 4"),
    "row not in blocks": (gguf_bytes(tensors=[tensor("w", [33], type_id=8)], payload=bytes(128)), "impossible shape"),
    "offset unaligned": (gguf_bytes(tensors=[tensor("w", [32], offset=8)], payload=bytes(256)), "stands at"),
    "offset 2^63": (gguf_bytes(tensors=[tensor("w", [32], offset=2**63)], payload=bytes(128)), "stands at"),
    "overlap": (gguf_bytes(tensors=[tensor("a", [32]), tensor("b", [32])], payload=bytes(256)), "stands at"),
    "gap": (gguf_bytes(tensors=[tensor("a", [32]), tensor("b", [32], offset=160)], payload=bytes(512)), "stands at"),
    "data cut off": (gguf_bytes(tensors=[tensor("w", [32])], payload=bytes(127)), "1 bytes are missing"),
    "no data": (gguf_bytes(tensors=[tensor("w", [32])]), "cut off"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_refuses_with_the_reason(tmp_path: Path, kind: str) -> None:
    raw, reason = BROKEN[kind]
    with pytest.raises(GGUFError, match=reason) as caught:
        read(tmp_path / "x.gguf", raw)
    assert str(tmp_path / "x.gguf") in caught.value.message


def test_every_shorter_beginning_is_refused(tmp_path: Path) -> None:
    read(tmp_path / "whole.gguf", SOUND)
    for length in range(len(SOUND)):
        with pytest.raises(GGUFError):
            read(tmp_path / "x.gguf", SOUND[:length])


def test_mutants_are_read_or_refused_quickly(tmp_path: Path) -> None:
    rng = random.Random(5)
    slowest = 0.0
    for _ in range(250):
        mutant = bytearray(SOUND)
        for _ in range(rng.randint(1, 6)):
            mutant[rng.randrange(len(mutant) - 256)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        (tmp_path / "x.gguf").write_bytes(mutant)
        start = process_time()
        with contextlib.suppress(GGUFError):
            read_gguf_header(tmp_path / "x.gguf")
        slowest = max(slowest, process_time() - start)
    assert slowest < 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_read_or_refused(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\0\0\0" + tail)
    with contextlib.suppress(GGUFError):
        read_gguf_header(tmp_path / "x.gguf")


def test_a_large_vocabulary_is_walked_in_well_under_a_second_and_not_kept(tmp_path: Path) -> None:
    words = [string(f"piece {number}") for number in range(150_000)]
    start = process_time()
    header = read(tmp_path / "x.gguf", gguf_bytes([key("a", array(STRING, words)), key("b", u32(1))]))
    assert process_time() - start < 2
    kept = header.metadata["a"]
    assert isinstance(kept, Array)
    assert (kept.length, len(kept.items), header.metadata["b"]) == (150_000, 64, 1)


def test_a_file_of_nothing_but_empty_strings_is_refused_before_it_is_walked(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf_bytes([key("a", array(STRING, [], length=50_000_000))]))
    os.truncate(path, 450_000_000)
    start = process_time()
    with pytest.raises(GGUFError, match="strings in metadata"):
        read_gguf_header(path)
    assert process_time() - start < 0.5


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match="No such file"):
        read_gguf_header(tmp_path / "none.gguf")
    with pytest.raises(GGUFError, match="directory"):
        read_gguf_header(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.gguf")
        with pytest.raises(GGUFError, match="not a regular file"):
            read_gguf_header(tmp_path / "pipe.gguf")


def test_typed_access_names_the_key(tmp_path: Path) -> None:
    header = read(tmp_path / "x.gguf", gguf_bytes([key("n", u32(3)), key("t", text("x")), key("b", (BOOL, b"\1"))]))
    assert header.integer("n") == 3
    assert header.text("t") == "x"
    for wrong in ("t", "b", "absent"):
        with pytest.raises(GGUFError, match=wrong):
            header.integer(wrong)
    with pytest.raises(GGUFError, match=r"general\.architecture"):
        _ = header.architecture
