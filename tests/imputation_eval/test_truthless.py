from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from imputation_eval import (
    ChainedImputer,
    HotDeckImputer,
    IScoreResult,
    MeanImputer,
    TableEncoder,
    ampute,
    energy_iscore,
    rank_imputers,
)
from imputation_eval.truthless import fair_score, plan_tasks

QUICK = {"n_repeats": 3, "n_draws": 3, "progress": False, "random_state": 0}


def _column(values):
    return np.asarray(values, dtype=float)[..., None]


def test_fair_crps_by_hand():
    # Draws 0, 1 and 4 of a cell that is 2: mean |y_k - y| = (2 + 1 + 2) / 3; the pairs differ by 1, 4 and 3, each
    # counted twice: 16 / (2 * 3 * 2) = 4/3.
    assert fair_score(_column([2.0]), _column([[0.0], [1.0], [4.0]])) == pytest.approx(5 / 3 - 4 / 3)
    # One draw has no spread.
    assert fair_score(_column([2.0, 5.0]), _column([[0.0, 9.0]])) == 3
    # Levels: draws a, b of a cell that is a. Mean error 1/2, one pair that differs: 2 / (2 * 2 * 1) = 1/2.
    levels = TableEncoder().fit(pd.DataFrame({"x": ["a", "b"]})).transform(pd.DataFrame({"x": ["a", "b"]}))
    assert fair_score(levels[:1], levels[:, None]) == pytest.approx(0)


@given(st.integers(2, 6), st.integers(0, 10**6))
def test_fair_crps_is_unbiased_for_the_crps_of_the_distribution(n_draws, seed):
    # Over all samples of the draws from a distribution of three points the mean is the exact CRPS.
    rng = np.random.default_rng(seed)
    points, truth = np.sort(rng.normal(size=3)), rng.normal()
    chances = rng.dirichlet(np.ones(3))

    def squared_gap(x):
        return (chances[points <= x].sum() - (truth <= x)) ** 2

    knots = np.sort(np.append(points, truth))
    exact = sum(integrate.quad(squared_gap, a, b)[0] for a, b in pairwise(knots))
    picks = np.stack(np.meshgrid(*[range(3)] * n_draws, indexing="ij"), axis=-1).reshape(-1, n_draws)
    scores = [fair_score(_column([truth]), _column(points[pick])[:, None]) for pick in picks]
    assert np.dot(scores, chances[picks].prod(axis=1)) == pytest.approx(exact, abs=1e-6)


def test_a_whole_score_by_hand():
    # y is missing in 10 of 40 rows, x nowhere. The imputer says 5 everywhere, the truth is 1 or 2.
    df = pd.DataFrame({"x": np.arange(40.0), "y": [np.nan] * 10 + [1.0, 2.0] * 15})
    result = energy_iscore(df, lambda table, seed: table.fillna(5.0), random_state=0)
    scale = TableEncoder().fit(df).transform(df)[:, 1]
    unit = 1 / (np.nanmax(scale) - np.nanmin(scale))
    row = result.per_column.loc["y"]
    assert row["score"] == pytest.approx(3.5 / unit)
    assert (row["n_test"], row["n_train"], row["covariates"], row["dropped"]) == (30, 10, ["x"], [])
    assert row["weight"] == pytest.approx(0.25 * 0.75)
    assert result.score == row["score"]
    assert result.per_column.loc["x", "note"] == "0 holes and 40 observed cells, at least 10 each are needed"


def test_what_the_imputer_gets():
    # Columns: a has no holes; b and c have, in different rows, so that b can serve c in no row set as a whole.
    n = 60
    df = pd.DataFrame({"a": np.arange(n) * 1.0, "b": np.arange(n) * 1.0, "c": np.arange(n) * 1.0})
    df.loc[:19, "b"] = np.nan
    df.loc[20:34, "c"] = np.nan
    seen = []

    def imputer(table, seed):
        seen.append(table.copy())
        return table.fillna(-1.0)

    result = energy_iscore(df, imputer, n_draws=2, random_state=0)
    assert len(seen) == 1 + 2 * 2  # the whole table, and two draws for each of two columns
    for table, (target, holes) in zip((seen[1], seen[3]), (("b", 20), ("c", 15)), strict=True):
        assert list(table.columns) == ["a", target]
        assert table[target].isna().sum() == n - holes  # the test rows
        assert (table[target].dropna() == -1).all()  # the imputed cells train
    assert result.per_column.loc["b", "dropped"] == ["c"]
    weights = [20 * 40 / n**2, 15 * 45 / n**2]
    scores = result.per_column["score"]
    assert result.score == pytest.approx(np.average(scores[["b", "c"]], weights=weights))


def test_without_a_complete_covariate_the_most_observed_one_serves():
    rng = np.random.default_rng(0)
    df = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    df.loc[rng.random(200) < 0.3, "a"] = np.nan
    df.loc[rng.random(200) < 0.05, "b"] = np.nan
    df.loc[rng.random(200) < 0.2, "c"] = np.nan
    tasks, skipped = plan_tasks(df, TableEncoder().fit(df))
    by_name = {task.name: task for task in tasks}
    assert by_name["a"].covariates == ["b"]
    assert by_name["a"].dropped == ["c"]
    assert len(by_name["a"].test) == (df["a"].notna() & df["b"].notna()).sum()
    assert ("b" in by_name) != ("b" in skipped)


@pytest.mark.parametrize("n_columns", [1, 2])
def test_few_columns_are_enough(n_columns, rng):
    df = ampute(pd.DataFrame(rng.normal(size=(200, n_columns))), missing_rate=0.3, random_state=0)
    result = energy_iscore(df, HotDeckImputer(), random_state=0)
    # Draws from the right distribution: the CRPS of a standard Gaussian is 1 / sqrt(pi) on average.
    assert isinstance(result, IScoreResult)
    assert result.score == pytest.approx(1 / np.sqrt(np.pi), abs=0.1)


def test_a_failed_column_is_never_a_perfect_score(rng):
    df = ampute(pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc")), missing_rate=0.2, random_state=0)

    def fails_on_b(table, seed):
        if table.shape[1] < 3 and table["b"].isna().any() if "b" in table else False:
            raise RuntimeError("no convergence")
        return table.fillna(0.0)

    result = energy_iscore(df, fails_on_b, random_state=0)
    assert np.isnan(result.score)
    assert result.per_column.loc["b", "note"] == "RuntimeError: no convergence"
    assert result.per_column.loc["a", "score"] > 0
    ranking = rank_imputers(df, {"fails": fails_on_b, "hot": HotDeckImputer()}, mode="no_truth", **QUICK)
    assert ranking.winner == "hot"
    assert ranking.table.loc["fails", "failures"] == 3
    reason = ranking.raw.query("imputer == 'fails'")["failure"].iloc[0]
    assert reason == "RuntimeError: no convergence (in column 'b' restored from its imputed cells)"
    with pytest.raises(RuntimeError, match="always"):
        energy_iscore(df, lambda table, seed: (_ for _ in ()).throw(RuntimeError("always")), random_state=0)


def test_mixed_columns_and_names(mixed_table, rng):
    df = ampute(mixed_table(200, rng), missing_rate=0.2, random_state=0, mechanism="mar")
    df.index = pd.MultiIndex.from_product([range(20), range(10)])
    result = energy_iscore(df, ChainedImputer(), n_draws=3, random_state=0)
    assert result.per_column["score"].notna().all()
    assert (result.per_column["score"].drop("text") > 0).all()
    assert result.per_column.loc["text", "score"] >= 0  # which follows from the first column, so it may be perfect
    again = energy_iscore(df, ChainedImputer(), n_draws=3, random_state=0)
    pd.testing.assert_frame_equal(result.per_column, again.per_column)
    assert energy_iscore(df, ChainedImputer(), n_draws=3, random_state=1).score != result.score


def test_repeats_are_random_halves_and_tests_know_it(rng):
    df = ampute(pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc")), missing_rate=0.2, random_state=0)
    sizes = set()

    def imputer(table, seed):
        if table.shape[1] < 3:
            sizes.add((table.columns[0], int(table.notna().any(axis=1).sum()), len(table)))
        return table.fillna(0.0)

    ranking = rank_imputers(df, {"zero": imputer, "hot": HotDeckImputer()}, mode="no_truth", **QUICK)
    tasks, _ = plan_tasks(df, TableEncoder().fit(df))
    assert {n for _, _, n in sizes} <= {len(task.test) // 2 + len(task.train) // 2 for task in tasks}
    assert ranking.settings["overlap_ratio"] == pytest.approx(1, abs=0.05)
    scores = ranking.raw.groupby(["imputer", "repeat"])["score"].mean().unstack("imputer")
    difference = scores["zero"] - scores["hot"]
    t = difference.mean() / np.sqrt(difference.var() * (1 / 3 + ranking.settings["overlap_ratio"]))
    assert ranking.pairwise["p_value"].item() == pytest.approx(2 * stats.t.sf(abs(t), df=2))
    small = rank_imputers(df, {"zero": imputer}, mode="no_truth", **(QUICK | {"max_rows": 40}))
    assert small.settings["overlap_ratio"] == max(20 / (len(rows) - 20) for t in tasks for rows in (t.test, t.train))


def test_no_truth_says_so_and_shows_no_floor(rng):
    df = ampute(pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc")), missing_rate=0.2, random_state=0)
    ranking = rank_imputers(df, {"hot": HotDeckImputer(), "median": MeanImputer("median")}, mode="no_truth", **QUICK)
    assert set(ranking.table.index) == {"hot", "median", "hot-deck", "mean"}
    assert ranking.winner == "hot"
    text = ranking.explain()
    assert "by energy_iscore" in text
    assert "whether a value is missing does not depend on the value" in text
    assert "floor to compare with" in text
    assert "observed wherever that one is: 1 of 2 on average" in text
    assert "Not scored" not in text
    assert ranking.per_column.loc["a", "hot"] == pytest.approx(0.57, abs=0.1)


def test_other_metrics_without_a_truth(gaussian_table, rng):
    df, _ = gaussian_table(600, 3, 0.8, rng)
    holes = ampute(df, missing_rate=0.25, random_state=0)
    imputers = {"pmm": ChainedImputer(), "mean": MeanImputer()}
    metrics = ["nds", "energy", "rmse", "energy_iscore"]
    ranking = rank_imputers(holes, imputers, mode="no_truth", metrics=metrics, **QUICK)
    scores = ranking.per_metric["score"].unstack("metric")
    assert scores.loc["pmm", "nds"] < 0.1 < 0.4 < scores.loc["mean", "nds"]
    assert scores.loc["pmm", "energy"] < scores.loc["mean", "energy"]


@pytest.mark.parametrize(
    ("df", "options", "error", "message"),
    [
        (pd.DataFrame({"x": range(50)}), {}, ValueError, "df has no holes"),
        (pd.DataFrame({"x": [1.0, None] + [2.0] * 50}), {}, ValueError, "no column that can be scored.*'x': '1 holes"),
        (pd.DataFrame({"x": [None] * 20 + [1.0, 2.0] * 10, "y": [None] * 40}), {}, ValueError, r"cell: \['y'\]"),
        (pd.DataFrame({"x": [None] * 20 + [np.inf, 2.0] * 10}), {}, ValueError, "infinite"),
        (
            pd.DataFrame({"x": [None] * 20 + [1.0, 2.0] * 10, None: 1.0}),
            {},
            ValueError,
            r"without a name.*{1: (None|nan)}",
        ),
        (pd.DataFrame({"x": [None] * 20 + [1.0, 2.0] * 10, np.nan: 1.0}), {}, ValueError, r"without a name.*{1: nan}"),
        (
            pd.DataFrame({("x", None): [None] * 20 + [1.0, 2.0] * 10, ("x", "y"): 1.0}),
            {},
            ValueError,
            r"without a name.*{0: \('x', nan\)}",
        ),
        (pd.DataFrame({"x": [None] * 20 + [1.0, 2.0] * 10}), {"n_draws": 1}, ValueError, "n_draws=1"),
        (pd.DataFrame({"x": [None] * 20 + [1.0, 2.0] * 10}), {"imputer": 3}, TypeError, "imputer should have"),
        ([[1, 2]], {}, TypeError, "df should be a pandas DataFrame"),
    ],
)
def test_errors(df, options, error, message):
    arguments = {"imputer": HotDeckImputer()} | options
    with pytest.raises(error, match=message):
        energy_iscore(df, arguments.pop("imputer"), **arguments)


@pytest.mark.parametrize(("n_observed", "n_fills"), [(29, 8), (30, 2)])
def test_draws_end_early_only_if_enough_cells_agree(n_observed, n_fills):
    # Two draws of a rare level agree in a dozen cells more often than not.
    df = pd.DataFrame({"x": np.arange(n_observed + 20.0), "y": [np.nan] * 20 + list(range(n_observed))})
    seeds = []

    def constant(table, seed):
        seeds.append(seed)
        return table.fillna(5.0)

    result = energy_iscore(df, constant, n_draws=8, random_state=0)
    assert len(seeds) == 1 + n_fills
    # Draws that all agree have no spread, so that their number does not matter.
    assert result.score == pytest.approx(energy_iscore(df, constant, n_draws=2, random_state=0).score)


def test_columns_that_are_left_out_are_told(rng):
    df = pd.DataFrame(rng.normal(size=(200, 3)), columns=["few", "whole", "holey"])
    df.loc[:4, "few"] = np.nan
    df.loc[20:80, "holey"] = np.nan
    ranking = rank_imputers(df, {"hot": HotDeckImputer()}, mode="no_truth", **QUICK)
    assert ranking.settings["covariates"] == {"holey": ["whole"]}
    assert set(ranking.settings["not_scored"]) == {"few", "whole"}
    assert "Not scored: 'few' (5 holes and 195 observed cells, at least 10 each are needed)." in ranking.explain()


def test_order_of_imputers_and_number_of_processes_change_nothing(rng):
    df = ampute(pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc")), missing_rate=0.2, random_state=0)
    imputers = {"pmm": ChainedImputer(n_rounds=1), "hot": HotDeckImputer()}
    options = {"mode": "no_truth", **QUICK}
    base = rank_imputers(df, imputers, **options)
    for other in (
        rank_imputers(df, dict(reversed(imputers.items())), **options),
        rank_imputers(df, imputers, n_jobs=2, **options),
    ):
        pd.testing.assert_frame_equal(base.table.drop(columns="seconds"), other.table.drop(columns="seconds"))
        pd.testing.assert_frame_equal(base.per_column, other.per_column[base.per_column.columns], check_exact=True)
