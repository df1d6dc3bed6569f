from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from imputation_eval import TableEncoder, ampute, nds
from imputation_eval.encoding import stack_cells


def test_numeric_scale_is_the_standard_deviation_on_gaussian_data(rng):
    encoded = TableEncoder().fit(df := pd.DataFrame({"x": rng.normal(7, 3, 20_000)})).transform(df)
    assert abs(np.median(encoded)) < 1e-12
    assert encoded.std() == pytest.approx(1, abs=0.03)


def test_outliers_do_not_move_the_scale(rng):
    values = rng.normal(size=1000)
    clean, dirty = pd.DataFrame({"x": values}), pd.DataFrame({"x": np.append(values[:-5], [1e9] * 5)})
    a, b = TableEncoder().fit(clean).transform(clean), TableEncoder().fit(dirty).transform(dirty)
    assert a[:900] == pytest.approx(b[:900], abs=0.05)


def test_scale_where_the_quartiles_agree():
    # 49 of 50 values are 0, so both ranges of quantiles are 0: 1.2533 * mean |x - 0| = 1.2533 * 8 / 50.
    df = pd.DataFrame({"x": [0.0] * 49 + [8.0]})
    assert TableEncoder().fit(df).transform(df)[-1, 0] == pytest.approx(50 / 1.2533)


def test_rounding_around_the_median_is_no_scale(rng):
    # The same price computed in two ways: half of the quantiles differ, by 4e-17.
    price = np.where(rng.random(300) < 0.5, 0.1 * 3, 0.3)
    price[:60] = rng.uniform(0.1, 2, 60)
    few = np.where(np.arange(300) < 6, price, price[100:].min())
    few[100:200] = 0.1 * 3
    for values in (price, few):
        df = pd.DataFrame({"x": values})
        encoded = TableEncoder().fit(df).transform(df)
        assert encoded == pytest.approx(TableEncoder().fit(df.round(12)).transform(df.round(12)), abs=1e-6)
        assert np.abs(encoded).max() < 200


@pytest.mark.parametrize("share", [0.70, 0.749, 0.751, 0.8])
def test_a_column_of_mostly_zeros_is_not_blown_up(share):
    # The upper quartile is just above or just below the smallest values that are not zero.
    n_zeros = int(1000 * share)
    quantiles = stats.lognorm.ppf((np.arange(1000 - n_zeros) + 0.5) / (1000 - n_zeros), 1)
    values = np.append(np.zeros(n_zeros), quantiles)
    df = pd.DataFrame({"x": values})
    assert 1 / 4 < TableEncoder().fit(df).transform(df).std() < 4


def test_nominal_mismatch_is_distance_one_and_ordinal_ranks_span_one():
    df = pd.DataFrame(
        {
            "kind": ["a", "b", "c"],
            "grade": pd.Categorical(["low", "high", "mid"], categories=["low", "mid", "high"], ordered=True),
        }
    )
    encoder = TableEncoder().fit(df)
    encoded = encoder.transform(df)
    kinds, grades = encoded[:, :3], encoded[:, 3]
    assert np.linalg.norm(kinds[0] - kinds[1]) == pytest.approx(1)
    assert grades.tolist() == [0, 1, 0.5]
    assert encoder.roles_ == {"kind": "nominal", "grade": "ordinal"}


def test_roles(mixed_table, rng):
    roles = TableEncoder().fit(mixed_table(50, rng)).roles_
    assert roles == {
        "real": "numeric",
        "count": "numeric",
        "flag": "nominal",
        "text": "nominal",
        "object": "nominal",
        "category": "nominal",
        "grade": "ordinal",
        "nullable": "numeric",
        "when": "numeric",
    }
    holes = pd.DataFrame({"numbers": [1, None, 2.5], "flags": [True, None, False]}, dtype=object)
    assert TableEncoder().fit(holes).roles_ == {"numbers": "numeric", "flags": "nominal"}
    assert TableEncoder(categorical=["numbers"]).fit(holes).roles_ == {"numbers": "nominal", "flags": "numeric"}


def test_only_observed_cells_count_and_holes_are_nan(mixed_table, rng):
    df = mixed_table(200, rng)
    masked = ampute(df, missing_rate=0.3, random_state=0)
    encoder = TableEncoder().fit(masked)
    encoded = encoder.transform(masked)
    assert np.array_equal(np.isnan(encoded), encoder.expand(masked.isna().to_numpy()))
    assert not np.isnan(encoder.transform(df)).any()


def test_decoding_inverts_encoding(mixed_table, rng):
    df = mixed_table(100, rng)
    encoder = TableEncoder().fit(df)
    for name, values in encoder.inverse_transform(encoder.transform(df)).items():
        if pd.api.types.is_numeric_dtype(df[name]):
            assert values == pytest.approx(df[name].to_numpy(dtype=float))
        else:
            assert values.tolist() == df[name].tolist()


@given(st.lists(st.floats(-1e90, 1e90), min_size=2, max_size=20))
def test_encoding_is_finite_for_any_column(values):
    df = pd.DataFrame({"x": values, "kind": ["a", "b"] * (len(values) // 2) + ["a"] * (len(values) % 2)})
    encoder = TableEncoder().fit(df, warn=False)
    assert np.isfinite(encoder.transform(df)).all()


def test_unit_of_a_column_does_not_matter(mixed_table, rng):
    df = mixed_table(100, rng)
    other = df.assign(real=df["real"] * 1e6 + 32, count=df["count"] / 7)
    assert TableEncoder().fit(other).transform(other) == pytest.approx(TableEncoder().fit(df).transform(df), abs=1e-9)


def test_cells_collect_the_errors_of_single_cells():
    truth = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "kind": ["a", "b", "a", "b"]})
    wrong = truth.assign(kind=["b", "b", "a", "b"])
    mask = np.array([[True, True], [False, True], [False, False], [False, False]])
    encoder = TableEncoder().fit(truth)
    true, imputed = (
        stack_cells(block for _, block in encoder.column_cells(encoder.transform(t), mask)) for t in (truth, wrong)
    )
    difference = true - imputed
    assert np.linalg.norm(difference, axis=1) == pytest.approx([0, 1, 0])


def test_constant_columns_are_left_out_with_a_warning(rng):
    df = pd.DataFrame({"x": rng.normal(size=20), "same": 3, "rounding": 0.1 + np.arange(20) % 2 * 1e-17})
    with pytest.warns(UserWarning, match=r"constant columns .*\['same', 'rounding'\]"):
        encoder = TableEncoder().fit(df)
    assert encoder.transform(df).shape == (20, 1)


def test_warnings_name_the_line_of_the_user(rng):
    df = pd.DataFrame({"x": rng.normal(size=40), "same": 3})
    for call in (lambda: TableEncoder().fit(df), lambda: nds(df[:20], df[20:], random_state=0)):
        with pytest.warns(UserWarning, match="constant columns") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]


def test_values_whose_distances_overflow_are_named():
    encoder = TableEncoder().fit(pd.DataFrame({"x": [0.0, 1e-60, 2e-60]}))
    with pytest.raises(ValueError, match="'x' holds values so far beyond its scale"):
        encoder.transform(pd.DataFrame({"x": [1e95]}))


@pytest.mark.parametrize(
    ("df", "options", "error", "message"),
    [
        ({"x": [1.0, np.inf]}, {}, ValueError, "'x' holds infinite"),
        ({"x": [1.0, 1e200]}, {}, ValueError, "beyond 1e\\+100"),
        ({"x": [np.nan, np.nan]}, {}, ValueError, r"without a single observed cell: \['x'\]"),
        ({"x": [1.0, 1.0]}, {}, ValueError, "no column that varies"),
        (
            {"x": pd.period_range("2020-01", periods=2, freq="M")},
            {},
            TypeError,
            "'x' of dtype period.* holds period objects",
        ),
        (
            {"x": pd.Series([datetime.date(2020, 1, 1), None], dtype=object)},
            {},
            TypeError,
            "convert it by pd.to_datetime",
        ),
        ({"x": [1j, 2j]}, {}, TypeError, "complex"),
        ({"x": [["list"], ["other"]]}, {}, TypeError, "'x' holds values that cannot be compared"),
        ({"x": [1, 2]}, {"categorical": ["y"]}, ValueError, r"lacks: \['y'\]"),
        ({"x": ["a", "b"]}, {"categorical": []}, ValueError, "'x' .* is not numeric; add it to categorical"),
        ({"x": [1, 2]}, {"categorical": "all"}, ValueError, "categorical='all'"),
        ({"x": [1, 2]}, {"categorical": None}, TypeError, "categorical should be 'infer' or a list .* got None"),
        ({"x": [f"id{i}" for i in range(1001)]}, {}, ValueError, "1001 levels"),
    ],
)
def test_errors(df, options, error, message):
    with pytest.raises(error, match=message):
        TableEncoder(**options).fit(pd.DataFrame(df))


def test_unseen_level_is_listed():
    encoder = TableEncoder().fit(pd.DataFrame({"kind": ["a", "b"]}))
    with pytest.raises(ValueError, match=r"'kind' has levels never seen before: \['z'\]; known: \('a', 'b'\)"):
        encoder.transform(pd.DataFrame({"kind": ["a", "z"]}))
    with pytest.raises(ValueError, match="fitted were"):
        encoder.transform(pd.DataFrame({"other": ["a"]}))


def test_declared_categories_are_known_even_if_unused():
    fitted = pd.DataFrame({"kind": pd.Categorical(["a", "b"], categories=["a", "b", "z"])})
    assert TableEncoder().fit(fitted).transform(pd.DataFrame({"kind": ["z"]})).shape == (1, 3)


@pytest.mark.parametrize(
    "dtype", ["datetime64[ns]", "datetime64[s]", "datetime64[us, Europe/Berlin]", "timedelta64[ns]"]
)
def test_dates_are_numbers_of_seconds_and_come_back(dtype, rng):
    seconds = np.sort(rng.integers(0, 10**9, 200))
    numbers = pd.DataFrame({"x": seconds.astype(np.float64)})
    if dtype.startswith("timedelta"):
        times = pd.Series(pd.to_timedelta(seconds, unit="s").astype(dtype))
    else:
        times = pd.Series(pd.to_datetime(seconds, unit="s", utc=True).tz_convert(None))
        times = times.astype(dtype) if "," not in dtype else times.dt.tz_localize("UTC").astype(dtype)
    table = pd.DataFrame({"x": times})
    encoder = TableEncoder().fit(table)
    encoded = encoder.transform(table)
    assert encoded == pytest.approx(TableEncoder().fit(numbers).transform(numbers), abs=1e-9)
    assert encoder.transform_column(table["x"]) == pytest.approx(encoded)
    assert (pd.Series(encoder.inverse_transform(encoded)["x"]) == times).all()
    holes = table.assign(x=table["x"].mask(table.index % 3 == 0))
    assert np.isnan(encoder.transform(holes)[::3]).all()
