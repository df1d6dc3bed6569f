"""The error of plans for classes: energy distances, and what of them is chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from coreset import Coreset, RobustCoreset, plan_budget
from coreset.budget.energy import EnergySampling, EnergyYardstick
from coreset.nearest import mean_distance


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_mean_distances_are_those_of_scipy(rng, shift):
    X, Y = rng.normal(size=(700, 3)) + shift, rng.normal(size=(450, 3)) + shift
    shares, others = rng.dirichlet(np.ones(700)), rng.dirichlet(np.ones(450))
    assert mean_distance(X, Y, shares, others) == pytest.approx(shares @ cdist(X, Y) @ others, rel=1e-9)


def test_the_error_is_the_energy_distance_of_each_class(rng):
    X, classes, weights = rng.normal(size=(60, 2)), np.arange(60) % 3, rng.uniform(1, 2, 60)
    points, labels, masses = rng.normal(size=(24, 2)), np.arange(24) % 3, rng.uniform(1, 9, 24)
    expected = 0.0
    for label in range(3):
        own, there = classes == label, labels == label
        v, w = weights[own] / weights[own].sum(), masses[there] / masses[there].sum()
        among = v @ cdist(X[own], X[own]) @ v / (1 - v @ v)  # pairs of different rows
        across = v @ cdist(X[own], points[there]) @ w
        within = w @ cdist(points[there], points[there]) @ w
        expected += weights[own].sum() / weights.sum() * (2 * across - among - within)
    found = EnergyYardstick(X, weights, classes).squared_error(Coreset(points, masses, labels=labels))
    assert found == pytest.approx(expected)


def test_rows_are_off_by_their_number_alone(rng):
    # For n rows of the same law the mean is E |X - X'| / n; of 200 draws it is known within some 5 %.
    yardstick = EnergyYardstick(rng.normal(size=(3000, 2)), np.ones(3000), np.zeros(3000, dtype=int))
    errors = [
        yardstick.squared_error(Coreset(rng.normal(size=(50, 2)), np.ones(50), labels=np.zeros(50))) for _ in range(200)
    ]
    assert np.mean(errors) == pytest.approx(np.sqrt(np.pi) / 50, rel=0.15)


def test_sampling_is_taken_out_and_put_back():
    sampling = EnergySampling(100, 0.05)
    pure = sampling.removed(np.array([0.25, 0.15]), np.array([20.0, 50.0]))
    np.testing.assert_allclose(pure, [0.2 / 0.8, 0.1 / 0.5])
    assert sampling.restored(float(pure[0]), 20, 100) == pytest.approx(0.25)
    assert sampling.restored(float(pure[0]), 1000, 1000) == pytest.approx(0.005)  # all rows: chance alone


def test_the_scatter_is_measured_and_a_class_without_mass_is_infinitely_far(rng):
    X, classes = rng.normal(size=(2000, 2)), np.arange(2000) % 2
    yardstick = EnergyYardstick(X[:500], np.ones(500), classes[:500])
    summary = RobustCoreset(8, random_state=0).fit(X[500:], classes[500:]).coreset_
    bare = Coreset(summary.points, summary.weights, labels=summary.labels)
    assert yardstick.squared_error(summary) < 0.3 * yardstick.squared_error(bare)
    assert yardstick.squared_error(Coreset(X[:3], np.ones(3), labels=np.zeros(3))) == np.inf


def test_plans_of_classes_are_made_by_energy_and_others_by_distance(rng):
    X, classes = rng.normal(size=(600, 2)), np.arange(600) % 2
    assert "energy distances" in plan_budget(X, 400, y=classes, random_state=0).explain()
    assert "nearest decoded point" in plan_budget(X, 400, random_state=0).explain()
    assert "nearest decoded point" in plan_budget(X, 400, y=rng.normal(size=600), random_state=0).explain()
