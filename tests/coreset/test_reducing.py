"""Summaries of summaries: what `reduce` keeps and adds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coreset import Coreset, FarthestFirstCoreset, RobustCoreset, UniformCoreset
from coreset.nearest import clustering_cost, nearest

from .streams import SAMPLERS


def test_reducing_cells_by_hand():
    # Two pairs of rows, a cell of width 1 in the first column and one of width 2 in the second, put together.
    cells = Coreset(
        [[0.0, 0.0], [6.0, 0.0], [500.0, 0.0]],
        weights=[2, 1, 5],
        offset=2 * 1 + 1 * 4,
        spread=[1.0, 2.0, 0.0],
        groups=[0, 1, 2],
        group_variances=[[7.0, 0.0], [0.0, 7.0], [0.0, 0.0]],
        max_displacement=3.0,
        total_displacement=5.0,
        n_source=8,
        feature_names=("a", "b"),
    )
    smaller = RobustCoreset(n_points=2, random_state=0).reduce(cells)
    near = int(np.argmin(smaller.points[:, 0]))
    assert smaller.points[near].tolist() == [2.0, 0.0]
    assert smaller.weights[near] == 3.0
    # |p - mu|^2 is 4 for two rows and 16 for one.
    assert smaller.offset == 6 + 2 * 4 + 16
    assert smaller.spread[near] ** 2 == pytest.approx((2 * (4 + 1) + (16 + 4)) / 3)
    # One group serves both cells, of 8 rows: 24 + 2 in the first column, 4 in the second.
    assert smaller.group_variances[smaller.groups[near]].tolist() == pytest.approx([26 / 8, 4 / 8])
    assert (smaller.max_displacement, smaller.total_displacement) == (3.0 + 4.0, 5.0 + 2 * 2 + 4)
    assert (smaller.n_source, smaller.feature_names) == (8, ("a", "b"))


@pytest.mark.parametrize("cls", [FarthestFirstCoreset, *SAMPLERS])
def test_picking_points_keeps_the_offset_and_their_widths(cls, rng):
    X = rng.normal(size=(2000, 3)) * [1, 3, 9]
    cells = RobustCoreset(200, random_state=0).fit(X).coreset_
    picked = cls(n_points=40, random_state=0).reduce(cells)
    assert picked.offset == pytest.approx(cells.offset)
    assert picked.weights @ picked.spread**2 == pytest.approx(cells.offset)
    _, positions = np.unique(nearest(cells.points, picked.points)[0], return_index=True)
    assert len(positions) == len(picked)
    at = nearest(picked.points, cells.points)[0]
    ratios = picked.spread[cells.spread[at] > 0] / cells.spread[at][cells.spread[at] > 0]
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_allclose(picked.group_variances[picked.groups].sum(axis=1), picked.spread**2)
    total = picked.total_displacement
    assert math.isnan(total) if cls in SAMPLERS else total > cells.total_displacement


def test_reduce_keeps_what_it_cannot_explain_and_drops_what_weighs_nothing(rng):
    points = rng.normal(size=(50, 2))
    quantized = Coreset(points, np.ones(50), offset=-3.0)
    smaller = RobustCoreset(10, random_state=0).reduce(quantized)
    assert smaller.offset == pytest.approx(smaller.weights @ smaller.spread**2 - 3.0)
    assert math.isnan(smaller.total_displacement)
    half = Coreset(points, np.arange(50) % 2, sample_indices=np.arange(100, 150))
    drawn = UniformCoreset(10, random_state=0).reduce(half)
    np.testing.assert_array_equal(points[drawn.sample_indices - 100], drawn.points)
    assert (drawn.sample_indices % 2 == 1).all()
    assert drawn.total_weight == 25
    assert RobustCoreset(50).reduce(half) is half
    with pytest.raises(ValueError, match="coreset has weight zero on all of its 50 points"):
        RobustCoreset(10).reduce(Coreset(points, np.zeros(50)))
    with pytest.raises(ValueError, match="n_points=2 is less than the 3 classes of the coreset"):
        RobustCoreset(2).reduce(Coreset(points, np.ones(50), labels=np.arange(50) % 3))
    with pytest.raises(ValueError, match="squared distances overflow"):
        RobustCoreset(2).reduce(Coreset([[1e200], [-1e200], [0.0]], np.ones(3)))


def test_reduce_by_class_keeps_classes_masses_and_offset(rng):
    X, y = rng.normal(size=(900, 2)), np.repeat(["a", "b", "c"], [600, 298, 2])
    cells = RobustCoreset(90, random_state=0).fit(X, y).coreset_
    smaller = RobustCoreset(30, random_state=0).reduce(cells)
    for label in "abc":
        assert smaller.weights[smaller.labels == label].sum() == (y == label).sum()
    mean = X.mean(axis=0, keepdims=True)
    assert smaller.cost(mean) == pytest.approx(clustering_cost(X, mean))
    assert smaller.offset == pytest.approx(smaller.weights @ smaller.spread**2)


def test_what_is_no_summary_is_not_reduced():
    for rows in (np.eye(3), [[1.0]]):
        with pytest.raises(TypeError, match=f"coreset is a {type(rows).__name__}, not a Coreset; fit takes rows"):
            RobustCoreset(n_points=5).reduce(rows)
