"""What a ranking promises: its table, its tests, and what must not change it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import SimpleImputer

from imputation_eval import HotDeckImputer, MeanImputer, Ranking, ampute, default_imputers, rank_imputers
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.scoring import RANKING_METRICS

COLUMNS = ["score", "ci_low", "ci_high", "rank", "rank_low", "rank_high", "p_best", "tied_best", "failures", "seconds"]
QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}


def test_drawing_from_the_true_conditional_beats_mean_imputation_unless_rmse_judges(
    gaussian_table, gaussian_oracle, rng
):
    df, covariance = gaussian_table(400, 4, 0.4, rng)
    imputers = {"draws": gaussian_oracle(covariance, draw=True), "means": MeanImputer()}
    ranking = rank_imputers(
        df, imputers, metrics=["nds", "energy", "rmse"], missing_rate=0.4, n_repeats=5, random_state=1
    )
    scores = ranking.per_metric["score"]
    for metric in ("nds", "energy"):
        assert ranking.per_metric.loc[(metric, "draws"), "rank"] == 1
        assert ranking.per_metric.loc[(metric, "means"), "tied_best"] == False  # noqa: E712
        # The oracle reaches the floor, mean imputation does not.
        assert scores[metric, "draws"] == pytest.approx(scores[metric, "truth"], abs=0.1 * scores[metric, "means"])
    assert ranking.per_metric.loc[("rmse", "means"), "rank"] == 1
    assert ranking.per_metric.loc[("rmse", "draws"), "tied_best"] == False  # noqa: E712
    assert "rmse rewards the conditional mean" in ranking.explain()


@pytest.mark.slow
def test_worse_verdicts_are_rare_between_imputers_that_are_equal_in_the_population(gaussian_table):
    # One errs in the first half of the columns, the other in the second; the columns are exchangeable, so on average
    # over tables they are equal, although on a single table one of them is favoured in every repeat.
    def half_mean(columns):
        def imputer(df, random_state):
            filled = HotDeckImputer(random_state).fit_transform(df)
            return filled.assign(**MeanImputer().fit_transform(df)[columns])

        return imputer

    runs, verdicts = 30, {"nds": 0, "rmse": 0}
    for seed in range(runs):
        df, _ = gaussian_table(120, 4, 0.6, np.random.default_rng(seed))
        imputers = {"first": half_mean(["x0", "x1"]), "second": half_mean(["x2", "x3"])}
        ranking = rank_imputers(
            df, imputers, metrics=list(verdicts), n_repeats=8, n_draws=1, progress=False, random_state=seed
        )
        for metric in verdicts:
            verdicts[metric] += int((~ranking.per_metric.loc[metric].query("not reference")["tied_best"]).any())
    assert max(verdicts.values()) <= stats.binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize("mode", ["masked", "truth"])
def test_tests_account_for_the_overlap_of_repeats(mode):
    df = load_diabetes(as_frame=True).data
    holes = ampute(df, missing_rate=0.1, random_state=0)
    imputers = {"median": MeanImputer("median"), "draw": HotDeckImputer()}
    if mode == "masked":
        ranking = rank_imputers(df, imputers, missing_rate=0.3, **QUICK)
        # Nearly every row has a hidden cell, and half of them are scored: 221 of 442. Two halves share 110.5 rows with
        # a standard deviation of 5.3, and 45 pairs of them are counted.
        ratio = ranking.settings["overlap_ratio"]
        assert ratio == pytest.approx(1, abs=0.05)
    else:
        ranking = rank_imputers(holes, imputers, mode="truth", truth=df, **QUICK)
        n_usable = int(holes.isna().any(axis=1).sum())
        n_scored = n_usable // 4 * 2  # half of the rows, in two equal halves
        ratio = n_scored / (n_usable - n_scored)
    scores = ranking.raw.groupby(["imputer", "repeat"])["score"].mean().unstack("imputer")
    difference = scores["draw"] - scores["median"]
    t = difference.mean() / np.sqrt(difference.var() * (1 / 3 + ratio))
    assert ranking.pairwise["p_value"].item() == pytest.approx(2 * stats.t.sf(abs(t), df=2))


@pytest.mark.parametrize(
    ("n_columns", "options", "share"),
    [
        (2, {}, 0.4),  # no row loses both cells, so that two fifths of the rows lose one
        (20, {}, 0.5),  # all rows lose one, and half of them are scored
        (20, {"max_rows": 300}, 0.15),
    ],
)
def test_overlap_of_masks_is_counted_by_rows(n_columns, options, share, rng):
    # Two repeats score that share of the rows each, chosen independently. Of 2000 rows at least 45 are shared, with a
    # standard deviation of 5 at most 13 % of them; the mean of 45 pairs is within 6 %, the ratio within 12 %.
    df = pd.DataFrame(rng.normal(size=(2000, n_columns)))
    df.columns = df.columns.astype(str)
    ranking = rank_imputers(df, {"median": MeanImputer("median")}, metrics="rmse", **(QUICK | options))
    assert ranking.settings["overlap_ratio"] == pytest.approx(share / (1 - share), rel=0.12)


def test_few_rows_are_scored_whole_and_told_to_overlap(rng):
    df = pd.DataFrame(rng.normal(size=(34, 20)), columns=[f"x{j}" for j in range(20)])
    with pytest.warns(UserWarning, match="only 34 rows"):
        ranking = rank_imputers(df, {"median": MeanImputer("median"), "draw": HotDeckImputer()}, **QUICK)
    # 30 of 33 or 34 rows are scored.
    assert 30 / 4 * 0.8 <= ranking.settings["overlap_ratio"] <= 30 / 3


@pytest.mark.parametrize("n_repeats", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_rows_whose_cells_go_together_do_not_make_verdicts_sure(n_repeats):
    # Twenty columns of two factors, ten each. One imputer is wrong by 1 in the second ten, the other in the first, so
    # that they are equal over tables; but on one table the factors' means favour one of them, in nearly every row.
    def constants(first, second):
        def imputer(df, random_state):
            return df.fillna(dict.fromkeys(df.columns[:10], first) | dict.fromkeys(df.columns[10:], second))

        return imputer

    runs, verdicts = 24, {"energy": 0, "rmse": 0}
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        cells = np.repeat(rng.normal(size=(100, 2)), 10, axis=1) + 0.2 * rng.normal(size=(100, 20))
        df = pd.DataFrame(cells, columns=[f"x{j}" for j in range(20)])
        ranking = rank_imputers(
            df,
            {"first": constants(0.0, 1.0), "second": constants(1.0, 0.0)},
            metrics=list(verdicts),
            n_repeats=n_repeats,
            n_draws=1,
            progress=False,
            random_state=seed,
        )
        for metric in verdicts:
            verdicts[metric] += int((~ranking.per_metric.loc[metric].query("not reference")["tied_best"]).any())
    assert max(verdicts.values()) <= stats.binom.ppf(0.9995, runs, 0.05)


def test_table_has_the_promised_shape():
    df = load_wine(as_frame=True).data
    ranking = rank_imputers(df, {"median": SimpleImputer(strategy="median"), "draw": HotDeckImputer()}, **QUICK)
    assert isinstance(ranking, Ranking)
    assert list(ranking.table.columns) == [*COLUMNS, "reference"]
    assert ranking.table.index.name == "imputer"
    assert set(ranking.table.index) == {"median", "draw", "truth", "hot-deck", "mean"}
    own = ranking.table[~ranking.table["reference"]]
    assert own["rank"].tolist() == [1, 2]
    assert own["p_best"].sum() == pytest.approx(1)
    assert own["tied_best"].iloc[0]
    assert (own["ci_low"] <= own["score"]).all()
    assert (own["score"] <= own["ci_high"]).all()
    assert (own["rank_low"] <= own["rank"]).all()
    assert (own["rank"] <= own["rank_high"]).all()
    assert ranking.winner == own.index[0]
    assert ranking.winner in ranking.tied_best
    assert len(ranking.pairwise) == 1
    references = ranking.table[ranking.table["reference"]]
    assert references["rank"].isna().all()
    assert references["p_best"].isna().all()
    assert not references["tied_best"].any()
    # Deterministic imputers are scored once a repeat, the others n_draws times, the truth once.
    assert ranking.raw.groupby("imputer").size().to_dict() == {
        "median": 3, "draw": 6, "truth": 3, "hot-deck": 6, "mean": 3,
    }  # fmt: skip


def test_truth_scores_about_zero_and_hot_deck_the_same_under_either_role(rng):
    df = load_wine(as_frame=True).data
    as_reference = rank_imputers(df, {"median": MeanImputer("median")}, **QUICK)
    as_rival = rank_imputers(df, {"median": MeanImputer("median"), "hot-deck": HotDeckImputer()}, **QUICK)
    assert abs(as_reference.table.loc["truth", "score"]) < 0.05
    assert as_reference.table.loc["hot-deck", "reference"]
    assert not as_rival.table.loc["hot-deck", "reference"]
    # Hot-deck, blind to the other columns, comes behind the median on this table; as a reference it has no rank.
    assert as_rival.table["rank"].dropna().to_dict() == {"median": 1, "hot-deck": 2}
    assert as_reference.table["rank"].dropna().to_dict() == {"median": 1}
    assert as_rival.table.loc["hot-deck", "score"] == as_reference.table.loc["hot-deck", "score"]


def test_order_of_imputers_and_number_of_processes_change_nothing():
    df = load_wine(as_frame=True).data.iloc[:, :6]
    imputers = {
        "hot-deck": HotDeckImputer(),
        "median": MeanImputer("median"),
        "sample": default_imputers()["iterative-sample"],
    }
    options = QUICK | {"metrics": ["nds", "energy", "rmse"], "n_repeats": 2}
    base = rank_imputers(df, imputers, **options)
    for other in (
        rank_imputers(df, dict(reversed(imputers.items())), **options),
        rank_imputers(df, imputers, n_jobs=2, **options),
    ):
        pd.testing.assert_frame_equal(base.table.drop(columns="seconds"), other.table.drop(columns="seconds"))
        pd.testing.assert_frame_equal(base.pairwise, other.pairwise)
        pd.testing.assert_frame_equal(base.against_references, other.against_references)
        pd.testing.assert_frame_equal(base.per_column, other.per_column[base.per_column.columns], check_exact=True)
        scores = [r.raw.set_index(["imputer", "repeat", "draw", "metric"])["score"].sort_index() for r in (base, other)]
        pd.testing.assert_series_equal(*scores, check_exact=True)
    assert not base.raw.equals(rank_imputers(df, imputers, **(options | {"random_state": 1})).raw)


def test_per_column_says_where_an_imputer_errs(mixed_table, rng):
    df = mixed_table(300, rng).assign(same=1.0)

    def shifted(table, random_state):
        filled = HotDeckImputer(random_state).fit_transform(table)
        return filled.assign(
            real=filled["real"].mask(table["real"].isna(), filled["real"] + 10),
            text=filled["text"].mask(table["text"].isna(), "high"),
        )

    def broken(table, random_state):
        raise RuntimeError("no convergence")

    imputers = {"shifted": shifted, "broken": broken}
    with pytest.warns(UserWarning, match="constant"):
        ranking = rank_imputers(df, imputers, metrics=["nds", "rmse"], **QUICK)
    table = ranking.per_column
    assert table.index.tolist() == [name for name in df.columns if name != "same"]
    assert table.columns.tolist() == ["shifted", "broken", "hot-deck", "mean"]
    assert table["broken"].isna().all()
    quartiles = np.quantile(df["real"], [0.25, 0.75])
    # A shift of all cells by 10 is a 1-Wasserstein distance of 10 in the unit of the data.
    assert table.loc["real", "shifted"] == pytest.approx(10 / (np.diff(quartiles)[0] / 1.349), rel=0.05)
    # All cells say "high", the truth does in a share: the others would have to change.
    assert table.loc["text", "shifted"] == pytest.approx((df["text"] != "high").mean(), abs=0.1)
    assert (table.loc[["count", "object", "grade"], "shifted"] < 0.4).all()


def test_draws_that_agree_by_chance_do_not_end_a_stochastic_imputer(rng):
    # Rounded to 0 or 1 by its seed, so that draws often equal the one before.
    def coin(table, random_state):
        return table.fillna(float(random_state % 2))

    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    raw = rank_imputers(df, {"coin": coin}, **(QUICK | {"n_draws": 8, "n_repeats": 6})).raw
    assert set(raw.query("imputer == 'coin'").groupby("repeat").size()) == {1, 8}


def test_dropping_an_imputer_does_not_change_the_scores_of_the_others():
    df = load_wine(as_frame=True).data
    both = rank_imputers(df, {"a": HotDeckImputer(), "b": SimpleImputer()}, **QUICK)
    alone = rank_imputers(df, {"a": HotDeckImputer()}, **QUICK)
    assert both.table.loc["a", "score"] == alone.table.loc["a", "score"]


def test_natively_missing_cells_are_never_scored(rng):
    df = load_diabetes(as_frame=True).data
    holes = ampute(df, missing_rate=0.3, random_state=0)

    # Whatever is put where the table itself has a hole must not matter.
    def with_constant(value):
        def imputer(table, random_state):
            filled = MeanImputer().fit_transform(table)
            return filled.mask(holes.isna(), value)

        return imputer

    imputers = {"mean-zero": with_constant(0.0), "mean-far": with_constant(1e3)}
    scores = rank_imputers(holes, imputers, metrics=["nds", "rmse"], **QUICK).per_metric["score"]
    for metric in ("nds", "rmse"):
        assert scores[metric, "mean-zero"] == scores[metric, "mean-far"] == scores[metric, "mean"]


def test_mode_truth(rng):
    df = load_diabetes(as_frame=True).data
    holes = ampute(df, missing_rate=0.3, random_state=0)
    ranking = rank_imputers(
        holes, {"median": SimpleImputer(strategy="median"), "oracle": lambda t, seed: t.fillna(df)},
        mode="truth", truth=df, metrics=["nds", "rmse"], **QUICK,
    )  # fmt: skip
    assert ranking.winner == "oracle"
    assert ranking.per_metric.loc[("rmse", "oracle"), "score"] == 0
    assert ranking.per_metric.loc[("nds", "oracle"), "score"] == ranking.per_metric.loc[("nds", "truth"), "score"]
    assert "Scored against the complete table" in ranking.explain()


def test_mixed_table_with_labelled_rows(mixed_table, rng):
    df = mixed_table(150, rng)
    df.index = pd.MultiIndex.from_product([range(15), list("abcdefghij")], names=["site", "unit"])
    imputers = {"mode": MeanImputer(), "iterative": default_imputers()["iterative"]}
    ranking = rank_imputers(df, imputers, metrics=["nds", "energy", "wasserstein", "rmse"], **(QUICK | {"n_draws": 1}))
    assert ranking.winner == "iterative"
    assert (ranking.table["failures"] == 0).all()


def test_columns_named_categorical_are_levels(rng):
    df = pd.DataFrame({"code": rng.integers(0, 3, 120), "flag": rng.random(120) < 0.5, "x": rng.normal(size=120)})
    imputers = {"numbers": MeanImputer(), "levels": MeanImputer(categorical=["code"]), "wrapped": SimpleImputer()}
    ranking = rank_imputers(df, imputers, categorical=["code"], **QUICK)
    assert set(ranking.tied_best) == {"levels", "wrapped"}
    assert ranking.table.loc[["levels", "wrapped", "mean", "hot-deck"], "failures"].tolist() == [0, 0, 0, 0]
    # 0.98 is no level of the code.
    assert "'code' has levels never seen before" in ranking.raw.query("imputer == 'numbers'")["failure"].iloc[0]


def test_only_scoring_is_limited_by_max_rows(rng):
    seen = []

    def imputer(df, random_state):
        seen.append(len(df))
        return df.fillna(0.0)

    df = pd.DataFrame(rng.normal(size=(500, 3)), columns=list("abc"))
    rank_imputers(df, {"zero": imputer}, max_rows=50, **QUICK)
    assert set(seen) == {500}


def test_higher_is_better_reverses_the_order(monkeypatch, rng):
    from dataclasses import replace

    worse_is_more = replace(KNOWN_METRICS["rmse"], lower_is_better=False)
    df = load_wine(as_frame=True).data
    imputers = {"mean": MeanImputer(), "hot-deck": HotDeckImputer()}
    assert rank_imputers(df, imputers, metrics="rmse", **QUICK).winner == "mean"
    monkeypatch.setitem(RANKING_METRICS, "rmse", worse_is_more)
    ranking = rank_imputers(df, imputers, metrics="rmse", **QUICK)
    assert ranking.winner == "hot-deck"
    assert "no imputer can be expected" not in ranking.explain()


@pytest.mark.filterwarnings("ignore:.*ConvergenceWarning")
def test_real_table_ranks_conditional_imputers_first_and_prints(capsys):
    df = load_breast_cancer(as_frame=True).data.iloc[:, :10]
    imputers = {name: default_imputers()[name] for name in ("mean", "hot-deck", "iterative-sample")}
    ranking = rank_imputers(df, imputers, **QUICK)
    assert capsys.readouterr().err == ""
    assert ranking.winner == "iterative-sample"
    assert ranking.tied_best == ["iterative-sample"]
    text = ranking.explain()
    assert "'iterative-sample' ranks first of 3 imputers by nds" in text
    assert "hidden by the mechanism 'mcar'" in text
    lines = ranking.to_markdown().splitlines()
    assert lines[0].startswith("| imputer | rank |")
    assert len(lines) == 2 + len(ranking.table)
    assert len({line.count("|") for line in lines}) == 1
    assert "<table" in ranking._repr_html_()
    assert "iterative-sample" in str(ranking)
