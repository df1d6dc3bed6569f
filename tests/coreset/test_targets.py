"""Numeric targets: cells by hand, identities about X alone, scatter, what is refused."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from coreset import (
    Coreset,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    UniformCoreset,
)
from coreset.construction import check_rows
from coreset.construction.targets import auto_label_scale
from coreset.nearest import clustering_cost
from coreset.targets import fitted_slopes

CLASSES = [RobustCoreset, UniformCoreset, SensitivityCoreset, LightweightCoreset, FarthestFirstCoreset]
every_class = pytest.mark.parametrize("cls", CLASSES)


def summary_of(cls, X, y, weights=None, n_points=20, **parameters) -> Coreset:
    return cls(n_points=n_points, random_state=0, **parameters).fit(X, y, weights).coreset_


def noisy_line(rng: np.random.Generator, n: int = 4000, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n, 4))
    return X, X @ [3.0, -2.0, 1.0, 0.0] + noise * rng.normal(size=n) + 100


def test_two_cells_by_hand():
    # Cells {-1, 1} and {9, 11}; the target is 3 x + 0.5 in the first and falls by one per unit in the second.
    X, y = np.array([[-1.0], [1.0], [9.0], [11.0]]), np.array([-2.5, 3.5, 8.25, 6.25])
    summary = summary_of(RobustCoreset, X, y, n_points=2, label_scale=0.5)
    order = np.argsort(summary.points.ravel())
    assert summary.points[order].tolist() == [[0.0], [10.0]]
    assert summary.labels[order].tolist() == [0.5, 7.25]
    assert summary.weights.tolist() == [2, 2]
    assert summary.offset == pytest.approx(4.0)
    assert summary.spread.tolist() == pytest.approx([1.0, 1.0])
    assert summary.group_variances.tolist() == [[pytest.approx(1.0)]]
    # The products 3, 3, -1, -1 of deviates make the covariance 1 beside the variance 1.
    assert summary.within_covariance.tolist() == [[pytest.approx(1.0), pytest.approx(1.0)]]
    # One group of two cells and one column: the penalty 1 / 32 shrinks the slope 1 that all cells share to 32 / 33, and
    # what the group has beyond it, 1 / 33, by 1 + 1 / 64.
    assert summary.group_slopes.tolist() == [[pytest.approx(32 / 33 + 1 / 33 / (1 + 1 / 64))]]
    scattered = summary.scatter(40)
    slope = np.polyfit(scattered.points[:, 0], scattered.labels, 1)[0]
    assert slope == pytest.approx(np.polyfit(X[:, 0], y, 1)[0])
    # Distances of (x, y / 2): sqrt(1 + 1.5^2) twice, sqrt(1 + 0.5^2) twice.
    assert summary.max_displacement == pytest.approx(np.sqrt(3.25))
    assert summary.total_displacement == pytest.approx(2 * np.sqrt(3.25) + 2 * np.sqrt(1.25))
    assert (summary.target_type, summary.label_scale) == ("numeric", 0.5)


@pytest.mark.parametrize("n_points", [50, 400])
@pytest.mark.parametrize("label_scale", ["auto", 1.0])
def test_offset_spread_and_variances_are_about_the_features_alone(rng, n_points, label_scale):
    X, y = noisy_line(rng, 2000)
    weights = rng.uniform(0.5, 2, 2000)
    summary = summary_of(RobustCoreset, X, y, weights, n_points, label_scale=label_scale)
    assert summary.offset == pytest.approx(summary.weights @ summary.spread**2)
    masses = np.bincount(summary.groups, weights=summary.weights)
    assert masses @ summary.group_variances.sum(axis=1) == pytest.approx(summary.offset)
    for center in rng.normal(size=(5, 1, 4)):  # one centre: every cell is whole
        assert summary.cost(center) == pytest.approx(clustering_cost(X, center, weights), rel=1e-9)
    centers = rng.normal(size=(6, 4))
    assert summary.cost(centers) >= clustering_cost(X, centers, weights) * (1 - 1e-12)
    # Second moments split into those of the points and those within cells, and are those of the scatter.
    table = np.column_stack([X, y])
    for one, within in ((summary, summary.total_weight * summary.within_covariance), (summary.scatter(8), 0.0)):
        assert one.weights @ one.labels == pytest.approx(weights @ y)
        between = one.points.T @ (one.weights[:, None] * np.column_stack([one.points, one.labels]))
        np.testing.assert_allclose(between + within, X.T @ (weights[:, None] * table), rtol=1e-9, atol=1e-6)


def test_the_certificate_bounds_costs_of_rows_with_their_targets(rng):
    X, y = noisy_line(rng, 1000)
    summary = summary_of(RobustCoreset, X, y, n_points=60)
    for _ in range(20):
        slope, level = rng.normal(size=4), rng.normal() + 100
        error = abs(
            np.abs(y - X @ slope - level).sum()
            - summary.weights @ np.abs(summary.labels - summary.points @ slope - level)
        )
        lipschitz = np.sqrt(slope @ slope + summary.label_scale**-2)
        assert error <= summary.error_bound(float(lipschitz))


@every_class
def test_weights_are_repetitions_and_zero_means_absent(cls, rng):
    X, y = noisy_line(rng, 200)
    weights = (np.arange(200) % 2).astype(float)
    absent, present = summary_of(cls, X, y, weights), summary_of(cls, X[1::2], y[1::2])
    np.testing.assert_array_equal(absent.points, present.points)
    np.testing.assert_array_equal(absent.labels, present.labels)
    assert absent.label_scale == present.label_scale
    few = summary_of(cls, X[:15], y[:15])
    np.testing.assert_array_equal(few.points, X[:15])
    np.testing.assert_array_equal(few.labels, y[:15])
    assert (few.offset, few.max_displacement, few.target_type) == (0.0, 0.0, "numeric")


def test_integer_weights_are_repeated_rows(rng):
    X, y = noisy_line(rng, 1500)
    weights = rng.integers(1, 5, 1500)
    weighted = summary_of(RobustCoreset, X, y, weights, 40)
    repeated = summary_of(RobustCoreset, np.repeat(X, weights, axis=0), np.repeat(y, weights), None, 40)
    np.testing.assert_allclose(weighted.points, repeated.points, atol=1e-9)
    np.testing.assert_allclose(weighted.labels, repeated.labels, rtol=1e-9)
    np.testing.assert_allclose(weighted.group_slopes, repeated.group_slopes, rtol=1e-6)
    np.testing.assert_allclose(weighted.within_covariance, repeated.within_covariance, rtol=1e-6, atol=1e-12)
    assert weighted.label_scale == pytest.approx(repeated.label_scale)


@every_class
def test_rows_that_are_picked_keep_their_own_targets(cls, rng):
    X, y = noisy_line(rng)
    X, y = X.astype(np.float32), y + 1e9
    weights = np.where(np.arange(len(X)) % 3, 1.5, 0.0)
    summary = summary_of(cls, X, y, weights)
    assert summary.labels.dtype == np.float64
    assert summary.total_weight == pytest.approx(weights.sum())
    if summary.sample_indices is not None:
        np.testing.assert_array_equal(summary.points, X[summary.sample_indices])
        np.testing.assert_array_equal(summary.labels, y[summary.sample_indices])
    else:
        assert summary.weights @ (summary.labels - 1e9) == pytest.approx(weights @ (y - 1e9), rel=1e-6)


@every_class
@pytest.mark.parametrize("case", ["constant y", "constant X", "one column", "tiny y", "huge y", "outlier"])
def test_extremes(cls, case, rng):
    X, y = noisy_line(rng, 300)
    X, y = {
        "constant y": (X, np.full(300, 0.1)),
        "constant X": (np.full((300, 2), 0.3), y),
        "one column": (X[:, :1], y),
        "tiny y": (X, y * 1e-200),
        "huge y": (X, y * 1e200),
        "outlier": (X, np.r_[y[:-1], 1e12]),
    }[case]
    summary = summary_of(cls, X, y, target_type="numeric")
    assert summary.total_weight == pytest.approx(300)
    assert np.isfinite(summary.labels).all()
    assert y.min() <= summary.labels.min() <= summary.labels.max() <= y.max()
    if case == "constant y":
        assert (set(summary.labels), summary.label_scale) == ({0.1}, 1.0)
    if case == "constant X":
        assert (summary.offset, set(summary.points.ravel())) == (0.0, {0.3})
    if case == "huge y" and cls is RobustCoreset:
        assert np.isfinite(summary.scatter().labels).all()


@settings(max_examples=10)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_shift_and_unit_of_the_target_change_nothing(shift, unit):
    X, y = noisy_line(np.random.default_rng(0), 300)
    plain, other = summary_of(RobustCoreset, X, y), summary_of(RobustCoreset, X, y * unit + shift)
    np.testing.assert_allclose(other.points, plain.points, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.labels, plain.labels * unit + shift, rtol=1e-9, atol=1e-6)
    assert other.label_scale * unit == pytest.approx(plain.label_scale)


def test_the_automatic_scale_lets_the_target_deviate_a_tenth_as_much_as_the_columns(rng):
    X, y, weights = rng.normal(size=(400, 3)) * [1, 2, 3], 50 * rng.normal(size=400) + 1e6, rng.uniform(1, 2, 400)
    share = weights / weights.sum()
    variances = share @ (np.column_stack([X, y]) - share @ np.column_stack([X, y])) ** 2
    scale = auto_label_scale(X, y, weights)
    assert scale**2 * variances[3] == pytest.approx(0.01 * variances[:3].mean())


def test_a_large_scale_tells_targets_apart(rng):
    X, y = rng.normal(size=(400, 1)) * 0.1, np.repeat([0.5, 10.0], 200)
    summary = summary_of(RobustCoreset, X, y, n_points=2, label_scale=10.0)
    assert sorted(summary.labels) == [0.5, 10.0]


@pytest.mark.parametrize(
    ("y", "target_type", "expected"),
    [
        ([0, 1, 2], "auto", "class"),
        ([0.0, 1.0, 2.0], "auto", "class"),
        ([True, False, True], "auto", "class"),
        (["a", "b", "b"], "auto", "class"),
        ([0.5, 1.0, 2.0], "auto", "numeric"),
        ([0, 1, 2], "numeric", "numeric"),
        ([1.0, 2.0, 3.0], "class", "class"),
        (pd.Series([0.5, 1, 2], dtype="Float64"), "auto", "numeric"),
    ],
)
def test_what_y_is_taken_for(y, target_type, expected):
    summary = summary_of(RobustCoreset, np.eye(3), y, target_type=target_type)
    assert summary.target_type == expected
    assert (summary.labels.dtype == np.float64) == (expected == "numeric" or isinstance(y[0], float))


@every_class
@pytest.mark.parametrize(
    ("y", "parameters", "error", "message"),
    [
        ([0.5, 1, 2], {"target_type": "class"}, ValueError, "y is continuous, but target_type='class'"),
        ([0, 1, 2], {"target_type": "number"}, ValueError, "target_type='number' must be 'auto', 'class' or 'numeric'"),
        (["a", "b", "c"], {"target_type": "numeric"}, TypeError, "y holds strings, but its target_type is 'numeric'"),
        ([2**53 + 1, 1, 2], {"target_type": "numeric"}, ValueError, r"y holds integers of 2\*\*53"),
        ([0.5, np.nan, 2], {}, ValueError, "y contains NaN"),
        ([0.5, 1], {}, ValueError, "y has 2 labels, X has 3 rows"),
        ([0.5, 1, 2], {"label_scale": 0}, ValueError, "label_scale=0 must be 'auto' or a positive number"),
        ([0.5, 1, 2], {"label_scale": "big"}, ValueError, "label_scale='big' must be"),
        ([0.5, 1, 2], {"label_scale": np.inf}, ValueError, "label_scale=inf must be"),
        ([0.5, 1, 2], {"label_scale": True}, ValueError, "label_scale=True must be"),
        ([0.5, 1, 1e300], {"label_scale": 1e30}, ValueError, r"label_scale=1e\+30 times y, 0.5 to 1e\+300, overflows"),
        ([0.5, 1, 1e200], {"label_scale": 1.0}, ValueError, r"\[X, label_scale \* y\] spans .* overflow"),
        ([-1.7e308, 1, 1.7e308], {"target_type": "numeric"}, ValueError, "too wide for a double's range"),
    ],
)
def test_bad_targets_are_named(cls, y, parameters, error, message):
    with pytest.raises(error, match=message):
        summary_of(cls, np.eye(3), y, **parameters)


def line_slopes(coreset: Coreset, copies: int = 1) -> np.ndarray:
    return coreset.train(LinearRegression(), copies=copies).coef_


def test_a_linear_regression_on_the_scatter_is_the_one_on_all_rows():
    # Some sixteenth of the variance of X lies inside the cells, where columns are correlated. Deviates that leave the
    # targets where they are flatten slopes by it; cells that follow the target make centres too steep.
    for seed in range(4):
        X, y = noisy_line(np.random.default_rng(seed))
        X[:, 1] += 3 * X[:, 0]
        truth = LinearRegression().fit(X, y).coef_
        summary = summary_of(RobustCoreset, X, y, n_points=60)
        inside = summary.offset / ((X - X.mean(axis=0)) ** 2).sum()
        assert inside > 0.05
        diagonal = dataclasses.replace(summary, within_covariance=None, group_slopes=0 * summary.group_slopes)
        assert np.abs(line_slopes(diagonal, 8) - truth).max() > 1
        for scale in (1.0, 10.0):
            joint = summary_of(RobustCoreset, X, y, n_points=60, label_scale=scale * summary.label_scale)
            np.testing.assert_allclose(line_slopes(joint, 4), truth, rtol=1e-6, atol=1e-6)
        assert np.abs(line_slopes(joint) - truth).max() > 0.3


def test_scatter_keeps_means_moments_and_what_labels_are(rng):
    X, y = noisy_line(rng, 1000)
    summary = summary_of(RobustCoreset, X, y, n_points=30)
    scattered = summary.scatter(4)
    assert (scattered.target_type, scattered.label_scale) == ("numeric", summary.label_scale)
    np.testing.assert_allclose(scattered.labels.reshape(4, 30).mean(axis=0), summary.labels, rtol=1e-12)
    # One group: all targets move along the same slopes, those of a regression within the cells.
    deviates, moves = (
        scattered.points.reshape(4, 30, 4) - summary.points,
        scattered.labels.reshape(4, 30) - summary.labels,
    )
    slopes = np.linalg.solve(summary.within_covariance[:, :4], summary.within_covariance[:, 4])
    np.testing.assert_allclose(moves, deviates @ slopes, rtol=1e-9, atol=1e-9)
    # With fewer deviates than columns they are left as they were drawn, and targets move along the group's own slopes.
    few = dataclasses.replace(summary, weights=np.r_[1e9, summary.weights[1:]]).scatter(2)
    deviates, moves = few.points.reshape(2, 30, 4) - summary.points, few.labels.reshape(2, 30) - summary.labels
    np.testing.assert_allclose(moves, deviates @ summary.group_slopes[0], rtol=1e-9, atol=1e-9)


def test_without_slopes_of_groups_the_scatter_regresses_like_the_points():
    # Its deviates lie on the ridge fit through the points, which shrinks by a share of 1 / n_points.
    for seed in range(4):
        X, y = noisy_line(np.random.default_rng(seed))
        summary = summary_of(RobustCoreset, X, y, n_points=60)
        inside = dict.fromkeys(("groups", "group_variances", "group_slopes", "within_covariance"))
        plain = dataclasses.replace(summary, **inside)
        np.testing.assert_allclose(line_slopes(plain, 4), line_slopes(plain), atol=0.2)


def test_fitted_slopes_by_hand(rng):
    points = np.array([[-1.0, 7.0], [1.0, 7.0]])
    # One column of unit variance and two points: the penalty of half a unit shrinks the slope 5 by 1 / (1 + 0.5).
    np.testing.assert_allclose(fitted_slopes(points, np.array([-5.0, 5.0]), np.ones(2)), [5 / 1.5, 0])
    assert fitted_slopes(points, np.array([1.0, 2.0]), np.zeros(2)).tolist() == [0, 0]
    X, y = noisy_line(rng, noise=0.0)
    np.testing.assert_allclose(fitted_slopes(X + 1e6, y, np.ones(len(X))), [3, -2, 1, 0], atol=2e-3)


def test_a_regression_on_the_summary_is_close_to_one_on_all_rows():
    # A fit on 75 of the 442 rows, drawn by chance, loses some 10 / 75 of the half of the variance that is noise: 0.07.
    X, y = load_diabetes(return_X_y=True)
    best = LinearRegression().fit(X, y).score(X, y)
    for seed in range(5):
        summary = RobustCoreset(75, target_type="numeric", random_state=seed).fit(X, y).coreset_
        for copies in (1, 4):
            assert summary.train(LinearRegression(), copies=copies).score(X, y) > best - 0.04


def test_merging_takes_the_least_scale_and_refuses_two_kinds(rng):
    X, y = noisy_line(rng, 600)
    parts = [summary_of(RobustCoreset, X[i::2], y[i::2], label_scale=scale) for i, scale in enumerate((0.5, 2.0))]
    rows = summary_of(RobustCoreset, X[:9], y[:9])
    merged = Coreset.merge(*parts, dataclasses.replace(rows, label_scale=3.0))
    assert (merged.target_type, merged.label_scale) == ("numeric", 0.5)
    np.testing.assert_array_equal(merged.labels, np.concatenate([parts[0].labels, parts[1].labels, y[:9]]))
    np.testing.assert_array_equal(merged.group_slopes[:2], np.concatenate([part.group_slopes for part in parts]))
    assert merged.group_slopes.shape == merged.group_variances.shape
    assert "numeric target" in repr(merged)
    classes = Coreset(X[:3], np.ones(3), labels=[0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="coreset 1 has a class target, coreset 0 a numeric one"):
        Coreset.merge(parts[0], classes)


def test_fields_are_checked_and_kept():
    points = np.eye(3)
    plain = Coreset(points, np.ones(3), labels=[1, 2, 3], target_type="numeric")
    assert (plain.labels.dtype, plain.label_scale) == (np.float64, 1.0)
    assert pickle.loads(pickle.dumps(plain)).target_type == "numeric"
    assert list(plain.to_frame()["label"]) == [1, 2, 3]
    assert Coreset(points, np.ones(3), labels=[0.5, 1, 2]).target_type == "class"
    assert Coreset(points, np.ones(3)).target_type is None
    groups = {"groups": [0, 0, 0], "group_variances": np.ones((1, 3))}
    for fields, message in (
        ({"target_type": "numeric"}, "are for labels, labels is None"),
        ({"labels": [1, 2, 3], "target_type": "auto"}, "target_type='auto' must be 'class' or 'numeric'"),
        ({"labels": [1, 2, 3], "label_scale": 2.0}, "label_scale=2.0 is for a numeric target"),
        ({"labels": [1, 2, 3], "target_type": "numeric", "label_scale": -1}, "label_scale=-1 must be"),
        ({"labels": [1, 2, 3], "target_type": "numeric", "label_scale": "auto"}, "must be a number here"),
        ({"labels": [1, 2, 3], "group_slopes": np.ones((1, 3)), **groups}, "group_slopes needs a numeric target"),
        ({"labels": [1, 2, 3], "target_type": "numeric", "group_slopes": np.ones((2, 3)), **groups}, "like group_var"),
    ):
        with pytest.raises(ValueError, match=message):
            Coreset(points, np.ones(3), **fields)
    with pytest.raises(TypeError, match="labels holds strings"):
        Coreset(points, np.ones(3), labels=list("abc"), target_type="numeric")


def test_rows_of_numeric_targets_can_be_taken():
    rows = check_rows(BaseEstimator(), np.eye(4), [0.5, 1, 2, 3], None)
    part = rows.take(np.array([1, 3]))
    assert (part.labels.tolist(), part.target_type, part.indices.tolist()) == ([1.0, 3.0], "numeric", [1, 3])
