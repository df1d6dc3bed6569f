"""The error of plans for classes: energy distances, and what of them is chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator

from coreset import Coreset, RobustCoreset, plan_budget
from coreset.budget.energy import EnergyYardstick
from coreset.budget.extrapolation import HeldOutRows, OwnRows
from coreset.budget.measuring import energy_yardstick
from coreset.construction import check_rows, with_scale
from coreset.nearest import mean_distance, mean_distance_within


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_mean_distances_are_those_of_scipy(rng, shift):
    X, Y = rng.normal(size=(700, 3)) + shift, rng.normal(size=(450, 3)) + shift
    shares, others = rng.dirichlet(np.ones(700)), rng.dirichlet(np.ones(450))
    assert mean_distance(X, Y, shares, others) == pytest.approx(shares @ cdist(X, Y) @ others, rel=1e-9)
    assert mean_distance_within(X, shares) == pytest.approx(shares @ cdist(X, X) @ shares, rel=1e-9)


def test_the_error_is_the_energy_distance_of_each_class(rng):
    X, classes, weights = rng.normal(size=(60, 2)), np.arange(60) % 3, rng.uniform(1, 2, 60)
    points, labels, masses = rng.normal(size=(24, 2)), np.arange(24) % 3, rng.uniform(1, 9, 24)
    expected = 0.0
    for label in range(3):
        own, there = classes == label, labels == label
        v, w = weights[own] / weights[own].sum(), masses[there] / masses[there].sum()
        among = v @ cdist(X[own], X[own]) @ v
        across = v @ cdist(X[own], points[there]) @ w
        within = w @ cdist(points[there], points[there]) @ w
        expected += weights[own].sum() / weights.sum() * (2 * across - among - within)
    found = EnergyYardstick(X, weights, classes).squared_error(Coreset(points, masses, labels=labels))
    assert found == pytest.approx(expected)


def test_the_rows_themselves_have_no_error(rng):
    X, classes, weights = rng.normal(size=(60, 2)), np.arange(60) % 3, rng.uniform(1, 2, 60)
    yardstick = EnergyYardstick(X, weights, classes)
    assert yardstick.squared_error(Coreset(X, weights, labels=classes)) == pytest.approx(0, abs=1e-12)


def test_chosen_rows_stand_for_all_of_their_class(rng):
    # Of 2000 rows of a class every fourth one tells the mean distance within a few percent of its spread.
    X, classes = rng.normal(size=(4000, 2)), np.arange(4000) % 2
    some = Coreset(rng.normal(size=(50, 2)), np.ones(50), labels=np.arange(50) % 2)
    chosen = rng.permutation(np.arange(4000) % 4 == 0)
    every = EnergyYardstick(X, np.ones(4000), classes).squared_error(some)
    assert EnergyYardstick(X, np.ones(4000), classes, chosen).squared_error(some) == pytest.approx(every, rel=0.2)
    # The only row of a class is measured though it was not chosen.
    classes[0], chosen[0] = 2, False
    assert EnergyYardstick(X, np.ones(4000), classes, chosen).squared_error(some) == np.inf


def test_one_row_may_have_all_the_mass_of_its_class(rng):
    X, weights = rng.normal(size=(60, 2)), np.r_[1e20, np.ones(59)]
    yardstick = EnergyYardstick(X, weights, np.zeros(60, dtype=int), np.arange(60) % 2 == 0)
    found = yardstick.squared_error(Coreset([[3.0, 4.0]], [5.0], labels=[0]))
    assert found == pytest.approx(2 * np.linalg.norm(X[0] - [3.0, 4.0]))


@pytest.mark.parametrize(
    ("kind", "factors", "restored"), [(OwnRows, (0.8, 0.5), 0.0), (HeldOutRows, (1.2, 1.5), 0.625)]
)
def test_the_number_of_rows_is_taken_out_and_put_back(kind, factors, restored):
    extrapolation = kind(100)
    pure = np.array([extrapolation.removed(error, size) for error, size in ((0.25, 20), (0.15, 50))])
    np.testing.assert_allclose(pure, [0.25 / factors[0], 0.15 / factors[1]])
    assert extrapolation.restored(float(pure[0]), 20, 100) == pytest.approx(0.25)
    assert extrapolation.restored(0.3125, 1000, 1000) == restored  # all rows are points


def test_the_scatter_is_measured_and_a_class_without_mass_is_infinitely_far(rng):
    X, classes = rng.normal(size=(2000, 2)), np.arange(2000) % 2
    yardstick = EnergyYardstick(X, np.ones(2000), classes)
    summary = RobustCoreset(8, random_state=0).fit(X, classes).coreset_
    bare = yardstick.squared_error(Coreset(summary.points, summary.weights, labels=summary.labels))
    cloud = summary.scatter(16)
    scattered = yardstick.squared_error(Coreset(cloud.points, cloud.weights, labels=cloud.labels))
    assert scattered < 0.3 * bare
    found = yardstick.squared_error(
        Coreset(summary.points, summary.weights, labels=summary.labels, offset=summary.offset)
    )
    assert bare / 2 < found < 0.65 * bare  # the mean of both; without widths of groups the scatter is another
    assert yardstick.squared_error(Coreset(X[:3], np.ones(3), labels=np.zeros(3))) == np.inf


def test_a_numeric_target_is_a_column_of_its_scale(rng):
    X, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    rows = with_scale(check_rows(BaseEstimator(), X, y, None), 1.0)
    points, targets, masses = rng.normal(size=(20, 3)), rng.normal(size=20), rng.uniform(1, 9, 20)
    found = energy_yardstick(rows, rows, rng).squared_error(
        Coreset(points, masses, labels=targets, target_type="numeric")
    )
    own = np.column_stack([X, rows.label_scale * y])
    there, shares = np.column_stack([points, rows.label_scale * targets]), masses / masses.sum()
    within = shares @ cdist(there, there) @ shares
    assert found == pytest.approx(2 * cdist(own, there).mean(axis=0) @ shares - cdist(own, own).mean() - within)


def test_plans_with_a_target_are_made_by_energy_and_others_by_distance(rng):
    X, classes = rng.normal(size=(600, 2)), np.arange(600) % 2
    assert "energy distances" in plan_budget(X, 400, y=classes, random_state=0).explain()
    assert "nearest decoded point" in plan_budget(X, 400, random_state=0).explain()
    assert "the target being a column" in plan_budget(X, 400, y=rng.normal(size=600), random_state=0).explain()
