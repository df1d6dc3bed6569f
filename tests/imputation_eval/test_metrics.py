from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from imputation_eval import energy_distance, rmse, wasserstein
from imputation_eval.metrics import KNOWN_METRICS, marginal_distance

samples = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=15)


@given(samples, samples)
def test_energy_agrees_with_scipy_in_one_dimension(x, y):
    n, m = len(x), len(y)
    ours = energy_distance(x, y, scaled=True) * (n + m) / (n * m)
    assert ours == pytest.approx(stats.energy_distance(x, y) ** 2, abs=1e-4)


def test_unbiased_energy_by_definition(rng):
    x, y = rng.normal(size=(7, 3)), rng.normal(1, 2, size=(9, 3))
    within = [cdist(s, s)[~np.eye(len(s), dtype=bool)].mean() for s in (x, y)]
    assert energy_distance(x, y) == pytest.approx(2 * cdist(x, y).mean() - sum(within))


def test_energy_is_zero_on_average_without_difference(rng):
    scores = [energy_distance(rng.normal(size=(30, 2)), rng.normal(size=(30, 2))) for _ in range(300)]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(300)
    assert min(scores) < 0


@pytest.mark.parametrize("far", [1e10, 1e12])
def test_energy_with_one_diverged_cell(rng, far):
    x, y = rng.normal(size=(100, 3)), rng.normal(3, 1, size=(100, 3))
    y[0, 0] = far
    within = [cdist(s, s)[~np.eye(len(s), dtype=bool)].mean() for s in (x, y)]
    # The far row cancels out of the difference; what is left of its rounding is its distance times some 1e-15.
    assert energy_distance(x, y) == pytest.approx(2 * cdist(x, y).mean() - sum(within), abs=1e-14 * far)


def test_energy_of_shifted_points():
    # Two point masses d apart: 2 d - 0 - 0.
    assert energy_distance(np.zeros((5, 2)), np.full((5, 2), 3.0)) == pytest.approx(2 * np.sqrt(18))


def test_exact_transport_agrees_with_sorting_in_one_dimension(rng):
    x, y = rng.normal(size=50), rng.exponential(size=50)
    assert wasserstein(x, y) == pytest.approx(np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2)))


def test_exact_transport_agrees_with_pot(rng):
    import ot

    x, y = rng.normal(size=(40, 3)), rng.normal(1, 1, size=(30, 3))
    assert wasserstein(x, y) ** 2 == pytest.approx(ot.emd2([], [], ot.dist(x, y)))


def test_transport_refuses_large_samples():
    with pytest.raises(ValueError, match="at most 2000 rows a side, got x with 2001 and y with 5"):
        wasserstein(np.zeros(2001), np.zeros(5))


def test_rmse_of_paired_rows():
    assert rmse([[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]]) == pytest.approx(np.sqrt(12.5))
    with pytest.raises(ValueError, match="as many rows, got 2 and 3"):
        rmse([1.0, 2.0], [1.0, 2.0, 3.0])


def test_rmse_of_tables_is_in_the_scaled_space():
    # IQR 1.5 over 1.349 is the scale; both cells err by 3 of it, a wrong level by a distance of 1.
    truth = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "k": ["u", "u", "v", "v"]})
    wrong = truth.assign(a=truth["a"] + 3 * 1.5 / 1.349, k=["v", "v", "u", "u"])
    assert rmse(truth, wrong) == pytest.approx(np.sqrt(10))


def test_marginal_distance_by_hand():
    # Sorted: 0 to 1, 1 to 1, 5 to 7.
    assert marginal_distance(np.array([[5.0], [0], [1]]), np.array([[1.0], [1], [7]])) == pytest.approx(1)
    # One of four cells has to change its level.
    levels = np.eye(2) / np.sqrt(2)
    assert marginal_distance(levels[[0, 0, 1, 1]], levels[[1, 0, 1, 1]]) == pytest.approx(0.25)


def test_energy_needs_two_rows():
    with pytest.raises(ValueError, match="at least 2 rows a side, got x with 1"):
        energy_distance([1.0], [1.0, 2.0])


@pytest.mark.parametrize("name", KNOWN_METRICS)
class TestEveryMetric:
    """What each registered metric must fulfil, found automatically."""

    def test_declares_itself(self, name):
        metric = KNOWN_METRICS[name]
        assert metric.name == name
        assert metric.compares in ("samples", "cells")
        assert isinstance(metric.lower_is_better, bool)

    def test_truth_is_a_floor_only_where_it_is_said_to_be(self, name, rng):
        # A candidate that shrinks half of its cells towards the centre, against one of the true distribution.
        metric = KNOWN_METRICS[name]
        truth, other, shrunken = (rng.normal(size=(20, 100, 6)) for _ in range(3))
        shrunken *= np.where(rng.random(shrunken.shape) < 0.5, 0.3, 1)
        if metric.compares == "cells":  # there the truth is compared with itself
            other = truth
        floors, values = (
            [metric.compute(x, y, rng) for x, y in zip(truth, ys, strict=True)] for ys in (other, shrunken)
        )
        assert (np.mean(floors) < np.mean(values)) == metric.truth_is_floor

    def test_is_better_without_difference(self, name, rng):
        metric = KNOWN_METRICS[name]
        x, y, far = (rng.normal(shift, 1, size=(60, 3)) for shift in (0, 0, 3))
        close, distant = metric.compute(x, y, rng), metric.compute(x, far, rng)
        assert isinstance(close, float)
        assert (close < distant) == metric.lower_is_better

    def test_does_not_change_its_input_and_repeats(self, name, rng):
        x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
        copies = x.copy(), y.copy()
        values = {KNOWN_METRICS[name].compute(x, y, np.random.default_rng(0)) for _ in range(2)}
        assert len(values) == 1
        assert np.array_equal(x, copies[0])
        assert np.array_equal(y, copies[1])

    def test_order_of_rows_does_not_matter(self, name, rng):
        metric = KNOWN_METRICS[name]
        x, y, order = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)), rng.permutation(40)
        other = y[order] if metric.compares == "cells" else y  # cells are paired, samples are not
        assert metric.compute(x[order], other, rng) == pytest.approx(metric.compute(x, y, rng), abs=1e-12)


@pytest.mark.parametrize("function", [energy_distance, wasserstein, rmse])
def test_errors(function):
    with pytest.raises(ValueError, match="x has 2 columns but y has 3"):
        function(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="y contains NaN"):
        function(np.ones(5), [np.nan] * 5)
    with pytest.raises(TypeError, match="both be DataFrames"):
        function(pd.DataFrame({"a": [1.0, 2.0]}), np.ones((2, 1)))
