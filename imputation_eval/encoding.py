"""From a table of mixed columns to one scaled numeric space in which distances make sense, and back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import (
    LARGEST_COORDINATE,
    check_no_empty_column,
    check_sample,
    check_table,
    warn_user,
)

_Array = NDArray[np.float64]
_MAX_LEVELS = 1000  # one-hot columns beyond this are identifiers, and would fill the memory
_LARGEST = 1e100  # larger values, and columns that vary by less than the inverse, may overflow once scaled
_ROUNDING = 1e-14  # what varies less, relative to the largest value, varies by rounding alone


@final
class TableEncoder:
    """Encode a table as rows of a scaled numeric space.

    Numeric columns become ``(x - median) / scale``, the scale being the interquartile range over 1.349 (which equals
    the standard deviation on Gaussian data), but at least half of what the 5 % and 95 % quantiles would give (so that a
    column of three quarters zeros is not blown up), or 1.2533 times the mean absolute deviation from the median where
    both ranges are zero or rounding. Nominal columns (boolean, string, object, unordered category) become indicators
    divided by ``sqrt(2)``, so that a mismatch is a distance of 1. Ordered categories become ranks scaled to [0, 1].
    Columns with one observed value are left out of the space. Only observed cells are used to fit; holes are encoded as
    NaN.

    Parameters
    ----------
    categorical : "infer" or list of column names
        The nominal columns. ``"infer"`` goes by dtype; a list names all of them, and every other column has to be
        numeric, boolean (then read as 0 and 1) or an ordered category.

    Attributes
    ----------
    columns_ : list
        Column names, in order.
    roles_ : dict
        Column name to ``"numeric"``, ``"nominal"``, ``"ordinal"`` or ``"constant"``.
    n_features_ : int
        Width of the encoded space.
    redundant_ : bool ndarray of shape (n_features_,)
        True for the last indicator of each nominal column, which the others imply.

    Examples
    --------
    >>> import pandas as pd
    >>> from imputation_eval import TableEncoder
    >>> df = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "b", "a", None]})
    >>> encoder = TableEncoder().fit(df)
    >>> encoder.transform(df).round(2)
    array([[-1.35,  0.71,  0.  ],
           [-0.45,  0.  ,  0.71],
           [ 0.45,  0.71,  0.  ],
           [ 1.35,   nan,   nan]])
    """

    def __init__(self, *, categorical: str | Iterable[Hashable] = "infer") -> None:
        self.categorical = categorical

    def fit(self, table: pd.DataFrame, *, warn: bool = True) -> TableEncoder:
        """Learn scales and levels from the observed cells.

        Parameters
        ----------
        table : DataFrame of shape (n_rows, n_columns)
            May have holes.
        warn : bool
            Whether to warn of columns that are left out because they are constant.

        Raises
        ------
        TypeError
            If a column holds what has no encoding (dates, complex numbers, unhashable objects), or `categorical` is
            neither a str nor a list.
        ValueError
            If a column is empty or infinite, has over 1000 levels, or if no column varies.
        """
        table = check_table(table, "table")
        check_no_empty_column(table, "table")
        roles = column_roles(table, self.categorical)
        self._codecs = [_fit_codec(table[name], role) for name, role in roles.items()]
        self.columns_ = list(table.columns)
        self.roles_ = {codec.name: codec.role for codec in self._codecs}
        self.widths_ = np.array([codec.width for codec in self._codecs])
        self.n_features_ = int(self.widths_.sum())
        self.redundant_ = np.zeros(self.n_features_, dtype=bool)
        nominal = np.array([codec.role == "nominal" for codec in self._codecs])
        self.redundant_[np.cumsum(self.widths_)[nominal] - 1] = True
        constant = [name for name, role in self.roles_.items() if role == "constant"]
        if self.n_features_ == 0:
            raise ValueError(f"table has no column that varies: {constant} are constant.")
        if constant and warn:
            warn_user(f"constant columns are left out of distances: {constant}.")
        return self

    def transform(self, table: pd.DataFrame) -> _Array:
        """Encode a table of the same columns.

        Returns
        -------
        ndarray of shape (n_rows, n_features_)
            NaN where a cell is missing.

        Raises
        ------
        ValueError
            If the columns differ from those fitted, a value is infinite or so far off that distances overflow, or a
            level was never seen in fitting.
        """
        if list(table.columns) != self.columns_:
            raise ValueError(f"table has columns {list(table.columns)}, fitted were {self.columns_}.")
        return np.hstack([codec.encode(table[codec.name]) for codec in self._codecs])

    def inverse_transform(self, encoded: _Array) -> dict[Hashable, NDArray[Any]]:
        """Decode complete rows: numbers are scaled back, indicators become the level with the largest one.

        Parameters
        ----------
        encoded : ndarray of shape (n_rows, n_features_)
            Rows without NaN, except that redundant indicators may be NaN.

        Returns
        -------
        dict
            Column name to an array of shape (n_rows,).
        """
        blocks = np.split(encoded, np.cumsum(self.widths_)[:-1], axis=1)
        return {codec.name: codec.decode(block) for codec, block in zip(self._codecs, blocks, strict=True)}

    def expand(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Widen a mask over cells (n_rows, n_columns) to one over encoded features (n_rows, n_features_)."""
        return np.repeat(mask, self.widths_, axis=1)

    def cells(self, encoded: _Array, mask: NDArray[np.bool_]) -> _Array:
        """Collect single cells as rows, so that the distance of two rows is the error of one cell.

        Parameters
        ----------
        encoded : ndarray of shape (n_rows, n_features_)
            Encoded rows.
        mask : bool ndarray of shape (n_rows, n_columns)
            The cells to collect; those of constant columns are skipped.

        Returns
        -------
        ndarray of shape (n_cells, widest column)
            Column by column, padded with zeros.
        """
        widest = int(self.widths_.max())
        blocks = self.column_cells(encoded, mask)
        return np.vstack([np.pad(block, ((0, 0), (0, widest - block.shape[1]))) for _, block in blocks])

    def column_cells(self, encoded: _Array, mask: NDArray[np.bool_]) -> Iterator[tuple[int, _Array]]:
        """Yield for each column that varies its position and its masked cells, of shape (n_cells, width)."""
        starts = np.cumsum(self.widths_) - self.widths_
        for j in np.flatnonzero(self.widths_):
            yield int(j), encoded[mask[:, j], starts[j] : starts[j] + self.widths_[j]]


def column_roles(table: pd.DataFrame, categorical: str | Iterable[Hashable] = "infer") -> dict[Hashable, str]:
    """Say for each column whether it is "numeric", "nominal" or "ordinal"; raise where that cannot be said."""
    inferred: dict[Hashable, str] = {name: _infer_role(table[name]) for name in table.columns}
    if isinstance(categorical, str):
        if categorical != "infer":
            raise ValueError(f"categorical={categorical!r} should be 'infer' or a list of column names.")
        return inferred
    named = list(check_categorical(categorical))
    unknown = [name for name in named if name not in inferred]
    if unknown:
        raise ValueError(f"categorical names columns that the table lacks: {unknown}; it has {list(table.columns)}.")
    return {
        name: "nominal" if name in named else _role_unless_named(table[name], role) for name, role in inferred.items()
    }


def check_categorical(categorical: Any) -> str | list[Hashable]:
    """Return ``categorical`` as a str or a list, whatever iterable it was."""
    if isinstance(categorical, str):
        return categorical
    if not isinstance(categorical, Iterable):
        raise TypeError(f"categorical should be 'infer' or a list of column names, got {categorical!r}.")
    return list(categorical)


def encode_pair(x: Any, y: Any, names: tuple[str, str]) -> tuple[_Array, _Array]:
    """Bring two samples into one space: tables are scaled by the first of them, arrays are taken as they are."""
    if isinstance(x, pd.DataFrame) != isinstance(y, pd.DataFrame):
        raise TypeError(f"{names[0]} and {names[1]} should both be DataFrames or both arrays.")
    if isinstance(x, pd.DataFrame):
        check_table(y, names[1])
        encoder = TableEncoder().fit(x)
        x, y = encoder.transform(x), encoder.transform(y)
    x, y = check_sample(x, names[0]), check_sample(y, names[1])
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{names[0]} has {x.shape[1]} columns but {names[1]} has {y.shape[1]}.")
    return x, y


def as_float(column: pd.Series) -> _Array:
    """Return a numeric column as floats, NaN where missing; raise if it holds infinity or what is no number."""
    try:
        values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column.name!r} holds values that are not numbers: {error}.") from error
    if (np.abs(values) > _LARGEST).any():
        raise ValueError(f"column {column.name!r} holds infinite values, or values beyond {_LARGEST:g}.")
    return values


def holds_numbers(column: pd.Series) -> bool:
    """Say whether the cells of a column are real numbers, by its dtype or, for dtype object, by its values."""
    if pd.api.types.is_object_dtype(column.dtype):
        # Object columns of numbers come from None used as a hole, or from an object array.
        return pd.api.types.infer_dtype(column, skipna=True) in ("integer", "floating", "mixed-integer-float")
    is_number = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
    return is_number and not pd.api.types.is_bool_dtype(column.dtype)


def _infer_role(column: pd.Series) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "ordinal" if dtype.ordered else "nominal"
    if holds_numbers(column):
        return "numeric"
    nominal = (pd.api.types.is_bool_dtype, pd.api.types.is_object_dtype, pd.api.types.is_string_dtype)
    if any(belongs(dtype) for belongs in nominal):
        return "nominal"
    raise TypeError(f"column {column.name!r} has dtype {dtype}, which has no distance; make it numbers or categories.")


def _role_unless_named(column: pd.Series, role: str) -> str:
    if role == "nominal":
        # By value, too: a boolean column with holes has dtype object.
        if pd.api.types.infer_dtype(column, skipna=True) != "boolean":
            raise ValueError(f"column {column.name!r} of dtype {column.dtype} is not numeric; add it to categorical.")
        return "numeric"
    return role


def _fit_codec(column: pd.Series, role: str) -> _NumericCodec | _NominalCodec | _OrdinalCodec | _ConstantCodec:
    if role == "numeric":
        return _fit_numeric(column)
    observed = column.dropna()
    try:
        levels = list(pd.unique(observed.astype(object)))
    except TypeError as error:
        raise TypeError(f"column {column.name!r} holds values that cannot be compared: {error}.") from error
    if len(levels) == 1:
        return _ConstantCodec(column.name, levels[0])
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = list(column.dtype.categories)
    if role == "ordinal":
        return _OrdinalCodec(column.name, tuple(levels))
    if len(levels) > _MAX_LEVELS:
        raise ValueError(
            f"column {column.name!r} has {len(levels)} levels, more than {_MAX_LEVELS}; "
            "drop identifiers and merge rare levels."
        )
    # Sorted by text, so that the encoding does not depend on the order of the rows.
    ordered = sorted(levels, key=lambda level: (str(level), type(level).__name__))
    return _NominalCodec(column.name, tuple(ordered))


def _fit_numeric(column: pd.Series) -> _NumericCodec | _ConstantCodec:
    values = as_float(column)
    values = values[~np.isnan(values)]
    if np.ptp(values) <= _negligible(values):
        return _ConstantCodec(column.name, column.dropna().iloc[0])
    return _NumericCodec(column.name, float(np.median(values)), robust_scale(values))


def robust_scale(values: _Array) -> float:
    """Return a spread that few outliers do not move and that many equal values do not make vanish."""
    lowest, low, center, high, highest = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    # Each constant makes its estimate equal to the standard deviation on Gaussian data.
    scale = max((high - low) / 1.349, 0.5 * (highest - lowest) / 3.29)
    if scale <= _negligible(values):
        scale = 1.2533 * np.abs(values - center).mean()
    return float(scale)


def _negligible(values: _Array) -> float:
    return max(_ROUNDING * float(np.abs(values).max()), 1 / _LARGEST)


@dataclass(frozen=True)
class _NumericCodec:
    name: Hashable
    center: float
    scale: float
    role: ClassVar[str] = "numeric"
    width: ClassVar[int] = 1

    def encode(self, column: pd.Series) -> _Array:
        encoded = (as_float(column) - self.center) / self.scale
        if (np.abs(encoded) > LARGEST_COORDINATE).any():
            raise ValueError(
                f"column {self.name!r} holds values so far beyond its scale of {self.scale:g} that distances overflow."
            )
        return encoded[:, None]

    def decode(self, block: _Array) -> _Array:
        return block[:, 0] * self.scale + self.center


@dataclass(frozen=True)
class _NominalCodec:
    name: Hashable
    levels: tuple[Any, ...]
    role: ClassVar[str] = "nominal"

    @property
    def width(self) -> int:
        return len(self.levels)

    def encode(self, column: pd.Series) -> _Array:
        codes = _level_codes(column, self.levels)
        block = (codes[:, None] == np.arange(self.width)) / np.sqrt(2)
        block[codes < 0] = np.nan
        return block

    def decode(self, block: _Array) -> NDArray[Any]:
        # Indicators sum to 1 / sqrt(2), so the others tell a missing one.
        implied = 1 / np.sqrt(2) - np.nansum(block, axis=1, keepdims=True)
        return _object_array(self.levels)[np.where(np.isnan(block), implied, block).argmax(axis=1)]


@dataclass(frozen=True)
class _OrdinalCodec:
    name: Hashable
    levels: tuple[Any, ...]
    role: ClassVar[str] = "ordinal"
    width: ClassVar[int] = 1

    def encode(self, column: pd.Series) -> _Array:
        codes = _level_codes(column, self.levels)
        return np.where(codes < 0, np.nan, codes / (len(self.levels) - 1))[:, None]

    def decode(self, block: _Array) -> NDArray[Any]:
        last = len(self.levels) - 1
        return _object_array(self.levels)[np.clip(np.rint(block[:, 0] * last), 0, last).astype(int)]


@dataclass(frozen=True)
class _ConstantCodec:
    name: Hashable
    value: Any
    role: ClassVar[str] = "constant"
    width: ClassVar[int] = 0

    def encode(self, column: pd.Series) -> _Array:
        return np.empty((len(column), 0))

    def decode(self, block: _Array) -> NDArray[Any]:
        return _object_array((self.value,))[np.zeros(len(block), dtype=int)]


def _level_codes(column: pd.Series, levels: tuple[Any, ...]) -> NDArray[np.int64]:
    """Return the position of each cell's level, -1 where the cell is missing."""
    codes, present = pd.factorize(column.astype(object))
    position = {level: index for index, level in enumerate(levels)}
    unseen = [level for level in present if level not in position]
    if unseen:
        raise ValueError(f"column {column.name!r} has levels never seen before: {unseen[:10]}; known: {levels[:10]}.")
    # The extra last entry is what code -1, a hole, picks.
    return np.array([position[level] for level in present] + [-1], dtype=np.int64)[codes]


def _object_array(values: tuple[Any, ...]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
