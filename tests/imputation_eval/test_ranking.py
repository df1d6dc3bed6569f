from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from imputation_eval import HotDeckImputer, MeanImputer, Ranking, ampute, default_imputers, rank_imputers
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.ranking.pictures import columns_of, local_shares
from imputation_eval.ranking.summary import summarize
from imputation_eval.scoring import RANKING_METRICS, RAW_COLUMNS

COLUMNS = ["score", "ci_low", "ci_high", "rank", "rank_low", "rank_high", "p_best", "tied_best", "failures", "seconds"]
QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}


def broken(df, random_state):
    raise RuntimeError("no convergence\nlong trace")


def cheating(df, random_state):
    return df.fillna(0.0) + 1


def sometimes(df, random_state):
    if random_state % 2:
        raise ValueError("odd seed")
    return df.fillna(df.mean())


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
        ratio = 0.3 / 0.7  # cells hidden over cells left
    else:
        ranking = rank_imputers(holes, imputers, mode="truth", truth=df, **QUICK)
        n_usable = int(holes.isna().any(axis=1).sum())
        n_scored = n_usable // 4 * 2  # half of the rows, in two equal halves
        ratio = n_scored / (n_usable - n_scored)
    scores = ranking.raw.groupby(["imputer", "repeat"])["score"].mean().unstack("imputer")
    difference = scores["draw"] - scores["median"]
    t = difference.mean() / np.sqrt(difference.var() * (1 / 3 + ratio))
    assert ranking.pairwise["p_value"].item() == pytest.approx(2 * stats.t.sf(abs(t), df=2))


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


def _raw(scores, metrics=("nds",)):
    """Return the long table that belongs to {imputer: a score a repeat}."""
    rows = [
        (name, repeat, 0, metric, score, 0.1, "broke" if np.isnan(score) else None)
        for name, values in scores.items()
        for repeat, score in enumerate(values)
        for metric in metrics
    ]
    return pd.DataFrame(rows, columns=RAW_COLUMNS)


def test_order_of_imputers_does_not_decide_between_equal_leaders():
    # a and z are equal on average; c differs for certain from a, which never varies, but not from z.
    scores = {"a": np.zeros(8), "z": np.tile([1.0, -1.0], 4), "c": np.full(8, 0.5)}
    first, second = (
        summarize(_raw(dict(order)), (KNOWN_METRICS["nds"],), [], ratio=0.01, entropy=0)
        for order in (scores.items(), reversed(scores.items()))
    )
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.pairwise, second.pairwise)
    assert first.table["rank"].to_dict() == {"a": 1, "z": 1, "c": 3}
    assert first.table["tied_best"].to_dict() == {"a": True, "z": True, "c": False}


def _explained(scores):
    """Return what is said of {imputer: a score a repeat}, among them truth and references."""
    references = [name for name in scores if name in ("truth", "hot-deck", "mean")]
    raw = _raw(scores)
    summary = summarize(raw, (KNOWN_METRICS["nds"],), references, ratio=0.25, entropy=0)
    n_repeats = raw["repeat"].nunique()
    settings = {"metrics": ["nds"], "mode": "truth", "n_repeats": n_repeats, "lower_is_better": {}, "n_rows": 100}
    return Ranking(
        table=summary.table,
        per_metric=summary.per_metric,
        pairwise=summary.pairwise,
        against_references=summary.against_references,
        rank_probabilities=summary.rank_probabilities,
        agreement=summary.agreement,
        per_column=pd.DataFrame(),
        raw=raw,
        settings=settings,
    )


def test_only_imputers_that_never_failed_count(rng):
    wiggle = rng.normal(0, 0.01, size=(4, 10))
    gap = np.append(np.zeros(9), np.nan)
    scores = {"truth": np.zeros(10), "good": 0.1 + wiggle[0], "bad": 0.9 + wiggle[1], "flaky": gap}
    text = _explained(scores).explain()
    assert "'good' ranks first of 2 imputers that never failed by nds" in text
    assert "chance of being the best of them is over 99 %. Every other one of them is significantly worse" in text
    assert "'flaky' failed in 1 of 10 repeats and ranks behind those that never failed: broke" in text
    # One is left: nothing was tested, and no chance can be given.
    alone = _explained({name: scores[name] for name in ("truth", "good", "flaky")})
    text = alone.explain()
    assert text.startswith("'good', the only one of 2 imputers that never failed, has nds 0.1")
    assert "chance" not in text
    assert "significantly" not in text
    assert "1.00" not in alone.to_markdown()


def test_winner_is_tested_against_the_references(rng):
    wiggle = rng.normal(size=(3, 20))
    # Slightly ahead of hot-deck in the mean, by less than the noise; far ahead of the mean.
    scores = {
        "truth": np.zeros(20),
        "mine": 1 + 0.1 * wiggle[0],
        "hot-deck": 1.01 + 0.1 * wiggle[1] - (wiggle[1].mean() - wiggle[0].mean()) * 0.1,
        "mean": 2 + 0.1 * wiggle[2],
    }
    ranking = _explained(scores)
    assert ranking.table.loc["mine", "score"] < ranking.table.loc["hot-deck", "score"]
    assert (
        "Beware: 'mine' is not significantly better than 'hot-deck'; filling each column by itself" in ranking.explain()
    )
    assert set(ranking.against_references["worse"]) == {"hot-deck", "mean"}
    assert "Beware" not in _explained(scores | {"hot-deck": scores["hot-deck"] + 1}).explain()
    both = _explained(scores | {"mine": scores["mean"] + 1}).explain()
    assert "'mine' is not significantly better than 'hot-deck' or 'mean'" in both


def test_metrics_that_disagree_are_pointed_out(rng):
    wiggle = rng.normal(0, 0.01, size=(3, 10))
    by_metric = {
        "nds": {"truth": np.zeros(10), "a": wiggle[0] + 1, "b": wiggle[1] + 2, "c": wiggle[2] + 3},
        "energy": {"truth": np.zeros(10), "a": wiggle[1] + 1, "b": wiggle[2] + 3, "c": wiggle[0] + 2},
        "rmse": {"truth": np.zeros(10), "a": wiggle[2] + 3, "b": wiggle[0] + 2, "c": wiggle[1] + 1},
    }

    def explained(*names):
        raw = pd.concat([_raw(by_metric[name], (name,)) for name in names], ignore_index=True)
        summary = summarize(raw, tuple(KNOWN_METRICS[name] for name in names), ["truth"], ratio=0.25, entropy=0)
        settings = {"metrics": list(names), "mode": "truth", "n_repeats": 10, "n_rows": 100}
        parts = {field.name: getattr(summary, field.name) for field in fields(summary)}
        return Ranking(**parts, per_column=pd.DataFrame(), raw=raw, settings=settings)

    # Orders a b c, a c b and c b a: Spearman 1/2, -1 and -1/2.
    ranking = explained("nds", "energy", "rmse")
    expected = np.array([[1, 0.5, -1], [0.5, 1, -0.5], [-1, -0.5, 1]])
    assert ranking.agreement.to_numpy() == pytest.approx(expected)
    text = ranking.explain()
    assert "The metrics disagree, which the mean rank hides: nds puts 'a' first, energy puts 'a' first, rmse" in text
    assert "the lowest rank correlation between two metrics is -1" in text
    assert (
        "All metrics put 'a' first; the lowest rank correlation between two metrics is 0.5"
        in explained("nds", "energy").explain()
    )
    assert "metrics" not in explained("nds").explain()


def test_the_fastest_of_the_tied_is_named():
    scores = {"truth": np.zeros(8), "slow": np.tile([1.0, -1.0], 4), "quick": np.tile([-0.9, 1.1], 4)}
    ranking = _explained(scores)
    assert ranking.tied_best == ["slow", "quick"]
    assert "fastest" not in ranking.explain()
    ranking.table["seconds"] = [5.0, 0.1, np.nan]
    assert "Of these 'quick' is the fastest (0.1 s against 5 s)." in ranking.explain()


def test_few_rows_are_a_caution():
    ranking = _explained({"truth": np.zeros(5), "a": np.arange(5.0), "b": np.arange(5.0) + 1})
    assert "Caution" not in ranking.explain()
    ranking.settings["n_rows"] = 60
    assert "Caution: with 60 rows, fewer than 100, ranks are mostly noise." in ranking.explain()


def test_chances_of_ranks_are_in_the_order_of_the_table(rng):
    scores = {name: rng.normal(j / 3, 1, 12) for j, name in enumerate("dbca")}
    ranking = _explained({"truth": np.zeros(12), **scores})
    chances = ranking.rank_probabilities
    assert list(chances.index) == list(ranking.table.index[:4])
    assert list(chances.columns) == [1, 2, 3, 4]
    assert chances[1].to_dict() == ranking.table["p_best"].iloc[:4].to_dict()


def test_a_ranking_prints_itself():
    ranking = _explained({"truth": np.zeros(5), "a": np.arange(5.0), "b": np.arange(5.0) + 1})
    assert repr(ranking) == str(ranking)
    assert "rank interval" in repr(ranking)
    assert ranking.explain() in repr(ranking)


def test_truth_is_called_a_floor_only_where_it_is_one():
    df = load_breast_cancer(as_frame=True).data.iloc[:150, :10]
    imputers = {"regression": IterativeImputer(max_iter=5, tol=1e-1)}
    options = QUICK | {"missing_rate": 0.4}
    by_wasserstein = rank_imputers(df, imputers, metrics="wasserstein", **options)
    assert by_wasserstein.table.loc["regression", "score"] < by_wasserstein.table.loc["truth", "score"]
    assert "no floor, an imputer can do better" in by_wasserstein.explain()
    assert "favours imputed values that vary too little" in by_wasserstein.explain()
    assert "no imputer can be expected to do better" in rank_imputers(df, imputers, **options).explain()


def test_diverged_cells_do_not_win(gaussian_table, rng):
    df, _ = gaussian_table(200, 4, 0.7, rng)

    def diverging(value):
        def imputer(table, random_state):
            filled = table.fillna(5.0)
            return filled.mask(table.isna() & (np.arange(len(table)) % 20 == 0)[:, None], value)

        return imputer

    imputers = {"diverging": diverging(1e13), "overflowing": diverging(1e99), "hot-deck": HotDeckImputer()}
    ranking = rank_imputers(df, imputers, metrics=["nds", "energy"], **QUICK)
    assert ranking.winner == "hot-deck"
    assert ranking.tied_best == ["hot-deck"]
    assert ranking.per_metric.loc[("nds", "diverging"), "score"] > 0.8
    # Beyond what a distance can hold is a failure that names the column.
    tiny = df * 1e-60
    ranking = rank_imputers(tiny, {"overflowing": diverging(1e99), "hot-deck": HotDeckImputer()}, **QUICK)
    assert ranking.table.loc["overflowing", "failures"] == 3
    assert "so far beyond its scale" in ranking.raw.query("imputer == 'overflowing'")["failure"].iloc[0]


def test_per_column_says_where_an_imputer_errs(mixed_table, rng):
    df = mixed_table(150, rng).assign(same=1.0)

    def shifted(table, random_state):
        filled = HotDeckImputer(random_state).fit_transform(table)
        return filled.assign(
            real=filled["real"].mask(table["real"].isna(), filled["real"] + 10),
            text=filled["text"].mask(table["text"].isna(), "high"),
        )

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


def test_failures_are_named_and_rank_last(rng):
    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    imputers = {"broken": broken, "cheating": cheating, "sometimes": sometimes, "median": SimpleImputer()}
    ranking = rank_imputers(df, imputers, **(QUICK | {"n_repeats": 6, "n_draws": 1}))
    table = ranking.table
    assert table.index[:2].tolist() == ["median", "sometimes"]
    assert table["rank"].head(4).tolist() == [1, 2, 3, 4]
    assert table["failures"].loc[["broken", "cheating"]].tolist() == [6, 6]
    assert 0 < table.loc["sometimes", "failures"] < 6
    assert table.loc[["broken", "cheating", "sometimes"], "p_best"].tolist() == [0, 0, 0]
    assert ranking.tied_best == ["median"]
    assert np.isnan(table.loc["broken", "score"])
    reasons = ranking.raw.groupby("imputer")["failure"].first()
    assert reasons["broken"] == "RuntimeError: no convergence"
    assert reasons["cheating"].startswith("ImputationError: observed cells changed")
    text = ranking.explain()
    assert (
        "'broken' failed in 6 of 6 repeats and ranks behind those that never failed: RuntimeError: no convergence"
        in text
    )
    assert "RuntimeError: no convergence" in ranking._repr_html_()
    # With several metrics an imputer without any score has no mean rank, and still ranks last.
    several = rank_imputers(df, imputers, metrics=["nds", "rmse"], **QUICK)
    assert several.table.index[0] == "median"
    assert several.table.loc["broken", "rank"] >= 3


def test_no_winner_where_every_imputer_fails_somewhere(rng):
    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    ranking = rank_imputers(df, {"sometimes": sometimes}, **(QUICK | {"n_repeats": 6, "n_draws": 1}))
    assert ranking.winner is None
    assert "There is no winner" in ranking.explain()
    with pytest.raises(ValueError, match=r"every imputer failed in every repeat: {'broken': 'RuntimeError"):
        rank_imputers(df, {"broken": broken}, **QUICK)


def test_warnings_of_imputers_are_reported_once(rng):
    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    with pytest.warns(UserWarning, match=r"imputer 'it' warned in 3 repeats: ConvergenceWarning") as caught:
        rank_imputers(df, {"it": IterativeImputer(max_iter=1, tol=1e-9)}, **QUICK)
    assert len(caught) == 1
    assert caught[0].filename == __file__


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


def test_references_that_do_no_worse_are_pointed_out(rng):
    df = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc"))
    ranking = rank_imputers(df, {"zero": lambda t, seed: t.fillna(5.0)}, **QUICK)
    assert "Beware: 'zero' is not significantly better than 'hot-deck' or 'mean'" in ranking.explain()


def test_names_are_escaped(rng):
    df = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc"))
    ranking = rank_imputers(df, {"<b>|x": SimpleImputer()}, **QUICK)
    assert "<b>" not in ranking._repr_html_()
    assert "<b>\\|x" in ranking.to_markdown()


def test_plots():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ranking = rank_imputers(load_wine(as_frame=True).data, {"median": SimpleImputer()}, **QUICK)
    for kind in ("forest", "seconds", "ranks", "pairwise", "density", "local"):
        ranking.plot(kind)
    assert ranking.plot().get_xlabel() == "nds (lower is better)"
    with pytest.raises(ValueError, match="kind='pie'"):
        ranking.plot("pie")
    with pytest.raises(ValueError, match=r"imputer='truth' has no filled rows to show; available: .*'median'"):
        ranking.plot("density", imputer="truth")
    # Without a truth, observed values stand beside the imputed ones, and rows have nothing to stand beside.
    holes = ampute(load_wine(as_frame=True).data, missing_rate=0.2, random_state=0)
    blind = rank_imputers(holes, {"median": MeanImputer("median")}, mode="no_truth", **QUICK)
    names = [text.get_text() for text in blind.plot("density").legends[0].get_texts()]
    assert names == ["observed values", "imputed by median, 12 of 13 columns"]
    with pytest.raises(ValueError, match="without a truth there are none"):
        blind.plot("local")
    plt.close("all")


def test_pictures_show_the_values_as_they_are(mixed_table, rng):
    df = mixed_table(200, rng)
    marked = {"real": 77.0, "text": "low", "when": pd.Timestamp("2030-01-01")}

    def marking(table, random_state):
        filled = HotDeckImputer(random_state).fit_transform(table)
        return filled.assign(**{name: filled[name].mask(table[name].isna(), value) for name, value in marked.items()})

    ranking = rank_imputers(df, {"it": marking}, **QUICK)
    columns = {column.name: column for column in columns_of(ranking.example, "it", ranking.per_column["it"])}
    assert set(columns) == set(df.columns)
    for name, value in marked.items():
        assert set(pd.Series(columns[name].imputed)) == {value}
    assert set(columns["text"].observed) <= set(df["text"])
    assert set(pd.Series(columns["when"].observed).astype(df["when"].dtype)) <= set(df["when"])
    assert np.isin(np.round(columns["real"].observed, 9), np.round(df["real"], 9)).all()
    assert columns["grade"].levels == ["c", "b", "a"]
    points, local = local_shares(ranking.example, "it")
    half = len(points) // 2
    assert local[:half].mean() < 0.4 < 0.6 < local[half:].mean()


def test_progress_in_a_log_is_quiet_until_it_is_long(capsys, monkeypatch, rng):
    from imputation_eval._progress import Progress

    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    rank_imputers(df, {"median": SimpleImputer()}, **(QUICK | {"progress": True}))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Progress, "_PLAIN_INTERVAL_S", 0.0)
    rank_imputers(df, {"median": SimpleImputer()}, **(QUICK | {"progress": True}))
    assert "scoring imputers: 12 of 12, 0 s left" in capsys.readouterr().err


GOOD = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 3)), columns=list("abc"))
HOLES = GOOD.mask(np.random.default_rng(1).random(GOOD.shape) < 0.3)


@pytest.mark.parametrize(
    ("df", "options", "error", "message"),
    [
        (GOOD.iloc[:1], {}, ValueError, "df has 1 rows, at least 30"),
        (GOOD, {"imputers": None}, TypeError, "imputers should be a dict"),
        (GOOD, {"metrics": 3}, TypeError, "metrics should be a name"),
        (GOOD.to_numpy(), {}, TypeError, "df should be a pandas DataFrame"),
        (GOOD.iloc[:0], {}, ValueError, r"shape \(0, 3\)"),
        (GOOD.set_axis(["a", "a", "b"], axis=1), {}, ValueError, r"same name: \['a'\]"),
        (GOOD.assign(a=np.nan), {}, ValueError, r"without a single observed cell: \['a'\]"),
        (GOOD.assign(a=np.inf), {}, ValueError, "'a' holds infinite"),
        (GOOD, {"missing_rate": 1.5}, ValueError, "missing_rate=1.5 should lie strictly between 0 and 1"),
        (GOOD, {"mechanism": "mars"}, ValueError, "mechanism='mars' is unknown"),
        (GOOD, {"mechanism": "observed"}, ValueError, "needs rows of df that have holes"),
        (GOOD, {"mechanism": "mar", "missing_rate": 0.8}, ValueError, "it can hide 0.667 of the observed cells"),
        (GOOD, {"mode": "blind"}, ValueError, r"mode='blind' is not available; .*'masked', 'truth', 'no_truth'"),
        (GOOD, {"mode": "no_truth"}, ValueError, "df has no holes, so nothing is imputed"),
        (GOOD, {"metrics": "energy_iscore"}, ValueError, "'energy_iscore' is for mode='no_truth'"),
        (HOLES, {"mode": "no_truth", "n_draws": 1}, ValueError, "n_draws=1 should be >= 2"),
        (HOLES, {"mode": "no_truth", "metrics": "nds"}, ValueError, "need 60 observed cells in each column"),
        (GOOD, {"mode": "truth"}, ValueError, "needs truth="),
        (GOOD, {"truth": GOOD}, ValueError, "truth= is used by mode='truth' only"),
        (GOOD, {"mode": "truth", "truth": GOOD}, ValueError, "df has no holes"),
        (HOLES, {"mode": "truth", "truth": GOOD + 1}, ValueError, "truth differs from df in observed cells"),
        (HOLES, {"mode": "truth", "truth": GOOD.iloc[:-1]}, ValueError, "in their index: 119 rows against 120"),
        (HOLES, {"mode": "truth", "truth": GOOD.iloc[::-1]}, ValueError, "labels differ or are in another order"),
        (HOLES, {"mode": "truth", "truth": GOOD.astype(str)}, ValueError, "'a' is numeric in df .*nominal in truth"),
        (HOLES, {"mode": "truth", "truth": GOOD, "missing_rate": 7}, ValueError, "missing_rate=7"),
        (HOLES, {"mode": "truth", "truth": GOOD, "mechanism": "zz"}, ValueError, "mechanism='zz'"),
        (HOLES, {"mode": "truth", "truth": GOOD[["a", "b"]]}, ValueError, r"truth has columns \['a', 'b'\]"),
        (
            HOLES,
            {"mode": "truth", "truth": GOOD.assign(a=np.nan)},
            ValueError,
            r"truth lacks cells that df has.*\['a'\]",
        ),
        (HOLES.iloc[:60], {"mode": "truth", "truth": GOOD.iloc[:60]}, ValueError, "at least 60 are needed"),
        (GOOD, {"missing_rate": 0.05}, ValueError, "at least 30 are needed"),
        (GOOD, {"metrics": [["nds"]]}, TypeError, r"metrics should be a name or several names, got \[\['nds'\]\]"),
        (GOOD, {"mechanism": ["mcar"]}, TypeError, "mechanism should be a str, one of .*'mnar'.*, got"),
        (GOOD, {"categorical": None}, TypeError, "categorical should be 'infer' or a list of column names, got None"),
        (GOOD, {"n_jobs": 1.5}, TypeError, "n_jobs should be None or an int, got 1.5"),
        (GOOD, {"n_jobs": 0}, ValueError, "n_jobs=0"),
        (GOOD, {"metrics": []}, ValueError, "at least one metric"),
        (GOOD, {"metrics": ["nds", "nds"]}, ValueError, "none twice"),
        (GOOD, {"metrics": "auc"}, ValueError, r"unknown names: \['auc'\]; available"),
        (GOOD, {"metrics": "wasserstein", "max_rows": 9000}, ValueError, "halves of 4500 rows, but 'wasserstein'"),
        (GOOD, {"n_repeats": 1}, ValueError, "n_repeats=1 should be >= 2"),
        (GOOD, {"n_draws": 0}, ValueError, "n_draws=0"),
        (GOOD, {"max_rows": 10}, ValueError, "max_rows=10"),
        (GOOD, {"n_repeats": 2.5}, TypeError, "n_repeats should be an int"),
        (GOOD, {"imputers": {"truth": SimpleImputer()}}, ValueError, "reserved"),
        (GOOD, {"categorical": ["z"]}, ValueError, r"lacks: \['z'\]"),
    ],
)
@pytest.mark.filterwarnings("ignore:truth has only 60 rows")
def test_errors(df, options, error, message):
    arguments = {"imputers": {"median": SimpleImputer()}, **QUICK} | options
    with pytest.raises(error, match=message):
        rank_imputers(df, arguments.pop("imputers"), **arguments)


@pytest.mark.parametrize(
    ("df", "message"),
    [
        (GOOD.iloc[:60], "only 60 rows"),
        (GOOD.assign(same=1.0), r"constant columns .*\['same'\]"),
        (pd.concat([GOOD, GOOD.iloc[:60]], ignore_index=True), "33% of the rows of df repeat"),
    ],
)
def test_weak_data_is_warned_of(df, message):
    with pytest.warns(UserWarning, match=message) as caught:
        ranking = rank_imputers(df, {"median": SimpleImputer()}, missing_rate=0.3, **QUICK)
    assert [warning.filename for warning in caught] == [__file__]
    assert (ranking.table["failures"] == 0).all()


def test_weak_truth_is_called_truth():
    df, truth = HOLES.iloc[:90], GOOD.iloc[:90]
    with pytest.warns(UserWarning, match="truth has only 90 rows"):
        rank_imputers(df, {"median": SimpleImputer()}, mode="truth", truth=truth, **QUICK)
