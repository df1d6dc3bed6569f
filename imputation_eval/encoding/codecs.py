"""How the cells of one column are encoded: scaled numbers, indicators, ranks, or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import LARGEST_COORDINATE
from imputation_eval.encoding.values import as_cells, as_float, negligible, robust_scale

_Array = NDArray[np.float64]
_MAX_LEVELS = 1000  # one-hot columns beyond this are identifiers, and would fill the memory


@dataclass(frozen=True)
class NumericCodec:
    """Numbers, dates and durations: less the median, over the scale."""

    name: Hashable
    center: float
    scale: float
    dtype: Any
    role: ClassVar[str] = "numeric"
    width: ClassVar[int] = 1

    def encode(self, column: pd.Series) -> _Array:
        """Return cells as (n_rows, 1), NaN where one is missing."""
        return encode_numbers([self], as_float(column)[:, None])

    def decode(self, block: _Array) -> Any:
        """Return the values that were encoded."""
        return as_cells(block[:, 0] * self.scale + self.center, self.dtype)


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


def fit_codec(column: pd.Series, role: str) -> NumericCodec | _NominalCodec | _OrdinalCodec | _ConstantCodec:
    """Learn from a column's observed cells how its cells are encoded; raise if they cannot be."""
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


def encode_numbers(codecs: Sequence[NumericCodec], values: _Array) -> _Array:
    """Encode columns of floats (n_rows, n_codecs) all at once."""
    encoded = (values - [codec.center for codec in codecs]) / [codec.scale for codec in codecs]
    far = (np.abs(encoded) > LARGEST_COORDINATE).any(axis=0)
    if far.any():
        codec = codecs[int(far.argmax())]
        raise ValueError(
            f"column {codec.name!r} holds values so far beyond its scale of {codec.scale:g} that distances overflow."
        )
    return encoded


def _fit_numeric(column: pd.Series) -> NumericCodec | _ConstantCodec:
    values = as_float(column)
    values = values[~np.isnan(values)]
    if np.ptp(values) <= negligible(values):
        return _ConstantCodec(column.name, column.dropna().iloc[0])
    return NumericCodec(column.name, float(np.median(values)), robust_scale(values), column.dtype)


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
