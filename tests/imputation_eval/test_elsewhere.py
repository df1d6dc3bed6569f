from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from imputation_eval import (
    ChainedImputer,
    HotDeckImputer,
    MeanImputer,
    ampute,
    impute,
    rank_imputers,
    score_imputations,
)

QUICK = {"n_repeats": 4, "progress": False, "random_state": 0}


@pytest.fixture
def tables(gaussian_table, gaussian_oracle, rng):
    """A complete table, the same with holes at random, and the latter imputed in three ways."""
    truth, covariance = gaussian_table(500, 4, 0.7, rng)
    holes = ampute(truth, missing_rate=0.25, mechanism="mar", random_state=0)
    draw, mean = (gaussian_oracle(covariance, draw=d) for d in (True, False))
    filled = {
        "draws": [draw(holes, seed) for seed in range(3)],
        "conditional mean": mean(holes, 0),
        "column mean": [MeanImputer().fit_transform(holes)],
    }
    return truth, holes, filled


@pytest.mark.parametrize("with_truth", [True, False])
def test_draws_from_the_true_conditional_are_best(tables, with_truth):
    truth, holes, filled = tables
    options = {"truth": truth, "n_repeats": 12} if with_truth else {}
    ranking = score_imputations(holes, filled, **(QUICK | options))
    assert list(ranking.table["rank"].dropna().index) == ["draws", "conditional mean", "column mean"]
    if with_truth:  # through the forest they differ less, and four repeats cannot tell them apart
        assert ranking.tied_best == ["draws"]
    assert ("truth" in ranking.table.index) == with_truth
    assert ("random forests, fitted on the imputed rows" in ranking.explain()) != with_truth
    assert ranking.raw.groupby("imputer").size()["draws"] == 3 * ranking.settings["n_repeats"]
    assert ranking.table["seconds"].isna().all()


def test_the_same_scores_as_if_the_imputer_ran(tables):
    truth, holes, filled = tables
    given = score_imputations(holes, {"it": filled["conditional mean"]}, truth=truth, **QUICK)
    ran = rank_imputers(holes, {"it": lambda t, seed: filled["conditional mean"]}, mode="truth", truth=truth, **QUICK)
    for name in ("it", "truth", "mean"):
        assert given.table.loc[name, "score"] == ran.table.loc[name, "score"]


def test_tables_that_went_through_a_file(mixed_table, rng):
    truth = mixed_table(120, rng).drop(columns=["when", "flag"])
    truth.index = pd.MultiIndex.from_product([range(12), range(10)])
    holes = ampute(truth, missing_rate=0.25, random_state=0)
    filled = impute(ChainedImputer(), holes, 0)
    back = pd.read_csv(io.StringIO(filled.to_csv(index=False)))
    ranking = score_imputations(holes, {"file": back[list(reversed(back.columns))]}, truth=truth, **QUICK)
    direct = score_imputations(holes, {"file": filled}, truth=truth, **QUICK)
    assert ranking.table.loc["file", "failures"] == 0
    assert ranking.table.loc["file", "score"] == pytest.approx(direct.table.loc["file", "score"])


def test_broken_tables_are_named_and_rank_last(tables):
    truth, holes, filled = tables
    good = filled["conditional mean"]
    broken = {
        "good": good,
        "hole": holes,
        "changed": good + 1,
        "one of two": [good, good.assign(x0=0.0)],
        "short": good.iloc[:-1],
        "reordered": good.sample(frac=1, random_state=0).reset_index(drop=True),
        "lacks a column": good[["x0", "x1"]],
    }
    ranking = score_imputations(holes, broken, truth=truth, **QUICK)
    assert ranking.winner == "good"
    assert (ranking.table.loc[list(broken)[1:], "failures"] == 4).all()
    reasons = ranking.raw.groupby("imputer")["failure"].first()
    for name, reason in {
        "hole": "ImputationError: holes are left",
        "changed": "ImputationError: observed cells changed",
        "one of two": "ImputationError: table 1: observed cells changed",
        "short": "ImputationError: the index changed: 500 rows against 499",
        "reordered": "ImputationError: observed cells changed",
        "lacks a column": "ImputationError: the columns changed",
    }.items():
        assert reasons[name].startswith(reason), name


@pytest.mark.parametrize(
    ("imputations", "options", "error", "message"),
    [
        ([], {}, TypeError, "imputations should be a dict"),
        ({}, {}, ValueError, "imputations is empty"),
        ({1: "good"}, {}, TypeError, "names that are a str, got 1"),
        ({"a": np.eye(3)}, {}, TypeError, r"imputations\['a'\] should be a DataFrame.*ndarray"),
        ({"a": []}, {}, TypeError, "got none"),
        ({"truth": "good"}, {}, ValueError, "reserved"),
        ({"a": "good"}, {"metrics": "nds"}, ValueError, "need truth=, the complete table. Without it only"),
        ({"a": "good"}, {"metrics": ("nds", "energy_iscore")}, ValueError, "missing completely at random"),
        ({"a": "good"}, {"n_repeats": 1}, ValueError, "n_repeats=1"),
    ],
)
def test_errors(tables, imputations, options, error, message):
    _, holes, filled = tables
    good = filled["conditional mean"]
    if isinstance(imputations, dict):
        imputations = (
            {name: good if table == "good" else table for name, table in imputations.items()}
            if all(isinstance(table, str) for table in imputations.values())
            else imputations
        )
    with pytest.raises(error, match=message):
        score_imputations(holes, imputations, **(QUICK | options))


def test_few_holes_are_told_of_the_table_and_not_of_a_rate(tables):
    truth, _, _ = tables
    few = truth.copy()
    few.iloc[:40, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"only 40 rows of df have a hole where truth has a value, at least 60.*more rows\.$"
    ):
        score_imputations(few, {"a": truth}, truth=truth, **QUICK)


def test_nobody_timed_them(tables):
    truth, holes, filled = tables
    with pytest.raises(ValueError, match="kind='seconds' has nothing to show"):
        score_imputations(holes, {"a": filled["conditional mean"]}, truth=truth, **QUICK).plot("seconds")


def test_own_references_compete(tables):
    truth, holes, filled = tables
    ranking = score_imputations(
        holes, {"mean": filled["column mean"], "hot": HotDeckImputer().fit_transform(holes)}, truth=truth, **QUICK
    )
    assert not ranking.table.loc["mean", "reference"]
    assert set(ranking.table.index) == {"mean", "hot", "truth", "hot-deck"}
