"""Planners: choices near the best, messages that are full, plans that explain themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.datasets import make_friedman1
from sklearn.ensemble import RandomForestRegressor

from coreset import (
    BudgetedCoreset,
    ContextQuantizer,
    Coreset,
    RobustCoreset,
    RoundingQuantizer,
    UniformCoreset,
    UniformQuantizer,
    decode,
    default_quantizers,
    encode,
    encoded_size,
    max_encoded_size,
    plan_budget,
    published_quantizers,
)
from coreset.budget import PLANNERS
from coreset.budget.building import Bound, Builder
from coreset.budget.candidates import families
from coreset.budget.empirical import plan_empirically
from coreset.budget.filling import fill
from coreset.budget.forecasts import Task
from coreset.budget.nesting import MergeChain
from coreset.budget.proxies import eigenvalue_errors, extrapolated, traversal_distances
from coreset.construction import Rows, check_rows, with_scale
from coreset.ward import merge_order
from coreset.wire import Draft

PLAIN = [UniformQuantizer(bits) for bits in (1, 2, 4, 8)]


def rows_of(X: np.ndarray, y: np.ndarray | None = None) -> Rows:
    rows = check_rows(BaseEstimator(), X, y, None)
    return with_scale(rows) if rows.target_type == "numeric" else rows


def targets(kind: str | None, n_rows: int, rng: np.random.Generator) -> np.ndarray | None:
    return {None: None, "class": rng.integers(0, 3, n_rows), "numeric": 1e6 * rng.normal(size=n_rows)}[kind]


@settings(max_examples=40)
@given(
    st.integers(1, 300),
    st.integers(1, 5),
    st.sampled_from([None, "class", "numeric"]),
    st.integers(1, 2500),
    st.sampled_from(PLANNERS),
    st.sampled_from([RobustCoreset(), UniformCoreset(), RobustCoreset(power=1)]),
    st.sampled_from([None, UniformQuantizer(3), ContextQuantizer(2), RoundingQuantizer(4, "paper")]),
)
def test_no_planner_exceeds_a_budget(n_rows, n_features, kind, budget, planner, base, quantizer):
    rng = np.random.default_rng(n_rows)
    X = rng.normal(size=(n_rows, n_features))
    if planner == "exhaustive" and quantizer is None:
        quantizer = UniformQuantizer(5)
    estimator = BudgetedCoreset(budget, base=base, quantizer=quantizer, planner=planner, random_state=0)
    try:
        estimator.fit(X, targets(kind, n_rows, rng))
    except ValueError as error:
        assert "is too small: the smallest message" in str(error)  # noqa: PT017
        return
    assert len(estimator.message_) <= budget
    table = estimator.plan_.table
    assert table["message_bytes"].max() <= budget
    chosen = table[table["chosen"]].iloc[0]
    assert (chosen["message_bytes"], chosen["n_points"]) == (len(estimator.message_), len(estimator.coreset_))
    assert chosen["measured"]
    assert estimator.coreset_.total_weight == pytest.approx(n_rows, rel=1e-12)
    assert estimator.plan_.explain()


@settings(max_examples=40)
@given(
    st.integers(2, 150),
    st.integers(1, 5),
    st.sampled_from([None, "class", "numeric"]),
    st.integers(60, 1500),
    st.sampled_from([RobustCoreset(), UniformCoreset()]),
    st.sampled_from([UniformQuantizer(3), ContextQuantizer(2), RoundingQuantizer(4)]),
    st.integers(1, 150),
)
def test_one_more_point_would_not_have_fitted(n_rows, n_features, kind, budget, base, quantizer, guess):
    rng = np.random.default_rng(n_rows)
    rows = rows_of(rng.normal(size=(n_rows, n_features)), targets(kind, n_rows, rng))
    builder = Builder(rows, None, base, 0)
    filled = fill(builder, quantizer, budget, guess)
    if filled is None:
        assert encoded_size(builder.build(builder.bound.least_points), quantizer) > budget
        return
    assert encoded_size(filled.coreset, quantizer) == filled.message_bytes <= budget
    if isinstance(base, UniformCoreset) and len(filled.coreset) < n_rows:
        assert encoded_size(builder.build(len(filled.coreset) + 1), quantizer) > budget
    if isinstance(quantizer, UniformQuantizer) and len(filled.coreset) < n_rows:
        # No message of a point more is smaller than this one and what the codes of a point take.
        varying = int((np.ptp(filled.coreset.points, axis=0) > 0).sum()) + (kind == "numeric")
        assert filled.message_bytes + 3 * varying / 8 + 8 * 5 + 16 > budget


def test_merging_follows_ward_and_keeps_costs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    chain = MergeChain(RobustCoreset(40, exact=True, random_state=0).fit(X).coreset_)
    center = np.array([[0.3, -0.2, 0.1]])
    truth = ((X - center) ** 2).sum()
    before = chain.coreset
    for n_points in range(39, 0, -1):
        merged = chain(n_points)
        assert len(merged) == n_points
        assert merged.cost(center) == pytest.approx(truth)  # with one centre, exact at every size
        assert merged.offset == pytest.approx(merged.weights @ merged.spread**2)
        assert merged.total_weight == pytest.approx(400, rel=1e-12)
        assert merged.total_displacement >= before.total_displacement
        before = merged
    np.testing.assert_allclose(merged.within_covariance, np.cov(X.T, ddof=0), atol=1e-9)


def test_merging_takes_the_cheapest_pair():
    rng = np.random.default_rng(1)
    points, weights = rng.normal(size=(12, 2)), rng.uniform(0.5, 3, 12)
    costs = {
        (i, j): weights[i] * weights[j] / (weights[i] + weights[j]) * ((points[i] - points[j]) ** 2).sum()
        for i, j in itertools.combinations(range(12), 2)
    }
    first = next(merge_order(points, weights, None))
    assert tuple(sorted(first)) == min(costs, key=costs.__getitem__)
    assert weights[first[0]] >= weights[first[1]]


def test_certificates_of_merged_points_are_bounds():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(300, 2)), np.arange(300) % 2
    merged = MergeChain(RobustCoreset(30, exact=True, random_state=0).fit(X, y).coreset_)(8)
    nearest_distances = np.array(
        [np.sqrt(((x - merged.points[merged.labels == c]) ** 2).sum(axis=1)).min() for x, c in zip(X, y, strict=True)]
    )
    assert nearest_distances.max() <= merged.max_displacement
    assert nearest_distances.sum() <= merged.total_displacement
    assert merged.labels.tolist().count(0) + merged.labels.tolist().count(1) == 8


def test_targets_are_averaged_by_merging():
    pair = Coreset([[0.0], [3.0]], [1.0, 2.0], labels=[0.5, 2.0], target_type="numeric", offset=0.0)
    merged = MergeChain(pair)(1)
    assert (merged.points.item(), merged.labels.item(), merged.offset) == (2.0, 1.5, 6.0)


def test_zero_weights_merge():
    merged = MergeChain(Coreset([[0.0], [2.0], [9.0]], [0.0, 0.0, 1.0]))(1)
    assert merged.points.item() == 9.0


@pytest.mark.filterwarnings("error")
def test_masses_whose_products_overflow_merge():
    rng = np.random.default_rng(2)
    points, weights = rng.normal(size=(30, 2)), rng.uniform(1, 9, 30)
    light = MergeChain(Coreset(points, weights, offset=1.0))(12)
    heavy = MergeChain(Coreset(points, np.ldexp(weights, 900), offset=2.0**900))(12)
    np.testing.assert_array_equal(heavy.points, light.points)
    assert heavy.offset == 2.0**900 * light.offset


@pytest.mark.parametrize("quantizer", [ContextQuantizer(2), ContextQuantizer(6), UniformQuantizer(3)], ids=repr)
def test_a_search_may_begin_anywhere(rng, quantizer):
    builder = Builder(rows_of(rng.normal(size=(900, 5))), None, RobustCoreset(), 0)
    for n_points in (1, 40, 130, 900):
        known = Draft.of(builder.build(n_points), quantizer)
        filled = fill(builder, quantizer, 500, 100, known)
        assert filled is not None
        assert 0.9 * 500 < filled.message_bytes <= 500
        assert len(filled.message()) == filled.message_bytes


def test_a_draft_is_the_message(rng):
    labels = rng.integers(0, 3, 80)
    for target_type, y in (("auto", None), ("class", labels), ("numeric", 1.5 * labels)):
        coreset = RobustCoreset(30, target_type=target_type, random_state=0).fit(rng.normal(size=(80, 4)), y).coreset_
        draft = Draft.of(coreset, ContextQuantizer(3))
        assert draft.message() == encode(coreset, ContextQuantizer(3))
        assert draft.message_bytes == len(draft.message())
        received = decode(draft.message())
        np.testing.assert_array_equal(received.points, draft.columns[:, :4])


def test_planners_build_the_same_cells_without_covariances(rng):
    X, y = rng.normal(size=(300, 4)), rng.integers(0, 2, 300)
    built = Builder(rows_of(X, y), None, RobustCoreset(), 7).build(20)
    usual = RobustCoreset(20, random_state=7).fit(X, y).coreset_
    assert built.within_covariance is None
    assert usual.within_covariance is not None
    for name in ("points", "weights", "labels", "spread", "offset", "total_displacement"):
        np.testing.assert_array_equal(getattr(built, name), getattr(usual, name))


def test_exact_codecs_are_not_tried_where_their_few_points_must_lose(rng):
    X = rng.normal(size=(3000, 8)) + 5 * rng.integers(0, 2, size=(3000, 8))
    table = plan_budget(X, 400, random_state=0).table
    notes = {repr(quantizer): note for quantizer, note in zip(table["quantizer"], table["note"], strict=True)}
    assert notes[repr(RoundingQuantizer(23))].startswith("not tried: so few points")
    assert table.loc[table["chosen"], "error"].item() == table["error"].min()


def test_the_empirical_choice_is_near_the_best_of_all():
    rng = np.random.default_rng(3)
    centers = 4 * rng.normal(size=(20, 6))
    X, fresh = (centers[rng.integers(0, 20, n)] + rng.normal(size=(n, 6)) for n in (3000, 1000))
    codecs = [UniformQuantizer(bits) for bits in (1, 2, 3, 4, 6, 8, 12)]

    def error(**settings: object) -> float:
        points = BudgetedCoreset(700, random_state=0, **settings).fit(X).coreset_.points  # type: ignore[arg-type]
        return float(np.sqrt(((fresh[:, None] - points) ** 2).sum(axis=2).min(axis=1).mean()))

    plan = plan_budget(X, 700, quantizers=codecs, random_state=0)
    best = min(error(quantizer=codec, planner="quantile-distance") for codec in codecs)
    assert error(quantizer=plan.quantizer) <= 1.02 * best


def test_planners_answer_the_same_twice():
    X = np.random.default_rng(4).normal(size=(700, 3))
    for planner in PLANNERS:
        one, two = (
            plan_budget(X, 400, planner=planner, quantizers=PLAIN, random_state=1).table.to_csv() for _ in range(2)
        )
        assert one == two


def test_the_plan_says_what_it_is_about():
    X = np.random.default_rng(5).normal(size=(600, 3))
    plan = plan_budget(X, 300, quantizers=PLAIN, random_state=0)
    assert "held-out rows" in plan.explain()
    assert "has the least error of 4 candidates" in plan.explain()
    assert plan.table.loc[plan.table["chosen"], "note"].item() == "best error"
    assert (plan.table["note"].str.len() > 0).all()
    assert "<table" in plan._repr_html_()
    assert "planner='empirical'" in repr(plan)
    small = plan_budget(X[:100], 300, quantizers=PLAIN, random_state=0)
    assert "made of the same rows" in small.explain()


def test_the_eigenvalue_planner_falls_back_beyond_the_rank():
    X = np.random.default_rng(6).normal(size=(400, 3))
    plan = plan_budget(X, 2000, planner="eigenvalue", random_state=0)
    assert "more of them than the table's rank" in plan.explain()
    wide = np.random.default_rng(6).normal(size=(400, 60))
    assert plan_budget(wide, 2000, planner="eigenvalue", random_state=0).remark == ""
    assert {type(q) for q in plan.table["quantizer"]} == {RoundingQuantizer}


def test_a_quantile_ignores_outliers():
    X = np.random.default_rng(7).normal(size=(500, 2))
    X[0] = 1e6
    assert traversal_distances(X[1:], 1, 1.0)[0] < 20
    assert traversal_distances(X[::-1], 1, 1.0)[0] > 1e5
    assert traversal_distances(X[::-1], 1, 0.95)[0] < 20


def test_proxies_by_hand():
    X = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]])
    # Columns have variances 4 and 1: k=1 leaves the first, k=2 the second (of two), k=3 nothing.
    found = eigenvalue_errors(X, np.ones(4), np.array([1, 2, 3]))
    np.testing.assert_allclose(found, [2.0, 1.0, 0.0])
    np.testing.assert_allclose(traversal_distances(X, 4, 1.0), [np.sqrt(20), 2.0, 2.0, 0.0][:4])
    np.testing.assert_allclose(extrapolated(np.array([4.0, 2.0]), np.array([1, 2, 4])), [4.0, 2.0, 1.0])


def test_wide_tables_have_other_candidates():
    assert not any(isinstance(codec, ContextQuantizer) for codec in default_quantizers(100_000))
    assert all(codec.layout == "paper" for codec in published_quantizers())
    groups = families([*default_quantizers(), *published_quantizers()])
    assert len(groups) == 6
    X = np.random.default_rng(8).normal(size=(12, 5000))
    plan = plan_budget(X, 60_000, quantizers=[ContextQuantizer(1), UniformQuantizer(2)], random_state=0)
    assert plan.quantizer == UniformQuantizer(2)
    assert "slow for so many columns" in plan.table["note"][0]


@pytest.mark.parametrize("planner", PLANNERS)
def test_odd_tables_are_planned(planner):
    rng = np.random.default_rng(9)
    frame = pd.DataFrame(rng.normal(size=(250, 2)), columns=["a", "b"])
    tables = {
        "one value": (np.array([[3.0]]), None, None),
        "equal rows": (np.full((300, 2), 7.0), None, None),
        "zero weights": (rng.normal(size=(300, 2)), None, np.r_[np.zeros(250), np.ones(50)]),
        "huge target": (frame, 1e12 * rng.normal(size=250), None),
        "a class a row": (rng.normal(size=(250, 2)), np.arange(250), None),
    }
    for name, (X, y, weights) in tables.items():
        fitted = BudgetedCoreset(9000, quantizer=UniformQuantizer(12), planner=planner, random_state=0)
        fitted.fit(X, y, weights)
        assert decode(fitted.message_).n_source in (len(X), 50), name
        assert fitted.plan_.n_points >= 1


def test_bounds_are_those_of_messages(rng):
    X, y = rng.normal(size=(20_000, 3)), np.arange(20_000) % 300
    bound = Bound(check_rows(BaseEstimator(), X, y, None), None)
    for n_points in (300, 16_383, 16_384, 20_000, 301, 16_385):  # where the number of points takes a byte more
        for codec in (UniformQuantizer(2), RoundingQuantizer(10)):
            assert bound(n_points, codec) == max_encoded_size((n_points, 3), codec, classes=y, n_source=20_000)


def test_plans_of_a_numeric_target_serve_models_of_it():
    # Of two levels a column the nearest corner is near, which says nothing of how well a regression learns from it.
    X, y = make_friedman1(3000, 10, noise=1.0, random_state=0)
    fresh, wanted = make_friedman1(1000, 10, noise=0.0, random_state=1)
    planned, two_levels = (
        BudgetedCoreset(3000, quantizer=quantizer, random_state=0)
        .fit(X, y)
        .coreset_.train(RandomForestRegressor(50, random_state=0))
        for quantizer in (None, ContextQuantizer(1))
    )
    assert planned.score(fresh, wanted) > two_levels.score(fresh, wanted) + 0.1


def test_a_message_that_turns_out_worse_gives_way(rng, monkeypatch):
    X, y = rng.normal(size=(3000, 6)), rng.integers(0, 2, 3000)
    usual = BudgetedCoreset(2000, random_state=0).fit(X, y)
    best = usual.plan_.quantizer
    errors = []

    def measured(pilot, filled):
        # The first is said to be twice as bad as the worst of all, the next one as good as it can be.
        errors.append(2 * usual.plan_.table["error"].max() if not errors else 1e-9)
        return errors[-1]

    monkeypatch.setattr("coreset.budget.pilot.Pilot.as_forecast", measured)
    other = BudgetedCoreset(2000, random_state=0).fit(X, y)
    table = other.plan_.table
    assert other.plan_.quantizer != best
    assert len(other.message_) <= 2000
    assert table.loc[table["chosen"], "error"].item() == table["error"].min() == 1e-9
    assert table.loc[table["chosen"], "note"].item() == "best error"
    worse = table[table["quantizer"] == best]
    assert worse["error"].item() == errors[0]
    assert worse["note"].item() == "its message turned out worse than expected"
    assert worse["measured"].item()


def test_sizes_are_forecast_with_the_digits_of_weights(rng):
    X = rng.lognormal(size=(20_000, 2))
    for codec in (UniformQuantizer(16), RoundingQuantizer(23)):
        for budget in (600, 2000):
            task = Task(Builder(rows_of(X), None, RobustCoreset(), 0), rows_of(X), [codec], budget, rng)
            (forecast,) = plan_empirically(task).forecasts
            filled = fill(task.builder, codec, budget, forecast.n_points)
            assert filled is not None
            assert forecast.n_points == pytest.approx(len(filled.coreset), rel=0.08)


def test_codecs_that_no_trial_lets_expect_are_filled_and_compared(rng):
    X, y = rng.normal(size=(400, 3)), np.arange(400) % 40
    for budget in (111, 118, 125):
        table = plan_budget(X, budget, y=y, random_state=0).table
        assert np.isfinite(table.loc[table["chosen"], "error"].item())
        measured = table[table["measured"]]
        assert table.loc[table["chosen"], "error"].item() == measured["error"].min()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("budget", [850, 1050])
def test_errors_that_leap_where_points_become_fewer_than_clusters_are_seen(budget, seed):
    # Errors are nearly the same for 41 points and for 100, and twice as large for 30: finer codecs pay until then.
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(scale=4, size=(40, 30)), 75, axis=0) + rng.normal(size=(3000, 30))
    codecs = [ContextQuantizer(bits) for bits in (2, 3, 4, 5, 6)]
    every = plan_budget(X, budget, planner="exhaustive", quantizers=codecs, random_state=seed).table
    chosen = plan_budget(X, budget, quantizers=codecs, random_state=seed).quantizer
    assert every.loc[every["quantizer"] == chosen, "error"].item() <= 1.02 * every["error"].min()


@pytest.mark.filterwarnings("error")
def test_budgets_of_a_few_points_have_errors_that_are_numbers():
    # A trial of three points leaves two and one by merging, and another trial has two.
    rng = np.random.default_rng(62)
    X = rng.normal(scale=4, size=(24, 3))[rng.integers(0, 24, 3823)] + rng.normal(size=(3823, 3))
    for budget in range(40, 60, 4):
        table = plan_budget(X, budget, random_state=62).table
        assert table.loc[table["n_points"] > 0, "error"].notna().all()
