"""Tables as people have them, and as they should not have them: a ranking, or an error that says what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import KNNImputer, SimpleImputer

from imputation_eval import ChainedImputer, HotDeckImputer, MeanImputer, ampute, default_imputers, rank_imputers

QUICK = {"n_repeats": 2, "n_draws": 2, "progress": False, "random_state": 0}
IMPUTERS = {"pmm": ChainedImputer(n_rounds=1), "knn": KNNImputer(), "median": MeanImputer("median")}
MODES = ["masked", "truth", "no_truth"]


def _rank(df, mode, imputers=IMPUTERS, *, rate=0.3, **options):
    options = QUICK | options
    if mode == "masked":
        return rank_imputers(df, imputers, missing_rate=rate, **options)
    holes = ampute(df, missing_rate=rate, random_state=1)
    return rank_imputers(holes, imputers, mode=mode, truth=df if mode == "truth" else None, **options)


def _works(ranking):
    assert ranking.table.loc[~ranking.table["reference"], "failures"].sum() == 0, ranking.explain()
    assert ranking.table["score"].notna().all()
    assert ranking.winner in ranking.explain()
    assert "<table" in ranking._repr_html_()
    return ranking


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_column_at_once(mode, mixed_table, rng):
    df = mixed_table(240, rng).assign(
        zoned=lambda t: t["when"].dt.tz_localize("UTC"), lasts=lambda t: t["when"] - t["when"].min()
    )
    df.index = pd.MultiIndex.from_product([range(24), range(10)], names=["site", "unit"])
    _works(_rank(df, mode))


@pytest.mark.parametrize("mode", MODES)
def test_one_column(mode, rng):
    ranking = _rank(pd.DataFrame({"x": rng.normal(size=300)}), mode, {"hot": HotDeckImputer(), "mean": MeanImputer()})
    assert _works(ranking).winner == "hot"


@pytest.mark.parametrize("mode", MODES)
def test_all_missing_columns_are_refused_by_name(mode, rng):
    df = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    holes = ampute(df, missing_rate=0.3, random_state=0).assign(empty=np.nan)
    with pytest.raises(ValueError, match=r"without a single observed cell: \['empty'\]"):
        rank_imputers(holes, IMPUTERS, mode=mode, truth=df.assign(empty=1.0) if mode == "truth" else None, **QUICK)


@pytest.mark.parametrize("mode", MODES)
def test_constant_columns_are_left_out_with_a_warning(mode, rng):
    df = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"]).assign(same="s", number=4.0)
    with pytest.warns(UserWarning, match=r"constant columns are left out of distances: \['same', 'number'\]"):
        _works(_rank(df, mode))


@pytest.mark.parametrize("mode", MODES)
def test_duplicate_rows_are_warned_of(mode, rng):
    df = pd.DataFrame(rng.integers(0, 2, size=(200, 3)).astype(float), columns=list("abc"))
    with pytest.warns(UserWarning, match=r"of the rows of (df|truth) repeat another row"):
        _works(_rank(df, mode))


@pytest.mark.parametrize("mode", MODES)
def test_25_rows_are_too_few(mode, rng):
    with pytest.raises(ValueError, match="df has 25 rows, at least 30 are needed"):
        _rank(pd.DataFrame(rng.normal(size=(25, 3))), mode)


@pytest.mark.parametrize("mode", MODES)
def test_infinite_values_are_named(mode, rng):
    df = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    df.loc[3:9, "b"] = -np.inf
    with pytest.raises(ValueError, match="column 'b' holds infinite values"):
        _rank(df, mode)


@pytest.mark.parametrize("mode", MODES)
def test_rare_levels(mode, rng):
    levels = np.where(rng.random(300) < 0.05, [f"rare{i}" for i in range(300)], rng.choice(["u", "v"], 300))
    df = pd.DataFrame({"kind": levels, "x": rng.normal(size=300)})
    _works(_rank(df, mode))


def test_integers_imputed_with_fractions(rng):
    df = pd.DataFrame(
        {"n": rng.poisson(3, 300), "x": rng.normal(size=300), "nullable": pd.array([1, 2] * 150, "Int64")}
    )
    ranking = _works(_rank(df, "masked", {"mean": SimpleImputer(), "hot": HotDeckImputer()}))
    assert ranking.winner == "hot"
    filled = default_imputers()["mean"].fit_transform(ampute(df, missing_rate=0.2, random_state=0))
    assert (filled["n"] % 1 > 0).any()


def test_inference_can_be_overruled(rng):
    df = pd.DataFrame({"code": rng.choice([1, 2, 7], 300), "x": rng.normal(size=300)})
    numbers = _rank(df, "no_truth", {"pmm": ChainedImputer(), "mean": MeanImputer()})
    assert numbers.table["failures"].sum() == 0
    levels = {
        "pmm": ChainedImputer(categorical=["code"]),
        "mean": MeanImputer(categorical=["code"]),
        "wrong": MeanImputer(),
    }
    ranking = _rank(df, "no_truth", levels, categorical=["code"])
    assert ranking.table.loc[["pmm", "mean"], "failures"].tolist() == [0, 0]
    assert "'code' has levels never seen before" in ranking.raw.query("imputer == 'wrong'")["failure"].iloc[0]


def test_a_mask_that_would_empty_rows_leaves_them_a_cell(rng):
    df = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    least = []

    def watching(table, random_state):
        least.append(int(table.notna().sum(axis=1).min()))
        return table.fillna(0.0)

    for mechanism in ("mcar", "mar", "mnar"):
        rank_imputers(df, {"it": watching}, mechanism=mechanism, missing_rate=0.45, **QUICK)
    assert set(least) == {1}


@pytest.mark.parametrize("mechanism", ["mar", "mnar", "observed"])
def test_mechanisms_in_a_ranking(mechanism, gaussian_table, rng):
    df, _ = gaussian_table(400, 4, 0.6, rng)
    df = ampute(df, missing_rate=0.1, random_state=0)
    ranking = _works(_rank(df, "masked", mechanism=mechanism, rate=0.2))
    text = ranking.explain()
    assert f"by the mechanism {mechanism!r} (" in text
    hidden = ranking.settings["hidden_rate"]
    assert hidden == pytest.approx(0.2, abs=0.01)
    assert f"{100 * hidden:.3g} % of the observed cells were hidden" in text
    # Two repeats share as many of the 400 rows as they score, 30 to 50 %, or more where some rows are likelier to lose
    # a cell. The least of it are 36 rows with a standard deviation of 5: three of them less are a share of 0.17.
    assert ranking.settings["overlap_ratio"] >= 0.17 / (1 - 0.17)
    if mechanism == "mnar":
        assert ranking.settings["overlap_ratio"] > 1


def test_slow_imputers_are_named_while_they_run(capsys, monkeypatch, rng):
    import sys

    from imputation_eval._progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(Progress, "_LIVE_INTERVAL_S", 0.0)
    df = pd.DataFrame(rng.normal(size=(120, 3)))
    rank_imputers(df, {"sluggish": HotDeckImputer()}, **(QUICK | {"progress": True}))
    assert "s left (sluggish)" in capsys.readouterr().err
