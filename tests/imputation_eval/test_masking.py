from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from imputation_eval import ampute

MECHANISMS = ["mcar", "mar", "mnar", "observed"]


@pytest.mark.parametrize("mechanism", ["mcar", "mar"])
def test_data_drawn_with_the_same_seed_are_hidden_at_random(mechanism):
    for seed in range(3):
        values = np.random.default_rng(seed).random((2000, 2))
        hidden = (
            ampute(pd.DataFrame(values), mechanism=mechanism, missing_rate=0.3, random_state=seed).isna().to_numpy()
        )
        # The mean of uniform values; independent columns stay so whatever the mechanism. Five standard errors.
        assert abs(values[hidden].mean() - 0.5) < 5 * np.sqrt(1 / 12 / hidden.sum())


@given(
    mechanism=st.sampled_from(MECHANISMS),
    n_rows=st.integers(1, 12),
    n_columns=st.integers(1, 5),
    rate=st.floats(0.01, 0.99),
    holes=st.floats(0, 0.9),
    seed=st.integers(0, 2**32),
)
def test_only_observed_cells_are_hidden_and_no_column_or_row_is_emptied(
    mechanism, n_rows, n_columns, rate, holes, seed
):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(rng.normal(size=(n_rows, n_columns)))
    df = df.mask(rng.random(df.shape) < holes)
    before = df.copy()
    # Columns, and for "mar" rows, keep a cell, and patterns need rows that have some.
    in_rows, in_columns = (int(np.maximum(df.notna().sum(axis=axis) - 1, 0).sum()) for axis in (1, 0))
    n_observed = int(df.notna().sum().sum())
    wanted = max(1, round(rate * n_observed))
    patterned = bool((df.isna().any(axis=1) & df.notna().any(axis=1)).any())
    arguments = {"mechanism": mechanism, "missing_rate": rate, "random_state": seed}
    if in_columns == 0 or (mechanism == "mar" and wanted > in_rows) or (mechanism == "observed" and not patterned):
        with pytest.raises(
            ValueError, match=r"no cell that can be hidden|leaves one cell of each row|needs rows of df"
        ):
            ampute(df, **arguments)
        return
    try:
        masked = ampute(df, **arguments)
    except ValueError:
        # What is left over may all be needed by the columns, and the patterns may fit no other row.
        assume(mechanism not in ("mar", "observed"))
        raise
    pd.testing.assert_frame_equal(df, before)
    observed, kept = df.notna().to_numpy(), masked.notna().to_numpy()
    assert not (kept & ~observed).any()
    assert (kept.any(axis=0) == observed.any(axis=0)).all()
    assert np.array_equal(masked.to_numpy()[kept], df.to_numpy()[kept])
    n_hidden = int((observed & ~kept).sum())
    # Each row and each column can keep a cell if that many are left over.
    if mechanism in ("mar", "observed") or rate * n_observed <= n_observed - n_rows - n_columns:
        assert (kept.any(axis=1) == observed.any(axis=1)).all()
    if mechanism != "observed":
        assert min(wanted, n_observed - n_rows - n_columns) <= n_hidden <= wanted


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_rate_is_kept_and_dtypes_do_not_matter(mechanism, rate, mixed_table, rng):
    df = mixed_table(300, rng).assign(
        when=pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.exponential(1e6, 300), unit="s")
    )
    df = df.mask(rng.random(df.shape) < 0.7 * rng.random((300, 1)))
    df["nullable"] = df["nullable"].astype("Int64")
    n_observed = int(df.notna().sum().sum())
    masked = ampute(df, mechanism=mechanism, missing_rate=rate, random_state=1)
    n_hidden = n_observed - int(masked.notna().sum().sum())
    if mechanism != "observed":
        assert n_hidden == round(rate * n_observed)
    elif rate <= 0.3:
        assert abs(n_hidden - rate * n_observed) <= df.shape[1] / 2
    else:  # a round of patterns does not give as much
        assert 0.3 * n_observed < n_hidden < rate * n_observed
    assert (masked.notna().any(axis=1) == df.notna().any(axis=1)).all()
    assert masked["when"].dtype == df["when"].dtype


def test_mnar_hides_large_values_by_the_stated_odds(rng):
    df = pd.DataFrame(rng.normal(size=(1000, 8)))  # so many columns that hardly a row would be emptied
    hidden = ampute(df, mechanism="mnar", missing_rate=0.3, random_state=0).isna().to_numpy()
    ranks = stats.rankdata(df, axis=0) / len(df) - 0.5
    model = LogisticRegression(C=np.inf).fit(ranks.reshape(-1, 1), hidden.ravel())
    # The slope of 8000 cells has a standard error of about 0.14.
    assert model.coef_.item() == pytest.approx(6, abs=0.5)


def test_mar_depends_on_seen_cells_only(rng):
    x = rng.normal(size=20_000)
    df = pd.DataFrame({"x": x, "y": 0.8 * x + 0.6 * rng.normal(size=len(x))})
    masked = ampute(df, mechanism="mar", missing_rate=0.2, random_state=0)
    assert masked.notna().any(axis=1).all()
    # A hole in y goes with a large x; once x is known, y itself tells nothing more.
    hidden = masked["y"].isna()
    assert df["x"][hidden].mean() > df["x"].mean() + 0.5
    residual = df["y"] - 0.8 * df["x"]
    assert stats.ttest_ind(residual[hidden], residual[~hidden]).pvalue > 1e-3
    # Half of the rows are driven by x: the chance of a hole in y is half of the stated odds.
    ranks = stats.rankdata(df["x"]) / len(df) - 0.5
    share = np.array([hidden[(ranks > low) & (ranks <= low + 0.1)].mean() for low in np.arange(-5, 5) / 10])
    odds = 2 * share / (1 - 2 * share)
    slope = np.polyfit(np.arange(-4.5, 5) / 10, np.log(odds), 1)[0]
    assert slope == pytest.approx(6, abs=0.7)


def test_observed_patterns_are_those_of_the_table(rng):
    df = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))
    df.loc[:59, ["a", "b"]] = np.nan
    df.loc[60:79, "d"] = np.nan
    masked = ampute(df, mechanism="observed", missing_rate=0.15, random_state=0)
    new = (masked.isna() & df.notna()).to_numpy()
    complete = df.notna().all(axis=1).to_numpy()
    patterns = {tuple(pattern) for pattern in new[complete & new.any(axis=1)]}
    assert patterns == {(True, True, False, False), (False, False, False, True)}
    both = new[complete, 0].sum()
    # Three of four rows with holes lack a and b, and so do the rows that take their patterns over.
    assert stats.binomtest(int(both), int(new[complete].any(axis=1).sum()), 0.75).pvalue > 1e-3
    with pytest.raises(ValueError, match="no cell that can be hidden by mechanism='observed'"):
        ampute(df.iloc[:60], mechanism="observed", missing_rate=0.15, random_state=0)


def test_levels_without_order_are_ranked_anew_with_each_mask():
    df = pd.DataFrame({"kind": list("ab") * 500, "other": range(1000)})
    shares = [
        ampute(df, mechanism="mnar", missing_rate=0.25, random_state=seed)["kind"].isna()[df["kind"] == "a"].mean()
        for seed in range(8)
    ]
    assert min(shares) < 0.15 < 0.35 < max(shares)


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
        ({"mechanism": "mnarr"}, ValueError, r"available: \['mcar', 'mar', 'mnar', 'observed'\]"),
        ({"mechanism": "observed"}, ValueError, "needs rows of df that have holes"),
        ({"mechanism": "mar", "missing_rate": 0.9}, ValueError, "leaves one cell of each row: it can hide 0.75 of"),
        ({"mechanism": "mar", "df": pd.DataFrame({"x": range(9)})}, ValueError, "no cell that can be hidden by.*'mar'"),
        ({"df": np.eye(2)}, TypeError, "df should be a pandas DataFrame, got ndarray"),
        ({"df": pd.DataFrame()}, ValueError, r"shape \(0, 0\)"),
        ({"df": pd.DataFrame(np.eye(2), columns=["a", "a"])}, ValueError, r"same name: \['a'\]"),
        ({"mechanism": "mnar", "df": pd.DataFrame({"x": [[1]] * 4})}, TypeError, "column 'x' holds values that cannot"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_errors(change, error, message):
    arguments = {"df": pd.DataFrame(np.eye(4)), "missing_rate": 0.2, "random_state": 0} | change
    with pytest.raises(error, match=message):
        ampute(arguments.pop("df"), **arguments)


def test_frames_of_others_are_told_how_to_become_pandas():
    polars = pytest.importorskip("polars")
    with pytest.raises(
        TypeError, match=r"df should be a pandas DataFrame, got a polars\.DataFrame; see df\.to_pandas\(\)"
    ):
        ampute(polars.DataFrame({"a": [1.0]}), missing_rate=0.2)
