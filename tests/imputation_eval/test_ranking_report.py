"""From scores to ranks, and what a ranking says of itself in words and cells."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from imputation_eval import Ranking, rank_imputers
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.ranking.summary import summarize
from imputation_eval.scoring import RAW_COLUMNS

QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}


def _raw(scores, metrics=("nds",)):
    """Return the long table that belongs to {imputer: a score a repeat}."""
    rows = [
        (name, repeat, 0, metric, score, 0.1, "broke" if np.isnan(score) else None)
        for name, values in scores.items()
        for repeat, score in enumerate(values)
        for metric in metrics
    ]
    return pd.DataFrame(rows, columns=RAW_COLUMNS)


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


def test_order_of_imputers_does_not_decide_between_equal_leaders():
    # a and z are equal on average; c differs for certain from a, as it hardly varies, but not from z.
    scores = {"a": np.zeros(8), "z": np.tile([1.0, -1.0], 4), "c": np.tile([0.49, 0.51], 4)}
    first, second = (
        summarize(_raw(dict(order)), (KNOWN_METRICS["nds"],), [], ratio=0.01, entropy=0)
        for order in (scores.items(), reversed(scores.items()))
    )
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.pairwise, second.pairwise)
    assert first.table["rank"].to_dict() == {"a": 1, "z": 1, "c": 3}
    assert first.table["tied_best"].to_dict() == {"a": True, "z": True, "c": False}


def test_chances_of_ranks_are_in_the_order_of_the_table(rng):
    scores = {name: rng.normal(j / 3, 1, 12) for j, name in enumerate("dbca")}
    ranking = _explained({"truth": np.zeros(12), **scores})
    chances = ranking.rank_probabilities
    assert list(chances.index) == list(ranking.table.index[:4])
    assert list(chances.columns) == [1, 2, 3, 4]
    assert chances[1].to_dict() == ranking.table["p_best"].iloc[:4].to_dict()


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


def test_who_is_only_just_tied_is_named_and_not_recommended():
    # The difference from "slow" has t = 2.7 with 7 degrees of freedom: p is 3 %, and 9 % as one of three pairs.
    scores = {"slow": np.zeros(8), "quick": np.tile([-1.9, 2.1], 4), "unsure": 1.77 + np.tile([1.0, -1.0], 4)}
    ranking = _explained(scores)
    assert ranking.tied_best == ["slow", "quick", "unsure"]
    just = "Tied with it only just: 'unsure', significantly worse before Holm's correction."
    assert f"Statistically tied with it: 'quick'. {just}" in ranking.explain()
    ranking.table["seconds"] = [5.0, 4.0, 0.1]
    assert "fastest" not in ranking.explain()
    ranking.table["seconds"] = [5.0, 0.2, 0.1]
    assert f"Of these 'quick' is the fastest (0.2 s against 5 s). {just}" in ranking.explain()


def test_nothing_is_tied_only_just_where_nothing_can_be_tested():
    """Differences that are the same in every repeat count as one observation."""
    ranking = _explained({"truth": np.zeros(5), "a": np.arange(5.0), "b": np.arange(5.0) + 1})
    assert "Statistically tied with it: 'b'." in ranking.explain()
    assert "only just" not in ranking.explain()


def test_few_rows_are_a_caution():
    ranking = _explained({"truth": np.zeros(5), "a": np.arange(5.0), "b": np.arange(5.0) + 1})
    assert "Caution" not in ranking.explain()
    ranking.settings["n_rows"] = 60
    assert "Caution: with 60 rows, fewer than 100, ranks are mostly noise." in ranking.explain()


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


def test_references_that_do_no_worse_are_pointed_out(rng):
    df = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc"))
    ranking = rank_imputers(df, {"zero": lambda t, seed: t.fillna(5.0)}, **QUICK)
    assert "Beware: 'zero' is not significantly better than 'hot-deck' or 'mean'" in ranking.explain()


def test_names_are_escaped(rng):
    df = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc"))
    ranking = rank_imputers(df, {"<b>|x": SimpleImputer()}, **QUICK)
    assert "<b>" not in ranking._repr_html_()
    assert "<b>\\|x" in ranking.to_markdown()
