from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from imputation_eval import ampute


@given(
    n_rows=st.integers(1, 12),
    n_columns=st.integers(1, 5),
    rate=st.floats(0.01, 0.99),
    holes=st.floats(0, 0.9),
    seed=st.integers(0, 2**32),
)
def test_only_observed_cells_are_hidden_and_no_column_is_emptied(n_rows, n_columns, rate, holes, seed):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(rng.normal(size=(n_rows, n_columns)))
    df = df.mask(rng.random(df.shape) < holes)
    hideable = int(np.maximum(df.notna().sum() - 1, 0).sum())
    if hideable == 0:
        with pytest.raises(ValueError, match="no cell that can be hidden"):
            ampute(df, missing_rate=rate, random_state=seed)
        return
    before = df.copy()
    masked = ampute(df, missing_rate=rate, random_state=seed)
    pd.testing.assert_frame_equal(df, before)
    observed = df.notna().to_numpy()
    kept = masked.notna().to_numpy()
    assert not (kept & ~observed).any()
    assert (kept.any(axis=0) == observed.any(axis=0)).all()
    assert np.array_equal(masked.to_numpy()[kept], df.to_numpy()[kept])


def test_share_of_hidden_cells_is_that_of_the_observed_ones(rng):
    df = pd.DataFrame(rng.normal(size=(100, 10))).mask(rng.random((100, 10)) < 0.5)
    observed = int(df.notna().sum().sum())
    masked = ampute(df, missing_rate=0.3, random_state=0)
    assert observed - int(masked.notna().sum().sum()) == round(0.3 * observed)


def test_every_cell_is_equally_likely_to_be_hidden():
    df = pd.DataFrame(np.arange(20.0).reshape(5, 4))
    runs = 400
    counts = sum(ampute(df, missing_rate=0.25, random_state=seed).isna().to_numpy() for seed in range(runs))
    # 20 cells, each hidden with chance 1/4; the 0.01 % tails leave room for 20 comparisons.
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], runs, 0.25)
    assert counts.min() >= low
    assert counts.max() <= high


def test_dtypes_and_labels(mixed_table, rng):
    df = mixed_table(50, rng)
    df.index = pd.MultiIndex.from_product([range(10), list("abcde")], names=["group", "item"])
    masked = ampute(df, missing_rate=0.3, random_state=1)
    assert masked.index.equals(df.index)
    assert masked.index.names == df.index.names
    assert masked.columns.equals(df.columns)
    assert masked.isna().any().all()
    assert masked["count"].dtype == np.float64
    assert masked["flag"].dtype == object
    assert set(masked["flag"].dropna()) == {True, False}
    for name in ("real", "text", "object", "category", "grade", "nullable"):
        assert masked[name].dtype == df[name].dtype


def test_column_without_hidden_cell_keeps_its_dtype():
    df = pd.DataFrame({"one": [5], "two": [True]})
    with pytest.raises(ValueError, match="no cell"):
        ampute(df, missing_rate=0.5, random_state=0)
    df = pd.DataFrame({"real": np.arange(100.0), "count": [None] * 99 + [3]})
    assert ampute(df, missing_rate=0.5, random_state=0)["count"].iloc[-1] == 3


def test_seed_decides(rng):
    df = pd.DataFrame(rng.normal(size=(30, 3)))
    first = ampute(df, missing_rate=0.2, random_state=3)
    pd.testing.assert_frame_equal(first, ampute(df, missing_rate=0.2, random_state=np.int64(3)))
    assert not first.equals(ampute(df, missing_rate=0.2, random_state=4))
    legacy = [ampute(df, missing_rate=0.2, random_state=np.random.RandomState(0)) for _ in range(2)]
    pd.testing.assert_frame_equal(*legacy)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"missing_rate": 0}, ValueError, "missing_rate=0 "),
        ({"missing_rate": 1.0}, ValueError, "missing_rate=1.0 "),
        ({"missing_rate": float("nan")}, ValueError, "missing_rate=nan"),
        ({"missing_rate": "a"}, TypeError, "missing_rate"),
        ({"mechanism": "mnar"}, ValueError, r"available: \['mcar'\]"),
        ({"df": np.eye(2)}, TypeError, "df should be a pandas DataFrame, got ndarray"),
        ({"df": pd.DataFrame()}, ValueError, r"shape \(0, 0\)"),
        ({"df": pd.DataFrame(np.eye(2), columns=["a", "a"])}, ValueError, r"same name: \['a'\]"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_errors(change, error, message):
    arguments = {"df": pd.DataFrame(np.eye(4)), "missing_rate": 0.2, "random_state": 0} | change
    with pytest.raises(error, match=message):
        ampute(arguments.pop("df"), **arguments)
