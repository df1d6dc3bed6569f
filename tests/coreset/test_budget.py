"""Budgets: never exceeded, well spent, and the least one is named."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from coreset import (
    BudgetedCoreset,
    Quantizer,
    RobustCoreset,
    RoundingQuantizer,
    UniformCoreset,
    UniformQuantizer,
    decode,
    default_quantizers,
    encode,
    plan_budget,
    register_quantizer,
)
from coreset.quantizers.base import _REGISTRY

PLAIN = [UniformQuantizer(bits, "table") for bits in (1, 2, 3, 4, 6, 8, 12)] + [RoundingQuantizer(5)]


def table_of(n_rows: int, n_features: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    X = rng.normal(size=(n_rows, n_features))
    if kind == "sparse":
        X[rng.random(X.shape) < 0.8] = 0
    if kind == "constant":
        X[:, ::2] = 0.1
    if kind == "integer":
        X = np.round(3 * X)
    if kind == "far":
        X = X * 1e-3 + 1e6
    return X


@settings(max_examples=60)
@given(
    st.integers(1, 120),
    st.integers(1, 12),
    st.sampled_from(["normal", "sparse", "constant", "integer", "far"]),
    st.sampled_from([None, 1, 3]),
    st.integers(1, 3000),
    st.sampled_from([RobustCoreset(), UniformCoreset(), RobustCoreset(power=1)]),
    st.sampled_from([None, UniformQuantizer(3), RoundingQuantizer(4)]),
)
def test_no_message_exceeds_its_budget_and_the_least_budget_is_true(
    n_rows, n_features, kind, n_classes, budget, base, quantizer
):
    rng = np.random.default_rng(n_rows * 13 + n_features)
    X = table_of(n_rows, n_features, kind, rng)
    y = None if n_classes is None else rng.integers(0, n_classes, n_rows)
    weights = rng.uniform(0.1, 5, n_rows)
    estimator = BudgetedCoreset(budget, base=base, quantizer=quantizer, random_state=0)
    try:
        estimator.fit(X, y, weights)
    except ValueError as error:
        least = int(re.search(r"takes (\d+) bytes", str(error))[1])  # type: ignore[index]
        assert least > budget
        estimator.set_params(budget_bytes=least).fit(X, y, weights)
        budget = least
    assert len(estimator.message_) <= budget
    assert estimator.coreset_.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    table = estimator.plan_.table
    assert (table["message_bytes"] <= budget).all()
    assert table["chosen"].sum() == 1
    tried = table[~table["note"].str.startswith("not tried")]
    # Where budgets are about the least, no error is forecast.
    assert tried["error"].isna().all() or table.loc[table["chosen"], "error"].item() == tried["error"].min()


def test_forecasts_spend_nearly_the_budget():
    X, y = load_digits(return_X_y=True)
    for base in (RobustCoreset(), UniformCoreset()):
        for budget in (1500, 6000):
            table = plan_budget(X, budget, y=y, base=base, quantizers=PLAIN, random_state=0).table
            used = table["message_bytes"]
            room = 64 * 23 / 8 + 3  # one point of the widest codec
            assert (used[used > 0] >= budget - max(room, 0.06 * budget)).all()


def test_more_bytes_serve_better():
    budgets = (600, 2400, 9600, 38400)
    X, y = load_digits(return_X_y=True)
    errors = [plan_budget(X, budget, y=y, quantizers=PLAIN, random_state=0).table["error"].min() for budget in budgets]
    assert (np.diff(errors) < 0).all()


def test_coreset_is_what_the_receiver_decodes():
    X, y = load_digits(return_X_y=True)
    X = X[:, 18:22]
    fitted = BudgetedCoreset(3000, random_state=0).fit(X, y)
    received = decode(fitted.message_)
    np.testing.assert_array_equal(received.points, fitted.coreset_.points)
    assert fitted.plan_.n_points == len(received)
    assert received.n_source == 1797
    again = BudgetedCoreset(3000, random_state=0).fit(X, y)
    assert again.message_ == fitted.message_


def test_error_is_the_distance_to_the_nearest_decoded_point(rng):
    X = rng.normal(size=(60, 2))
    codec = UniformQuantizer(4)
    plan = plan_budget(X, 150, quantizers=[codec], base=RobustCoreset(), random_state=0)
    # Every row is drawn once, since there are fewer than the planner looks at.
    received = BudgetedCoreset(150, quantizer=codec, random_state=0).fit(X).coreset_
    distances = ((X[:, None] - received.points) ** 2).sum(axis=2)
    assert plan.table["error"].item() == pytest.approx(np.sqrt(distances.min(axis=1).mean()))


def test_error_of_classes_is_that_of_the_points_and_scatter_of_the_message(rng):
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    codec = UniformQuantizer(3)
    plan = plan_budget(X, 150, y=y, quantizers=[codec], random_state=0)
    received = BudgetedCoreset(150, quantizer=codec, random_state=0).fit(X, y).coreset_
    squared = 0.0
    for cloud, label in itertools.product((received, received.scatter(16)), range(2)):
        own, there = X[y == label], cloud.labels == label
        masses = cloud.weights[there] / cloud.weights[there].sum()
        within = masses @ cdist(cloud.points[there], cloud.points[there]) @ masses
        squared += (2 * cdist(own, cloud.points[there]).mean(axis=0) @ masses - cdist(own, own).mean() - within) / 4
    assert plan.table["error"].item() == pytest.approx(np.sqrt(squared), rel=1e-3)


def test_error_counts_rows_by_their_weight(rng):
    X = np.concatenate([np.zeros((50, 2)), rng.normal(size=(50, 2)) + 9])
    alike, heavy = (
        plan_budget(X, 120, sample_weight=weights, random_state=0).table["error"].min()
        for weights in (np.ones(100), np.r_[np.full(50, 1e6), np.ones(50)])
    )
    assert heavy < 0.1 * alike


def test_names_travel_and_count(rng):
    long = "the quick brown fox jumps over the lazy dog"
    frame = pd.DataFrame(rng.normal(size=(100, 2)), columns=[long, "b"])
    with_names = BudgetedCoreset(200, random_state=0).fit(frame)
    without = BudgetedCoreset(200, random_state=0).fit(frame.to_numpy())
    assert with_names.coreset_.feature_names == (long, "b")
    assert with_names.plan_.n_points < without.plan_.n_points
    assert len(with_names.message_) <= 200


def test_everything_is_sent_when_it_fits(rng):
    X = rng.normal(size=(30, 2))
    fitted = BudgetedCoreset(10_000, random_state=0).fit(X)
    assert len(fitted.coreset_) == 30
    assert fitted.plan_.table["error"].min() < 1e-4


def test_float32_rows_are_named_as_the_source(rng):
    assert BudgetedCoreset(500, random_state=0).fit(rng.normal(size=(90, 2)).astype("f4")).coreset_.source_dtype == "f4"


def test_default_candidates_are_distinct():
    assert len(set(default_quantizers())) == len(default_quantizers()) > 10


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"budget_bytes": 10},
            ValueError,
            "budget_bytes=10 is too small: the smallest message, one point of 3 features",
        ),
        ({"budget_bytes": 0}, ValueError, "budget_bytes=0 must be at least 1"),
        ({"budget_bytes": 1e3}, TypeError, "budget_bytes=1000.0 must be an integer"),
        ({"planner": "magic"}, ValueError, "planner='magic' must be one of"),
        ({"base": object()}, TypeError, "must be an estimator with the parameters n_points and random_state"),
        ({"base": RobustCoreset}, TypeError, "must be an estimator with the parameters n_points and random_state"),
        ({"planner": ["empirical"]}, ValueError, r"planner=\['empirical'\] must be one of"),
        ({"quantizer": "uniform"}, TypeError, "quantizer='uniform' is no Quantizer"),
    ],
)
def test_bad_parameters_are_named(rng, changes, error, message):
    with pytest.raises(error, match=message):
        BudgetedCoreset(500).set_params(**changes).fit(rng.normal(size=(20, 3)))


def test_no_candidates_is_an_error(rng):
    with pytest.raises(ValueError, match="quantizers is empty"):
        plan_budget(rng.normal(size=(20, 3)), 500, quantizers=[])


def test_candidates_are_read_once_and_each_is_checked(rng):
    X = rng.normal(size=(20, 3))
    some = [UniformQuantizer(1), UniformQuantizer(3)]
    for candidates in (iter(some), np.array(some)):
        assert plan_budget(X, 500, quantizers=candidates, random_state=0).table["quantizer"].tolist() == some
    with pytest.raises(TypeError, match=r"quantizers\[1\]=5 is no Quantizer"):
        plan_budget(X, 500, quantizers=[UniformQuantizer(1), 5])
    with pytest.raises(TypeError, match=r"quantizers=UniformQuantizer.* must be a sequence"):
        plan_budget(X, 500, quantizers=UniformQuantizer(1))


def test_a_plan_of_foreign_codecs_draws_itself(rng):
    class Raw(Quantizer):
        id, wire_id = "raw", 200
        encode = staticmethod(lambda points: np.ascontiguousarray(points).tobytes())
        decode = staticmethod(lambda data, shape: np.frombuffer(data).reshape(shape))
        encoded_size = staticmethod(lambda points: points.nbytes)
        max_encoded_size = staticmethod(lambda shape: 8 * shape[0] * shape[1])
        config_bytes = staticmethod(lambda: b"\0\0")
        from_config_bytes = classmethod(lambda cls, data: cls())
        get_config = staticmethod(lambda: {"id": "raw"})

    register_quantizer(Raw)
    try:
        plan = plan_budget(rng.normal(size=(200, 3)), 500, quantizers=[Raw()], random_state=0)
    finally:
        del _REGISTRY["raw"]
    assert plan.plot().get_legend() is not None


def test_plan_draws_itself(rng, tmp_path):
    plan = plan_budget(rng.normal(size=(200, 3)), 500, random_state=0)
    axes = plan.plot()
    axes.figure.savefig(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 5000
    assert len(axes.get_legend().get_texts()) == 6  # two scopes each of context and uniform, rounding, the chosen one


def test_message_equals_a_plain_encode_of_the_built_coreset(rng):
    X = rng.normal(size=(25, 2))
    codec = UniformQuantizer(6)
    fitted = BudgetedCoreset(5000, quantizer=codec, random_state=0).fit(X)
    built = RobustCoreset(25, random_state=0).fit(X).coreset_
    zstd_bytes = fitted.coreset_.source_zstd_bytes  # a budget measures it, a construction does not
    assert fitted.message_ == encode(dataclasses.replace(built, source_zstd_bytes=zstd_bytes), codec)
