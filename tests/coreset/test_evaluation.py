"""Measures of a summary: worked by hand, on closed forms, and where they must fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from coreset import (
    Coreset,
    RobustCoreset,
    UniformCoreset,
    UniformQuantizer,
    accuracy_loss,
    center_sets,
    distortion,
    distortion_table,
    effective_sample_size,
    encode,
    information_size,
    normalized_cost,
)

powers = pytest.mark.parametrize("power", [1, 2])


def summary_of(X: np.ndarray, n_points: int, seed: int = 0, cls: type = RobustCoreset, **parameters) -> Coreset:
    return cls(n_points=n_points, random_state=seed, **parameters).fit(X).coreset_


def mixture(kind: str, rng: np.random.Generator, n: int = 100_000, d: int = 50, k: int = 100) -> np.ndarray:
    """Rows of k Gaussian clusters: of equal or very unequal sizes, or 20 of them tiny and sixty times farther out."""
    centers = 4 * rng.normal(size=(k, d))
    sizes = {"balanced": np.ones(k), "imbalanced": rng.pareto(1, k) + 0.01, "far": np.ones(k)}[kind]
    if kind == "far":
        sizes = np.where(np.arange(k) < 80, (n - 100) / 80, 5)
        centers[80:] *= 60
    labels = np.repeat(np.arange(k), np.ceil(n * sizes / sizes.sum()).astype(int))[:n]
    return centers[rng.permutation(labels)] + rng.normal(size=(n, d))


class Says:
    """A model that predicts what it was told."""

    def __init__(self, labels: object) -> None:
        self.labels = labels

    def predict(self, X: object) -> object:
        return self.labels


# Distortion on centres solved on the summary


@pytest.mark.slow
@powers
@pytest.mark.parametrize("kind", ["balanced", "imbalanced", "far"])
def test_distortion_on_mixtures_of_a_hundred_clusters(kind, power):
    for seed in range(3):
        X = mixture(kind, np.random.default_rng(seed))
        summary = summary_of(X, 4000, seed, power=power)
        assert distortion(X, summary, 100, power=power, random_state=seed) <= 1.03


def test_distortion_sees_a_summary_that_forgot_its_offset(rng):
    X = rng.normal(size=(3000, 4))
    summary = summary_of(X, 200)
    assert distortion(X, summary, 5, random_state=0) < 1.1
    forgetful = Coreset(summary.points, summary.weights)
    assert distortion(X, forgetful, 5, random_state=0) > 1.1
    summary = summary_of(X, 40)
    forgetful = Coreset(summary.points, summary.weights)
    assert distortion(X, summary, 5, power=1, random_state=0) < 1.1
    assert distortion(X, forgetful, 5, power=1, random_state=0) > 1.1


def test_distortion_of_the_data_itself_is_one_and_bad_arguments_are_named(rng):
    X = rng.normal(size=(50, 2))
    itself = Coreset(X, np.ones(50))
    assert distortion(X, itself, 4, random_state=0) == pytest.approx(1.0)
    assert distortion(X, itself, 50, random_state=0) == 1.0
    with pytest.raises(ValueError, match="n_clusters=51 is more than the coreset's 50 points"):
        distortion(X, itself, 51)
    with pytest.raises(ValueError, match="X has 3 columns, the coreset has 2"):
        distortion(np.zeros((5, 3)), itself, 2)
    with pytest.raises(TypeError, match="coreset must be a Coreset, not RobustCoreset"):
        distortion(X, RobustCoreset().fit(X), 2)
    with pytest.raises(ValueError, match="power=3"):
        distortion(X, itself, 2, power=3)


# Distortion on given centres


def test_given_centers_by_hand():
    X = [[-1.0], [1.0], [9.0], [11.0]]
    bare, whole = Coreset([[0.0], [10.0]], [2, 2]), Coreset([[0.0], [10.0]], [2, 2], offset=4.0)
    sets = {"middle": [[5.0]], "own": [[0.0], [10.0]]}
    table = distortion_table(X, bare, sets)
    assert table["cost"].tolist() == [36 + 16 + 16 + 36, 4]
    assert table["summary_cost"].tolist() == [100, 0]
    assert table["distortion"].tolist() == [1.04, math.inf]
    assert distortion_table(X, whole, sets)["distortion"].tolist() == [1, 1]
    medians = distortion_table(X, bare, sets, power=1)
    assert medians["cost"].tolist() == [20, 4]
    assert medians["summary_cost"].tolist() == [20, 0]
    # Each cell's rows lie at distance one from its point: the width makes "own" exact and "middle" 4 sqrt(26).
    assert distortion_table(X, whole, sets, power=1)["summary_cost"].tolist() == pytest.approx([4 * math.sqrt(26), 4])


def test_a_ratio_counts_the_same_both_ways():
    X, half, twice = [[0.0], [2.0]], Coreset([[0.0], [2.0]], [0.5, 0.5]), Coreset([[0.0], [2.0]], [2, 2])
    assert distortion_table(X, half, [[1.0]])["distortion"].tolist() == [2]
    assert distortion_table(X, twice, [[1.0]])["distortion"].tolist() == [2]


@powers
def test_a_weight_is_a_repetition_for_given_centers(rng, power):
    X, weights = rng.normal(size=(60, 2)), rng.integers(0, 4, 60)
    summary, centers = summary_of(X, 10), {"a": X[:3], "b": X[:1] + 5}
    weighted = distortion_table(X, summary, centers, power=power, sample_weight=weights)
    repeated = distortion_table(np.repeat(X, weights, axis=0), summary, centers, power=power)
    np.testing.assert_allclose(weighted.to_numpy(), repeated.to_numpy(), rtol=1e-12)


@powers
def test_the_data_itself_has_no_distortion_on_any_family(rng, power):
    X, weights = rng.normal(size=(300, 3)), rng.uniform(0.1, 3, 300)
    sets = center_sets(X, 7, power=power, sample_weight=weights, random_state=0)
    table = distortion_table(X, Coreset(X, weights), sets, power=power, sample_weight=weights)
    np.testing.assert_allclose(table["distortion"], 1, rtol=1e-12)


@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_distortion_ignores_scale_and_origin(seed, power, scale, shift):
    rng = np.random.default_rng(seed)
    X, centers = rng.normal(size=(40, 2)), rng.normal(size=(3, 2))
    points, weights = X[::4], rng.uniform(1, 7, 10)
    here = distortion_table(X, Coreset(points, weights), centers, power=power)
    there = distortion_table(
        scale * X + shift, Coreset(scale * points + shift, weights), scale * centers + shift, power=power
    )
    assert here.loc["centers", "distortion"] >= 1
    np.testing.assert_allclose(there["distortion"], here["distortion"], rtol=1e-6)


def test_cells_of_a_blob_err_on_many_centers_where_their_scatter_does_not(rng):
    X = rng.normal(size=(20_000, 8))
    summary, sets = summary_of(X, 300), center_sets(X, 50, random_state=0)
    cells, scatter = (distortion_table(X, s, sets)["distortion"] for s in (summary, summary.scatter()))
    assert cells.max() > 1.1
    assert scatter.max() < 1.05
    assert distortion(X, summary.scatter(), 5, random_state=0) < 1.05


def test_a_sample_that_misses_far_rows_fails_on_the_family(rng):
    X = np.concatenate([rng.normal(size=(5000, 2)), rng.normal(size=(3, 2)) + 1e4])
    sets = center_sets(X, 4, random_state=0)
    missing = Coreset(X[:5000:50], np.full(100, 50.03))
    assert distortion_table(X, missing, sets)["distortion"].max() > 5
    assert distortion_table(X, summary_of(X, 100), sets)["distortion"].max() < 1.1


@powers
def test_the_family_is_what_it_says(rng, power):
    X = np.concatenate([rng.normal(size=(200, 2)), [[100.0, 0.0]]])
    sets = center_sets(X, 8, power=power, random_state=0)
    assert list(sets) == ["random", "few", "seeds", "solved", "far"]
    assert [len(part) for part in sets.values()] == [8, 5, 8, 8, 8]
    rows = {tuple(row) for row in X}
    for name in ("random", "few", "seeds", "far"):
        assert {tuple(row) for row in sets[name]} <= rows
        assert len(np.unique(sets[name], axis=0)) == len(sets[name])
    assert sets["far"][0].tolist() == [100, 0]
    costs = distortion_table(X, Coreset(X, np.ones(201)), sets, power=power)["cost"]
    assert costs["solved"] <= costs["seeds"]
    assert costs["solved"] < 0.8 * costs["random"]
    again = center_sets(X, 8, power=power, random_state=0)
    for name, part in sets.items():
        np.testing.assert_array_equal(part, again[name])


def test_the_family_leaves_out_rows_of_weight_zero_and_copies(rng):
    X = np.repeat([[0.0], [1.0], [2.0], [50.0]], 5, axis=0)
    weights = np.repeat([1, 1, 1, 0], 5)
    sets = center_sets(X, 6, sample_weight=weights, random_state=0)
    assert {len(sets[name]) for name in ("seeds", "far")} == {3}
    assert max(part.max() for part in sets.values()) == 2
    with pytest.raises(ValueError, match="n_clusters=16 is more than the 15 rows"):
        center_sets(X, 16, sample_weight=weights)
    with pytest.raises(TypeError, match=r"n_clusters=2\.5"):
        center_sets(X, 2.5)


@pytest.mark.parametrize(
    ("centers", "message"),
    [
        ({"a": [[1.0, 2.0, 3.0]]}, r"centers\['a'\] has shape \(1, 3\), expected \(k, 2\)"),
        ([1.0, 2.0], r"centers has shape \(2,\)"),
        ({"a": np.zeros((0, 2))}, r"centers\['a'\] has shape \(0, 2\)"),
        ({"a": [[np.nan, 0.0]]}, r"centers\['a'\] contains NaN"),
        ({}, "centers is empty"),
    ],
)
def test_bad_centers_are_named(centers, message):
    with pytest.raises(ValueError, match=message):
        distortion_table(np.zeros((4, 2)), Coreset(np.zeros((1, 2)), [4]), centers)


# Normalised cost


def mean(points, weights):
    return np.average(points, axis=0, weights=weights)


def squares(points, weights, center):
    return weights @ ((points - center) ** 2).sum(axis=1)


def test_normalized_cost_by_hand():
    X = np.array([[0.0], [1.0], [9.0], [10.0]])
    # The summary's mean is 2.75, the data's 5; squares about it are 82 + 4 * 2.25^2 and 82.
    summary = Coreset([[0.5], [9.5]], [3, 1])
    assert normalized_cost(X, summary, mean, squares) == pytest.approx((82 + 4 * 2.25**2) / 82)
    assert normalized_cost(X, summary, mean, squares, optimum=41.0) == pytest.approx((82 + 4 * 2.25**2) / 41)
    # With rows 9 and 10 absent the best mean is 0.5.
    only = normalized_cost(X, summary, mean, squares, sample_weight=[1, 1, 0, 0])
    assert only == pytest.approx((0.5 + 2 * 2.25**2) / 0.5)


def test_normalized_cost_forgives_what_does_not_move_the_model():
    X = np.array([[0.0], [2.0]])
    wrong_cost = Coreset([[1.0]], [99.0])
    assert distortion_table(X, wrong_cost, [[1.0]])["distortion"].tolist() == [math.inf]
    assert normalized_cost(X, wrong_cost, mean, squares) == 1


def test_normalized_cost_leaves_out_points_without_weight():
    def largest(points, weights):
        return points.max()

    def gap(points, weights, value):
        return abs(points.max() - value)

    assert normalized_cost([[1.0], [2.0]], Coreset([[2.0], [7.0]], [2, 0]), largest, gap) == 1
    assert normalized_cost([[1.0], [2.0]], Coreset([[1.5]], [2]), largest, gap) == math.inf


def test_normalized_cost_of_a_convex_problem_is_at_least_one(rng):
    X = rng.normal(size=(500, 3))
    for seed in range(5):
        assert normalized_cost(X, summary_of(X, 20, seed, UniformCoreset), mean, squares) >= 1
        # Cells keep the mean exactly, and with it the best single centre.
        assert normalized_cost(X, summary_of(X, 20, seed), mean, squares) == pytest.approx(1, rel=1e-9)


def test_normalized_cost_names_what_is_wrong():
    X, summary = [[0.0], [1.0]], Coreset([[0.5]], [2])
    with pytest.raises(ValueError, match="optimum=-1"):
        normalized_cost(X, summary, mean, squares, optimum=-1)
    with pytest.raises(ValueError, match="cost returned nan"):
        normalized_cost(X, summary, mean, lambda points, weights, model: math.nan)
    with pytest.raises(ValueError, match="every weight"):
        normalized_cost(X, Coreset([[0.5]], [0]), mean, squares)
    with pytest.raises(ValueError, match="X has 1 columns, the coreset has 2"):
        normalized_cost(X, Coreset([[0.5, 1.0]], [2]), mean, squares)
    with pytest.raises(TypeError, match="coreset must be a Coreset, not ndarray"):
        normalized_cost(X, np.zeros((1, 1)), mean, squares)


# Accuracy loss


def test_accuracy_loss_by_hand():
    truth = np.array([1] * 10)
    full, summary = Says([1] * 8 + [0] * 2), Says([0] * 3 + [1] * 6 + [0])
    result = accuracy_loss(full, summary, np.zeros((10, 1)), truth)
    # Three rows only the full model gets right, one only the summary's: n + 2 = 12, b + c + 1 = 5, b - c = 2.
    half = 1.959964 * math.sqrt(5 - 4 / 12) / 12
    assert (result.full, result.summary, result.loss, result.n_test) == (0.8, 0.6, 0.2, 10)
    assert (result.ci_low, result.ci_high) == pytest.approx((2 / 12 - half, 2 / 12 + half), abs=1e-6)


def test_models_that_agree_lose_nothing_and_texts_are_labels():
    result = accuracy_loss(Says(["a", "b"] * 50), Says(["a", "b"] * 50), np.zeros((100, 1)), ["a", "a"] * 50)
    assert (result.loss, result.full) == (0, 0.5)
    assert result.ci_low < 0 < result.ci_high < 0.02
    swapped = accuracy_loss(Says([1, 0]), Says([0, 1]), np.zeros((2, 1)), [0, 0])
    assert swapped.loss == 0


def test_the_interval_of_the_accuracy_loss_covers(rng):
    # 60 rows, of which 15 % and 5 % are discordant: the true loss is 0.1. Of 2,000 intervals at 95 %, fewer than 92.5 %
    # would be 5 standard errors (0.5 %) off; Agresti and Min's own figures are at or above nominal.
    covered = 0
    for _ in range(2000):
        kind = rng.choice(3, size=60, p=[0.15, 0.05, 0.8])
        result = accuracy_loss(Says(kind != 1), Says(kind != 0), np.zeros((60, 1)), np.ones(60, dtype=bool))
        covered += result.ci_low <= 0.1 <= result.ci_high
    assert 0.925 <= covered / 2000 <= 0.985


def test_accuracy_loss_names_what_is_wrong():
    X, y = np.zeros((3, 1)), [0, 1, 1]
    model = DummyClassifier().fit(X, y)
    assert accuracy_loss(model, model, X, y).full == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="summary_model predicts 2 labels for X_test, y_test has 3"):
        accuracy_loss(model, Says([0, 1]), X, y)
    with pytest.raises(TypeError, match="full_model of type int has no `predict`"):
        accuracy_loss(3, model, X, y)
    with pytest.raises(ValueError, match="confidence_level=95"):
        accuracy_loss(model, model, X, y, confidence_level=95)


# Sizes


def test_effective_sample_size_by_hand():
    assert effective_sample_size(Coreset(np.zeros((4, 1)), [1, 1, 1, 1])) == 4
    assert effective_sample_size(Coreset(np.zeros((2, 1)), [3, 1])) == pytest.approx(1.6)
    with pytest.raises(ValueError, match="every weight"):
        effective_sample_size(Coreset(np.zeros((2, 1)), [0, 0]))


@pytest.mark.parametrize("scale", [1e-200, 1e-300, 1e200])
def test_effective_sample_size_ignores_scale(scale):
    assert effective_sample_size(Coreset(np.zeros((2, 1)), [3 * scale, scale])) == pytest.approx(1.6)


def test_information_size_by_hand():
    # Six values and three weights of 64 bits; the source had 30 x 2 values of 32 bits.
    summary = Coreset(np.zeros((3, 2)), [10, 10, 10], n_source=30, source_dtype=np.float32)
    size = information_size(summary)
    assert size.bits == 9 * 64
    assert size.bits_per_value == 9 * 64 / 6
    assert size.source_ratio == 9 * 64 / (60 * 32)
    labelled = Coreset(np.zeros((3, 2)), [10, 10, 10], labels=np.array([0, 1, 1], dtype=np.int64))
    assert information_size(labelled).bits == 12 * 64


def test_information_size_of_messages_counts_their_bytes(rng):
    X, quantizer = rng.normal(size=(400, 3)).astype(np.float32), UniformQuantizer(bits=3)
    summary = summary_of(X, 25)
    message = encode(summary, quantizer)
    planned = information_size(summary, quantizer)
    assert planned == information_size(message) == information_size(memoryview(message))
    assert planned.bits == 8 * len(message)
    assert planned.source_ratio == len(message) / X.nbytes
    both = information_size(message + message)
    assert (both.bits, both.bits_per_value, both.source_ratio) == (
        2 * planned.bits,
        planned.bits_per_value,
        planned.source_ratio,
    )


def test_information_size_names_what_is_wrong():
    summary = Coreset([[1.0]], [1])
    assert math.isnan(information_size(Coreset([[1.0]], [1], n_source=0)).source_ratio)
    with pytest.raises(TypeError, match="summary must be a Coreset or bytes, not RobustCoreset"):
        information_size(RobustCoreset())
    with pytest.raises(ValueError, match="bytes already are messages"):
        information_size(b"x", UniformQuantizer(4))
    with pytest.raises(ValueError, match="message"):
        information_size(b"not one")
    with pytest.raises(TypeError):
        information_size(summary, 8)


def test_what_cannot_be_measured_is_refused():
    class Says:
        def __init__(self, *values):
            self.values = values

        def predict(self, X):
            return np.array(self.values)

    X = np.zeros((2, 1))
    with pytest.raises(TypeError, match="numbers that are no classes"):
        accuracy_loss(Says(0.5, 1.5), Says(0.5, 1.5), X, [0.5, 1.5])
    with pytest.raises(TypeError, match="predicts labels of type"):
        accuracy_loss(Says("a", "b"), Says("a", "b"), X, [0, 1])
    with pytest.raises(ValueError, match="overflow"):
        distortion_table(np.ones((2, 1)), Coreset([[1.0]], [2]), [[1e160]])
    with pytest.raises(ValueError, match="every weight of the coreset is zero"):
        distortion(np.ones((2, 1)), Coreset([[1.0]], [0]), 1)
