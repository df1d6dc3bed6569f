"""Levels of columns and tables: near the best, and read back as they were written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreset.quantizers.column_levels import ColumnLevels
from coreset.quantizers.spacing import SPACED_BITS
from coreset.quantizers.table_levels import TableLevels


def test_levels_of_columns_by_hand():
    points = np.array([[0.0, 2.0], [4.0, 2.0], [0.0, 2.0]])
    levels = ColumnLevels.fit(points, 1)
    assert levels.active.tolist() == [True, False]
    assert (levels.low[0], levels.high[0], levels.low[1]) == (0, 4, 2)
    # flag; a mask of two columns; a mask of one constant that is not zero; float32 of 2; exponent of the unit, 4/16,
    # as -2 + 2048; widths of spread and of lengths; 4 bits of 16 - 16 steps; nothing for the first level, zero
    assert levels.to_bytes() == bytes([0, 0, 0b10000000, 0, 0b10000000]) + np.float32(2).tobytes() + bytes(
        [2046 & 255, 2046 >> 8, 0, 0, 0]
    )


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 6)),
        elements=st.floats(-1e300, 1e300) | st.sampled_from([0.0, 5e-324, 1e-310, 1e9, 1e9 + 1e-3]),
    ),
    st.integers(1, 8),
    st.sampled_from([ColumnLevels, TableLevels]),
)
def test_levels_come_back_with_what_follows(points, bits, kind):
    levels = kind.fit(points, bits).spaced(points)
    data = levels.to_bytes()
    assert len(data) <= kind.max_bytes(points.shape, bits)
    again, rest = kind.from_bytes(data + b"more", points.shape[1], bits)
    assert rest == b"more"
    codes = levels.codes(points)
    assert not codes[~levels.active].any()
    np.testing.assert_array_equal(again.values(codes), levels.values(codes))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_levels_are_near_the_best_for_a_bell(rng, bits):
    # Max, "Quantizing for minimum distortion", 1960, gives these errors for normal data; the first for any levels,
    # the second for levels at equal distances. Ends in units of a 16th of their distance and chance add a little.
    any_levels, equal = {1: (0.3634, 0.3634), 2: (0.1175, 0.1188), 3: (0.03454, 0.03744), 4: (0.009497, 0.01154)}[bits]
    points = rng.normal(size=(20_000, 2))
    for kind, best in ((TableLevels, any_levels), (ColumnLevels, equal)):
        levels = kind.fit(points, bits)
        error = np.square(points - levels.values(levels.codes(points)).T).mean()
        assert 0.95 * best < error < 1.06 * best


@pytest.mark.parametrize("bits", SPACED_BITS)
def test_long_tails_are_met_by_levels_closer_where_most_values_are(rng, bits):
    tail = rng.lognormal(sigma=1.0, size=4000)
    points = np.column_stack([tail, -tail, np.where(rng.random(4000) < 0.5, tail, -tail), rng.uniform(size=4000)])
    equal = ColumnLevels.fit(points, bits)
    spaced = equal.spaced(points)
    assert spaced.spacing.tolist() == [1, 2, 3, 0]  # near the low end, the high one, the middle; equal
    errors = [np.square(points - levels.values(levels.codes(points)).T).mean(axis=0) for levels in (spaced, equal)]
    assert (errors[0][:3] < 0.85 * errors[1][:3]).all()
    assert errors[0][3] == errors[1][3]
    assert spaced.to_bytes()[-1] == 0b01_10_11_00  # two bits a column


@pytest.mark.parametrize("bits", SPACED_BITS)
def test_codes_are_those_of_the_nearest_level(rng, bits):
    points = rng.lognormal(size=(500, 3)) * [1, -1, 1]
    levels = ColumnLevels.fit(points, bits).spaced(points)
    assert (levels.spacing != 0).any()
    every = levels.values(np.tile(np.arange(2**bits, dtype=np.uint8), (3, 1)))
    assert (np.diff(every) > 0).all()
    gaps = np.abs(points.T[:, :, None] - every[:, None])
    np.testing.assert_allclose(
        np.abs(points.T - levels.values(levels.codes(points))), gaps.min(axis=2), rtol=1e-9, atol=1e-12
    )
