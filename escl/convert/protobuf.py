"""Just enough of protobuf's wire format to read a SentencePiece model: every length is checked before it is used.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class WireField:
    """One field of a message: its number, and its value as the wire has it."""

    number: int
    value: int | bytes

    def as_int(self) -> int:
        """Return a varint's value.

        Raises:
            ValueError: The field is of another kind.
        """
        if isinstance(self.value, bytes):
            raise ValueError(f"field {self.number} is not a number")
        return self.value

    def as_bytes(self) -> bytes:
        """Return the bytes of a string, message or fixed-size field.

        Raises:
            ValueError: The field is of another kind.
        """
        if isinstance(self.value, int):
            raise ValueError(f"field {self.number} is a number")
        return self.value

    def as_float(self) -> float:
        """Return the value of a `float` field.

        Raises:
            ValueError: The field is of another kind.
        """
        raw = self.as_bytes()
        if len(raw) != 4:
            raise ValueError(f"field {self.number} is not a float")
        return float(struct.unpack("<f", raw)[0])


def fields(message: bytes) -> Iterator[WireField]:
    """Yield the fields of `message` in order.

    Raises:
        ValueError: It is malformed.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield WireField(number, value)
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if size > len(message) - at:
            raise ValueError(f"field {number} claims {size:,} bytes, {len(message) - at:,} are left")
        yield WireField(number, message[at : at + size])
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        if at >= len(message):
            raise ValueError("ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at
    raise ValueError("a number has more than ten bytes")
