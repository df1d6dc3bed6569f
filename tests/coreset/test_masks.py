"""Which of the columns, in few bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset.quantizers.masks import packed_masks, unpacked_mask

SPECKLED = np.random.default_rng(0).random(400) < 0.5


def disc(side: int) -> np.ndarray:
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    return (np.hypot(across - side / 2, down - side / 2) < 0.4 * side).ravel()


@given(st.lists(st.booleans(), max_size=300), st.integers(0, 400), st.binary(max_size=5))
def test_masks_come_back_with_what_follows(bits, row, after):
    mask = np.array(bits, dtype=bool)
    written = packed_masks([mask], row)
    assert len(written) <= 1 + -(-len(mask) // 8)
    found, rest = unpacked_mask(written + after, len(mask))
    assert rest == after
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("n_columns", [8192, 8193, 100_000])
def test_wide_masks_come_back(n_columns):
    mask = np.arange(n_columns) % 5 == 0
    written = packed_masks([mask, ~mask])
    first, rest = unpacked_mask(written, n_columns)
    np.testing.assert_array_equal(first, mask)
    np.testing.assert_array_equal(unpacked_mask(rest, n_columns)[0], ~mask)


def test_a_mask_takes_what_krichevsky_and_trofimov_say_of_it():
    # One state holds of a mask without neighbours of its own kind: all zeros, then the code length of n equal bits is
    # that of a beta-binomial with halves, log2 of Gamma(n + 1) Gamma(1/2) / Gamma(n + 1/2).
    for n in (100, 1000, 8000):
        bits = (math.lgamma(n + 1) + math.lgamma(0.5) - math.lgamma(n + 0.5)) / math.log(2)
        assert len(packed_masks([np.zeros(n, dtype=bool)])) in (2 + math.floor(bits / 8), 2 + math.ceil(bits / 8))


def test_rows_of_an_image_tell_of_each_other():
    mask = disc(28)
    sizes = [len(packed_masks([mask], row)) for row in (28, 0, 27)]
    assert sizes[0] == min(sizes)
    assert sizes[0] < 0.6 * sizes[1]
    assert sizes[0] < 0.25 * len(mask) / 8


def test_no_mask_costs_more_than_its_bits():
    assert len(packed_masks([SPECKLED], 20)) == 1 + 400 // 8
    assert len(packed_masks([np.array([True])])) == 2
    assert packed_masks([]) == b""


@pytest.mark.parametrize("end", range(1, 12))
def test_cut_masks_are_errors(end):
    written = packed_masks([disc(28)], 28)
    with pytest.raises(ValueError, match="cut off"):
        unpacked_mask(written[:-end], 784)
    with pytest.raises(ValueError, match="cut off"):
        unpacked_mask(b"", 784)


def test_corrupt_masks_are_errors():
    written = packed_masks([disc(28)], 28)
    assert written[0] == 2 + 28
    longer = bytes([written[0], written[1] + 1]) + written[2:] + b"\0"
    for bad, length, message in (
        (longer, 784, "corrupt mask"),
        (b"\2\x09" + b"\xff" * 9, 20, "corrupt mask"),
        (b"\2\1\1", 8193, "counts 8193 columns, at most 8192"),
        (b"\1\xff\xff", 784, "corrupt mask"),
    ):
        with pytest.raises(ValueError, match=message):
            unpacked_mask(bad, length)


@given(st.binary(max_size=300), st.integers(0, 9000))
def test_hostile_bytes_give_a_mask_or_an_error(data, length):
    try:
        mask, rest = unpacked_mask(data, length)
    except ValueError:
        return
    assert len(mask) == length
    assert data.endswith(rest)
