"""The encoder of whole tables."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import check_no_empty_column, check_sample, check_table, warn_user
from imputation_eval.encoding.codecs import NumericCodec, encode_numbers, fit_codec
from imputation_eval.encoding.roles import column_roles
from imputation_eval.encoding.values import LARGEST_VALUE, plain_floats

_Array = NDArray[np.float64]


@final
class TableEncoder:
    """Encode a table as rows of a scaled numeric space.

    Numeric columns become ``(x - median) / scale``, the scale being the interquartile range over 1.349 (which equals
    the standard deviation on Gaussian data), but at least half of what the 5 % and 95 % quantiles would give (so that a
    column of three quarters zeros is not blown up), or 1.2533 times the mean absolute deviation from the median where
    both ranges are zero or rounding. Dates and durations are numbers, in seconds. Nominal columns (boolean, string,
    object, unordered category) become indicators divided by ``sqrt(2)``, so that a mismatch is a distance of 1. Ordered
    categories become ranks scaled to [0, 1]. Columns with one observed value are left out of the space. Only observed
    cells are used to fit; holes are encoded as NaN.

    Parameters
    ----------
    categorical : "infer" or list of column names
        The nominal columns. ``"infer"`` goes by dtype; a list names all of them, and every other column has to be
        numeric, a date, boolean (then read as 0 and 1) or an ordered category.

    Attributes
    ----------
    columns_ : list
        Column names, in order.
    roles_ : dict
        Column name to ``"numeric"``, ``"nominal"``, ``"ordinal"`` or ``"constant"``.
    n_features_ : int
        Width of the encoded space.
    redundant_ : bool ndarray of shape ``(n_features_,)``
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
            If a column holds what has no encoding (periods, complex numbers, unhashable objects, dates with dtype
            object), or `categorical` is neither a str nor a list.
        ValueError
            If a column is empty or infinite, has over 1000 levels, or if no column varies.
        """
        table = check_table(table, "table")
        check_no_empty_column(table, "table")
        roles = column_roles(table, self.categorical)
        self._codecs = [fit_codec(table[name], role) for name, role in roles.items()]
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
        ndarray of shape ``(n_rows, n_features_)``
            NaN where a cell is missing.

        Raises
        ------
        ValueError
            If the columns differ from those fitted, a value is infinite or so far off that distances overflow, or a
            level was never seen in fitting.
        """
        if list(table.columns) != self.columns_:
            raise ValueError(f"table has columns {list(table.columns)}, fitted were {self.columns_}.")
        encoded = np.empty((len(table), self.n_features_))
        starts = np.cumsum(self.widths_) - self.widths_
        # Columns of floats at once, which takes as long as one of them; the others, and those that are wrong, singly.
        plain = plain_floats(table) & np.array([codec.role == "numeric" for codec in self._codecs])
        values = table.loc[:, plain].to_numpy()
        if (np.abs(values) > LARGEST_VALUE).any():
            plain[:] = False
        else:
            numeric = [
                c for c, at_once in zip(self._codecs, plain, strict=True) if at_once and isinstance(c, NumericCodec)
            ]
            encoded[:, starts[plain]] = encode_numbers(numeric, values)
        for codec, start, done in zip(self._codecs, starts, plain, strict=True):
            if not done:
                encoded[:, start : start + codec.width] = codec.encode(table[codec.name])
        return encoded

    def transform_column(self, column: pd.Series) -> _Array:
        """Encode one column, found by its name: its part of what :meth:`transform` gives, (n_rows, width)."""
        return next(codec for codec in self._codecs if codec.name == column.name).encode(column)

    def inverse_transform(self, encoded: _Array) -> dict[Hashable, Any]:
        """Decode complete rows: numbers are scaled back, indicators become the level with the largest one.

        Parameters
        ----------
        encoded : ndarray of shape ``(n_rows, n_features_)``
            Rows without NaN, except that redundant indicators may be NaN.

        Returns
        -------
        dict
            Column name to an array of shape (n_rows,); dates come as a pandas index.
        """
        blocks = np.split(encoded, np.cumsum(self.widths_)[:-1], axis=1)
        return {codec.name: codec.decode(block) for codec, block in zip(self._codecs, blocks, strict=True)}

    def inverse_transform_column(self, name: Hashable, block: _Array) -> Any:
        """Decode cells of one column, (n_cells, width), to its values."""
        return next(codec for codec in self._codecs if codec.name == name).decode(block)

    def levels(self, name: Hashable) -> list[Any] | None:
        """Return the levels of a nominal or ordered column, in order; None for others."""
        found = getattr(next(codec for codec in self._codecs if codec.name == name), "levels", None)
        return None if found is None else list(found)

    def expand(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Widen a mask over cells ``(n_rows, n_columns)`` to one over encoded features ``(n_rows, n_features_)``."""
        return np.repeat(mask, self.widths_, axis=1)

    def column_cells(self, encoded: _Array, mask: NDArray[np.bool_]) -> Iterator[tuple[int, _Array]]:
        """Yield for each column that varies its position and its masked cells.

        Parameters
        ----------
        encoded : ndarray of shape ``(n_rows, n_features_)``
            Encoded rows.
        mask : bool ndarray of shape (n_rows, n_columns)
            The cells to collect.

        Yields
        ------
        j : int
        block : ndarray of shape (n_cells, width)
        """
        starts = np.cumsum(self.widths_) - self.widths_
        for j in np.flatnonzero(self.widths_):
            yield int(j), encoded[mask[:, j], starts[j] : starts[j] + self.widths_[j]]


def stack_cells(blocks: Iterable[_Array]) -> _Array:
    """Stack the cells of several columns, so that the distance of two rows is the error of one cell.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_cells, width)

    Returns
    -------
    ndarray of shape (n_cells of all, widest)
        Block by block, padded with zeros.
    """
    blocks = list(blocks)
    widest = max(block.shape[1] for block in blocks)
    return np.vstack([np.pad(block, ((0, 0), (0, widest - block.shape[1]))) for block in blocks])


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
