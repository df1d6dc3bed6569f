"""Cells as numbers and back: what counts as a number, dates as seconds, and a spread that outliers do not move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_Array = NDArray[np.float64]
LARGEST_VALUE = 1e100  # larger values, and columns that vary by less than the inverse, may overflow once scaled
_EPOCH = pd.Timestamp(0)
_SECOND = pd.Timedelta(seconds=1)
_ROUNDING = 1e-14  # what varies less, relative to the largest value, varies by rounding alone


def as_float(column: pd.Series) -> _Array:
    """Return numbers as floats and dates as seconds, NaN where missing; raise on infinity and on what is no number."""
    if is_time(column.dtype):
        return _seconds(column)
    values = column.to_numpy(copy=True) if _is_plain_float(column.dtype) else _parsed(column)
    if (np.abs(values) > LARGEST_VALUE).any():
        raise ValueError(f"column {column.name!r} holds infinite values, or values beyond {LARGEST_VALUE:g}.")
    return values


def plain_floats(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which columns are NumPy's float64, (n_columns,); together they are one array."""
    return np.array([_is_plain_float(dtype) for dtype in table.dtypes])


def as_cells(values: _Array, dtype: Any) -> Any:
    """Turn floats back into what a column of ``dtype`` holds: dates out of seconds, all else stays a number."""
    if not is_time(dtype):
        return values
    durations = pd.to_timedelta(np.round(values * 1e6), unit="us")
    if pd.api.types.is_timedelta64_dtype(dtype):
        return durations.astype(dtype)
    zone = getattr(dtype, "tz", None)
    return (_EPOCH.tz_localize(zone and "UTC") + durations).astype(dtype)


def is_time(dtype: Any) -> bool:
    """Say whether a dtype is one of dates or of durations."""
    return pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype)


def holds_numbers(column: pd.Series) -> bool:
    """Say whether the cells of a column are real numbers, by its dtype or, for dtype object, by its values."""
    if pd.api.types.is_object_dtype(column.dtype):
        # Object columns of numbers come from None used as a hole, or from an object array.
        return pd.api.types.infer_dtype(column, skipna=True) in ("integer", "floating", "mixed-integer-float")
    is_number = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
    return is_number and not pd.api.types.is_bool_dtype(column.dtype)


def robust_scale(values: _Array) -> float:
    """Return a spread that few outliers do not move and that many equal values do not make vanish."""
    lowest, low, center, high, highest = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    # Each constant makes its estimate equal to the standard deviation on Gaussian data.
    scale = max((high - low) / 1.349, 0.5 * (highest - lowest) / 3.29)
    if scale <= negligible(values):
        scale = 1.2533 * np.abs(values - center).mean()
    return float(scale)


def negligible(values: _Array) -> float:
    """Return the range that numbers of this size cover by rounding alone."""
    return max(_ROUNDING * float(np.abs(values).max()), 1 / LARGEST_VALUE)


def _is_plain_float(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype == np.float64


def _parsed(column: pd.Series) -> _Array:
    try:
        return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column.name!r} holds values that are not numbers: {error}.") from error


def _seconds(column: pd.Series) -> _Array:
    durations: Any = column
    if not pd.api.types.is_timedelta64_dtype(column.dtype):
        durations = column - (_EPOCH if column.dt.tz is None else _EPOCH.tz_localize("UTC"))
    return (durations / _SECOND).to_numpy(dtype=np.float64)
