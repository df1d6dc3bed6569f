"""Distributed sampling as published, and budgets by the worst node: their laws, and runs of the whole protocol."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from coreset import Coreset, DistributedCoreset, DistributedSampling, decode
from coreset.budget import error_curve
from coreset.construction import Rows, centers_and_draws, check_rows, nested_costs, sampled_with_centers
from coreset.construction.drcc import NEGATIVE_WEIGHTS
from coreset.nearest import clustering_cost
from coreset.protocol.messages import Share, Statistics


def rows_of(X: np.ndarray, y: object = None, weights: object = None) -> Rows:
    return check_rows(BaseEstimator(), X, y, weights)


def blobs(rng: np.random.Generator, n_rows: int = 400) -> np.ndarray:
    return np.repeat(20 * rng.normal(size=(4, 3)), n_rows // 4, axis=0) + rng.normal(size=(n_rows, 3))


def run(budget: int = 8000, **parameters: object) -> DistributedCoreset:
    return DistributedCoreset(budget, backend="local", progress=False, random_state=0, **parameters)  # type: ignore[arg-type]


def objective(curves: list[list[float]], n_centers: tuple[int, ...], n_points: int) -> float:
    left = n_points - sum(n_centers)
    return sum(curve[k - 1] for curve, k in zip(curves, n_centers, strict=True)) / math.sqrt(left)


@given(st.lists(st.lists(st.floats(0.1, 100), min_size=4, max_size=4), min_size=1, max_size=3), st.integers(14, 40))
def test_centers_are_the_best_where_each_next_one_saves_less(falls, n_points):
    curves = [[sum(sorted(fall)[: 4 - k]) for k in range(4)] for fall in falls]  # convex, as sums of what falls less
    chosen, draws = centers_and_draws(curves, n_points)
    best = min(objective(curves, k, n_points) for k in itertools.product(range(1, 5), repeat=len(curves)))
    assert objective(curves, tuple(chosen.tolist()), n_points) == pytest.approx(best)
    assert chosen.sum() + draws.sum() == n_points
    left = np.array([curve[k - 1] for curve, k in zip(curves, chosen, strict=True)])
    assert (np.abs(draws - left / left.sum() * draws.sum()) < 1).all()


def test_nodes_without_cost_draw_nothing():
    chosen, draws = centers_and_draws([[0.0, 0.0], [8.0, 2.0]], 20)
    assert (chosen.tolist(), draws.tolist()) == ([1, 2], [0, 17])
    assert centers_and_draws([[0.0], [0.0]], 9)[1].tolist() == [0, 0]
    with pytest.raises(ValueError, match="n_points=1 must be at least the number of nodes, 2"):
        centers_and_draws([[1.0], [1.0]], 1)


def test_nested_costs_are_those_of_the_first_centers(rng):
    rows = rows_of(blobs(rng), weights=rng.uniform(1, 3, 400))
    seeds, costs = nested_costs(rows, 6, rng)
    expected = [clustering_cost(rows.X, rows.X[seeds[:k]], rows.weights) for k in range(1, 7)]
    np.testing.assert_allclose(costs, expected, rtol=1e-9)
    assert nested_costs(rows_of(np.repeat([[0.0], [1.0]], 5, axis=0)), 4, rng)[1][1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("negative_weights", NEGATIVE_WEIGHTS)
def test_costs_are_right_in_the_mean(rng, negative_weights):
    rows = rows_of(blobs(rng), weights=rng.uniform(1, 3, 400))
    seeds, _ = nested_costs(rows, 4, rng)
    centers = 10 * rng.normal(size=(3, 3))
    truth = clustering_cost(rows.X, centers, rows.weights)
    ratios = []
    for seed in range(60):
        made = sampled_with_centers(rows, seeds, 60, negative_weights, np.random.default_rng(seed))
        assert made.total_weight == pytest.approx(rows.weights.sum())
        assert (made.weights > 0).all()
        assert len(made) <= 64
        np.testing.assert_array_equal(made.points, rows.X[made.sample_indices])
        ratios.append(clustering_cost(made.points, centers, made.weights) / truth)
    # Clipping and scaling to the mass bias the mean, by less than a hundredth where so many rows are drawn.
    assert abs(np.mean(ratios) - 1) < 4 * np.std(ratios) / math.sqrt(60) + 0.01


def test_what_drawn_rows_stand_for_is_taken_off_their_center():
    # One far row among equal ones: it is drawn surely, and stands for itself.
    X = np.concatenate([np.zeros((9, 1)), [[3.0]]])
    made = sampled_with_centers(rows_of(X), np.array([0]), 5, "clip", np.random.default_rng(0))
    assert made.points.tolist() == [[0.0], [3.0]]
    assert made.weights.tolist() == [9.0, 1.0]


def test_drawing_again_avoids_negative_weights(rng):
    rows = rows_of(blobs(rng))
    seeds, _ = nested_costs(rows, 4, rng)
    lost = {}
    for how in ("clip", "resample"):
        made = [sampled_with_centers(rows, seeds, 12, how, np.random.default_rng(seed)) for seed in range(40)]
        lost[how] = sum(not np.isin(seeds, coreset.sample_indices).all() for coreset in made)
    assert lost["resample"] < lost["clip"]


@pytest.mark.parametrize("negative_weights", NEGATIVE_WEIGHTS)
@pytest.mark.parametrize("target", [None, "class", "numeric"])
def test_a_run_keeps_the_budget_and_sends_rows(rng, negative_weights, target):
    shards = [blobs(rng, 2000) for _ in range(3)] + [np.ones((5, 3))]
    labels = {
        None: None,
        "class": [np.arange(len(X)) % 3 for X in shards],
        "numeric": [X @ [1.0, 2.0, 3.0] for X in shards],
    }[target]
    base = DistributedSampling(negative_weights=negative_weights, bits=12)
    fitted = run(base=base).fit(shards, labels)
    up = fitted.ledger_.loc[fitted.ledger_["direction"] == "up", "bytes"].sum()
    assert 4000 < up <= 8000
    assert fitted.coreset_.total_weight == pytest.approx(6005)
    assert abs(fitted.coreset_.offset) < 1e-3 * fitted.coreset_.cost(fitted.coreset_.points[:1])
    assert fitted.plan_["n_points"].iloc[3] == 1
    if target == "class":
        assert set(fitted.coreset_.labels.tolist()) == {0, 1, 2}
    if target == "numeric":
        predicted = fitted.coreset_.points @ [1.0, 2.0, 3.0]
        assert np.abs(fitted.coreset_.labels - predicted).max() < 0.01 * np.ptp(predicted)
    assert run(base=base).fit(shards, labels).messages_ == fitted.messages_


def test_names_travel_once(rng):
    import pandas as pd

    shards = [pd.DataFrame(blobs(rng), columns=["a", "b", "c"]) for _ in range(2)]
    fitted = run(base=DistributedSampling()).fit(shards)
    assert fitted.coreset_.feature_names == ("a", "b", "c")
    assert [decode(message).feature_names for message in fitted.messages_] == [("a", "b", "c"), None]


def test_bad_parameters_and_budgets_are_named(rng):
    shards = [blobs(rng), blobs(rng)]
    with pytest.raises(ValueError, match="negative_weights='keep' must be one of"):
        run(base=DistributedSampling(negative_weights="keep")).fit(shards)
    with pytest.raises(ValueError, match="n_centers=0 must be at least 1"):
        run(base=DistributedSampling(n_centers=0)).fit(shards)
    with pytest.raises(ValueError, match="allocation='max' is not for base=DistributedSampling"):
        run(base=DistributedSampling(), allocation="max").fit(shards)
    with pytest.raises(ValueError, match="allocation='min' must be one of"):
        run(allocation="min").fit(shards)
    with pytest.raises(ValueError, match="budget_bytes=900 is too small for 2 shards: what they tell of their costs"):
        run(900, base=DistributedSampling()).fit(shards)


def test_errors_fall_with_bytes(rng):
    rows = rows_of(np.concatenate([blobs(rng, 2000), 1e4 + blobs(rng, 200)]))
    sizes = np.array([20, 100, 400, 1600, 6400])
    for planner in ("empirical", "max-distance", "quantile-distance", "eigenvalue"):
        errors = error_curve(rows, sizes, base=None, planner=planner, rng=np.random.default_rng(0))
        assert errors[0] == math.inf
        assert (np.diff(errors[1:]) < 0).all()


def test_the_worst_node_gets_bytes_with_max(rng):
    # Both shards have the same cost, but rows of the second lie three times as far apart.
    shards = [rng.normal(size=(3000, 4)), 3 * rng.normal(size=(333, 4))]
    sizes = {how: run(2400, allocation=how).fit(shards).plan_["message_bytes"] for how in ("sum", "max")}
    assert sizes["max"][1] > sizes["sum"][1]
    both = run(2400, allocation="max", planner="max-distance").fit(shards)
    assert both.ledger_.loc[both.ledger_["direction"] == "up", "bytes"].sum() <= 2400


@settings(max_examples=8)
@given(st.integers(1, 4), st.integers(1, 6000))
def test_max_keeps_the_budget(n_shards, budget):
    rng = np.random.default_rng(n_shards)
    shards = [(1 + i) * rng.normal(size=(20 + 5 * i, 2)) for i in range(n_shards)]
    fitted = run(budget, allocation="max", base=DistributedSampling() if budget % 7 == 0 else None)
    if budget % 7 == 0:
        fitted.set_params(allocation="sum")
    try:
        fitted.fit(shards)
    except ValueError as error:
        assert "too small" in str(error)  # noqa: PT017
        assert budget < 1200 * n_shards
        return
    ledger = fitted.ledger_
    assert ledger.loc[ledger["direction"] == "up", "bytes"].sum() <= budget
    assert ledger.loc[ledger["round"] == "statistics", "bytes"].sum() <= 0.05 * budget


@given(st.binary(max_size=60), st.integers(0, 4))
def test_garbage_is_refused(data, n_numbers):
    for read in (Statistics.from_bytes, Share.from_bytes):
        with pytest.raises(ValueError, match=r"message|statistics"):
            read(data, 0, n_numbers)


def test_messages_of_the_protocol_come_back():
    told = Statistics(7, 4.0, 1000.0, 99, 60, True, (8.0, 4.0))
    assert Statistics.from_bytes(told.to_bytes(3), 3, 2) == told
    assert len(told.to_bytes(3)) <= Statistics.max_bytes(2)
    share = Share(500, (2, 30), True)
    assert Share.from_bytes(share.to_bytes(3), 3, 2) == share
    with pytest.raises(ValueError, match="for shard 3"):
        Share.from_bytes(share.to_bytes(3), 4, 2)
    with pytest.raises(ValueError, match="not usable"):
        Statistics.from_bytes(told.to_bytes(3), 4, 2)


def test_a_summary_that_is_too_long_is_drawn_again_shorter(rng):
    from coreset.protocol.schemes import Sampling

    rows = rows_of(rng.normal(size=(500, 5)))
    scheme = Sampling(DistributedSampling(bits=8))
    message = scheme.summarise(rows, Share(700, (3, 400)), None, lambda name: np.random.default_rng(1))
    received: Coreset = decode(message)
    assert 500 < len(message) <= 700
    assert received.total_weight == pytest.approx(500)
