"""What happens to imputers that break, and to those that warn or diverge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from imputation_eval import HotDeckImputer, rank_imputers

QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}


def broken(df, random_state):
    raise RuntimeError("no convergence\nlong trace")


def cheating(df, random_state):
    return df.fillna(0.0) + 1


def sometimes(df, random_state):
    if random_state % 2:
        raise ValueError("odd seed")
    return df.fillna(df.mean())


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


def test_diverged_cells_do_not_win(gaussian_table, rng):
    df, _ = gaussian_table(400, 4, 0.7, rng)

    def diverging(value):
        def imputer(table, random_state):
            filled = table.fillna(5.0)
            return filled.mask(table.isna() & (np.arange(len(table)) % 20 == 0)[:, None], value)

        return imputer

    imputers = {"diverging": diverging(1e13), "overflowing": diverging(1e99), "hot-deck": HotDeckImputer()}
    ranking = rank_imputers(df, imputers, metrics=["nds", "energy"], **(QUICK | {"n_repeats": 10}))
    assert ranking.winner == "hot-deck"
    # Sure by NDS only: the energy distance is as large as the number of far cells, a handful, which varies as much.
    by_nds = ranking.per_metric.loc["nds"].query("not reference")
    assert by_nds.index[by_nds["tied_best"]].tolist() == ["hot-deck"]
    assert ranking.per_metric.loc[("nds", "diverging"), "score"] > 0.8
    # Beyond what a distance can hold is a failure that names the column.
    tiny = df * 1e-60
    ranking = rank_imputers(tiny, {"overflowing": diverging(1e99), "hot-deck": HotDeckImputer()}, **QUICK)
    assert ranking.table.loc["overflowing", "failures"] == 3
    assert "so far beyond its scale" in ranking.raw.query("imputer == 'overflowing'")["failure"].iloc[0]


def test_warnings_of_imputers_are_reported_once(rng):
    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    with pytest.warns(UserWarning, match=r"imputer 'it' warned in 3 repeats: ConvergenceWarning") as caught:
        rank_imputers(df, {"it": IterativeImputer(max_iter=1, tol=1e-9)}, **QUICK)
    assert len(caught) == 1
    assert caught[0].filename == __file__
