"""A frame is what was sent, or an error; never something else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.frames import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    FrameError,
    decode_reply,
    decode_request,
    decode_spec,
    encode_frame,
    payload_length,
)
from escl.engine.wire import Cancel, CountTokens, EngineSpec, Failed, Generate, ReadLabel, Ready

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(session=texts, content=texts, seed=st.integers(0, 2**32 - 1))
def test_a_request_arrives_as_it_was_sent(session: str, content: str, seed: int) -> None:
    for request in (
        Generate(id=1, session=session, messages=[Message("user", content)], sampling=Sampling(), seed=seed),
        ReadLabel(id=2, adapter=None, system=content, prefix=session, rest=content),
        CountTokens(id=3, messages=[Message("system", content)]),
        Cancel(id=4),
    ):
        frame = encode_frame(request)
        assert payload_length(frame[:LENGTH_BYTES]) == len(frame) - LENGTH_BYTES
        assert decode_request(frame[LENGTH_BYTES:]) == request


def test_a_specification_and_a_failure_arrive_as_they_were_sent() -> None:
    spec = EngineSpec(model="m.gguf", adapters={"a": "a.gguf"}, purpose="labels", strict=True)
    assert decode_spec(encode_frame(spec)[LENGTH_BYTES:]) == spec
    failed = Failed(id=None, error="ModelLoadError", message="é", hint="do this")
    assert decode_reply(encode_frame(failed)[LENGTH_BYTES:]) == failed


@given(st.binary(max_size=60))
def test_other_bytes_are_an_error(payload: bytes) -> None:
    for decode in (decode_spec, decode_request, decode_reply):
        with pytest.raises(FrameError):
            decode(payload)


@given(st.data())
def test_a_damaged_frame_is_an_error_or_another_message_of_ours(data: st.DataObject) -> None:
    payload = bytearray(encode_frame(Failed(id=7, error="EngineError", message="went wrong"))[LENGTH_BYTES:])
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FrameError):
        assert decode_reply(bytes(payload)).__class__.__module__ == Ready.__module__


def test_no_frame_exceeds_the_limit() -> None:
    with pytest.raises(FrameError, match="limit"):
        payload_length((MAX_FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big"))
    with pytest.raises(FrameError, match="limit"):
        encode_frame(CountTokens(id=1, messages=[Message("user", "x" * MAX_FRAME_BYTES)]))


def test_text_without_utf8_is_an_error_before_it_is_sent() -> None:
    with pytest.raises(FrameError, match="Unicode"):
        encode_frame(CountTokens(id=1, messages=[Message("user", "\ud83d")]))
