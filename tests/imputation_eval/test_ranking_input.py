"""What a ranking refuses, and what it warns of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import SimpleImputer

from imputation_eval import rank_imputers

QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}
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
        (GOOD.assign(id=[f"row {i}" for i in range(120)]), r"hardly a level that comes twice: \['id'\]"),
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
