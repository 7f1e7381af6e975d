"""Frames on the pipe between parent and child: four bytes of length, then msgpack.

Owns the format and its limit. Knows what the structs of `wire` are, not what they are for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from escl.engine.wire import EngineSpec, Reply, Request

LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024

# Broken UTF-8 and deep nesting raise errors of their own.
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encoder: Final = msgspec.msgpack.Encoder()
_spec_decoder: Final = msgspec.msgpack.Decoder(EngineSpec)
_request_decoder: Final = msgspec.msgpack.Decoder[Request](Request)
_reply_decoder: Final = msgspec.msgpack.Decoder[Reply](Reply)


class FrameError(Exception):
    """Bytes that are no frame of ours, or a frame above the limit."""


def encode_frame(message: EngineSpec | Request | Reply) -> bytes:
    """Return a message as a frame.

    Raises:
        FrameError: It is larger than a frame may be, or holds text that is no Unicode.
    """
    try:
        payload = _encoder.encode(message)
    except UnicodeEncodeError as error:
        raise FrameError(f"text that is not Unicode: {error}") from error
    return checked_length(len(payload)).to_bytes(LENGTH_BYTES, "big") + payload


def payload_length(header: bytes) -> int:
    """Return how many bytes follow a frame's header.

    Raises:
        FrameError: More than a frame may have.
    """
    return checked_length(int.from_bytes(header, "big"))


def checked_length(length: int) -> int:
    """Return `length`, or raise FrameError when no frame may be that long."""
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes; {MAX_FRAME_BYTES} is the limit")
    return length


def decode_spec(payload: bytes) -> EngineSpec:
    """Return the first frame a child reads. Raises FrameError."""
    try:
        return _spec_decoder.decode(payload)
    except _UNDECODABLE as error:
        raise FrameError(f"no engine specification: {error}") from error


def decode_request(payload: bytes) -> Request:
    """Return what the parent asks. Raises FrameError."""
    try:
        request: Request = _request_decoder.decode(payload)
    except _UNDECODABLE as error:
        raise FrameError(f"no request: {error}") from error
    return request


def decode_reply(payload: bytes) -> Reply:
    """Return what the child answers. Raises FrameError."""
    try:
        reply: Reply = _reply_decoder.decode(payload)
    except _UNDECODABLE as error:
        raise FrameError(f"no reply: {error}") from error
    return reply
