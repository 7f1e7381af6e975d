"""Numbers keep their value as far as their new format can hold it, and never silently become infinite."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from escl.convert.precision import SourceType, StoredType, TooLargeError, all_finite, as_float32, stored

EVERY_HALF = np.arange(2**16, dtype=np.uint16)


def finite(source: SourceType) -> NDArray[np.uint16]:
    """Return the bit patterns of all finite numbers of a 16-bit format."""
    exponent = 0x7F80 if source == "BF16" else 0x7C00
    chosen: NDArray[np.uint16] = EVERY_HALF[(EVERY_HALF & exponent) != exponent]
    return chosen


def test_every_bfloat16_number_is_read_exactly() -> None:
    for bits in EVERY_HALF[::7]:
        expected = np.array([int(bits) << 16], np.uint32).view(np.float32)[0]
        found = as_float32(np.array([[bits]], np.uint16), "BF16")[0, 0]
        assert found == expected or (np.isnan(found) and np.isnan(expected))


@pytest.mark.parametrize("source", ["BF16", "F16"])
def test_finite_means_finite(source: SourceType) -> None:
    good = finite(source)
    as_rows = good if source == "BF16" else good.view(np.float16)
    assert all_finite(as_rows, source)
    for bits in (0x7F80, 0xFF80, 0x7FC0) if source == "BF16" else (0x7C00, 0xFC00, 0x7E00):
        bad = np.array([bits], np.uint16)
        assert not all_finite(bad if source == "BF16" else bad.view(np.float16), source)


def test_a_format_is_copied_into_itself_bit_by_bit() -> None:
    bits = finite("BF16").reshape(1, -1)
    assert np.array_equal(stored(bits, "BF16", "BF16"), bits)
    halves = finite("F16").view(np.float16).reshape(1, -1)
    assert np.array_equal(stored(halves, "F16", "F16").view(np.uint16), halves.view(np.uint16))


def test_bfloat16_in_the_range_of_f16_rounds_to_nearest() -> None:
    wide = as_float32(finite("BF16").reshape(1, -1), "BF16")
    fits = wide[np.abs(wide) < 65_504].reshape(1, -1)
    half = stored(fits, "F32", "F16").astype(np.float64)
    # Normal halves have 11 significant bits; below 2^-14 their step is 2^-24.
    assert (np.abs(half - fits) <= np.maximum(np.abs(fits.astype(np.float64)) * 2.0**-11, 2.0**-25)).all()


@settings(deadline=None)
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bf16_rounds_to_nearest(value: float) -> None:
    rows = np.array([[value]], np.float32)
    try:
        found = as_float32(stored(rows, "F32", "BF16"), "BF16").astype(np.float64)
    except TooLargeError:
        assert abs(value) > 3.38e38
        return
    assert abs(found[0, 0] - value) <= max(abs(value) * 2.0**-8, 2.0**-126)


@pytest.mark.parametrize(
    ("target", "fits", "too_large"),
    [("F16", 65_519.0, 65_520.0), ("BF16", 3.38e38, 3.4e38), ("Q8_0", 8_319_008.0, 8.4e6)],
)
def test_what_does_not_fit_is_refused(target: StoredType, fits: float, too_large: float) -> None:
    rows = np.zeros((2, 32), np.float32)
    rows[1, 3] = -fits
    stored(rows, "F32", target)
    rows[1, 3] = -too_large
    with pytest.raises(TooLargeError):
        stored(rows, "F32", target)


def test_q8_0_is_within_half_a_step_of_its_block() -> None:
    rows = np.random.default_rng(0).normal(0, 1, (64, 256)).astype(np.float32)
    found = dequantize(stored(rows, "F32", "Q8_0"), GGMLQuantizationType.Q8_0)
    step = np.abs(rows.reshape(-1, 32)).max(axis=1, keepdims=True) / 127
    error = np.abs(found - rows).reshape(-1, 32)
    # The step itself is rounded to float16, which moves 127 steps by at most 127 * 2^-11 of one.
    assert (error <= step * (0.5 + 127 * 2.0**-11)).all()
