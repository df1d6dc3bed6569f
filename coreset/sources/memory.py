"""Sources in this process's memory: one table, and lists of tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, final

import numpy as np
import pandas as pd
from scipy import sparse

from ..labels import as_labels
from ..validation import from_polars, is_polars_frame
from .base import Loader, Shard, Source

_ROWS_A_SHARD = 65_536


@final
@dataclasses.dataclass(frozen=True)
class LoadedShard:
    """A loader that has the shard with it."""

    shard: Shard

    def __call__(self) -> Shard:
        """The shard."""
        return self.shard


class ListSource(Source):
    """Shards in lists: tables, and labels and weights alike.

    Parameters
    ----------
    X : sequence of ndarrays or DataFrames
    y, sample_weight : sequence with an entry a shard, optional

    Raises
    ------
    ValueError
        When there is no shard, or lists have different lengths.
    TypeError
        When y or sample_weight is not a list.
    """

    def __init__(self, X: Sequence[Any], y: Any = None, sample_weight: Any = None) -> None:
        if len(X) == 0:
            raise ValueError("X is an empty list: there is no shard to summarise")
        self.shards: list[Shard] = list(
            zip(X, _entries("y", y, len(X)), _entries("sample_weight", sample_weight, len(X)), strict=True)
        )

    def __len__(self) -> int:
        """Number of shards."""
        return len(self.shards)

    def name(self, shard: int) -> str:
        """Its number; it has no other name."""
        return f"shard {shard}"

    def loader(self, shard: int) -> Loader:
        """Carries the shard."""
        return LoadedShard(self.shards[shard])

    @property
    def nbytes(self) -> int:
        """Bytes of all tables, labels and weights."""
        return sum(_nbytes(part) for shard in self.shards for part in shard)

    def seen_labels(self) -> list[Any]:
        """Labels of all shards, or the tables where there are none."""
        return [X if y is None else y for X, y, _ in self.shards]


@final
class TableSource(ListSource):
    """One table, cut into shards of at most 65,536 rows by its size alone.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
    y, sample_weight : array-like of shape (n,), optional

    Raises
    ------
    ValueError
        When the table has no rows, or another number of them than labels or weights.
    TypeError
        When the table is sparse.
    """

    def __init__(self, X: Any, y: Any = None, sample_weight: Any = None) -> None:
        super().__init__(*_cut(X, y, sample_weight))


def is_table(value: object) -> bool:
    """Whether an entry of a list is a shard; lists of numbers are rows of a table."""
    return isinstance(value, np.ndarray | pd.DataFrame) or is_polars_frame(value)


def _entries(name: str, value: Any, n_shards: int) -> list[Any]:
    if value is None:
        return [None] * n_shards
    if not isinstance(value, list | tuple):
        raise TypeError(f"X is a list of shards, so {name} must be a list too, not {type(value).__name__}")
    if len(value) != n_shards:
        raise ValueError(f"{name} has {len(value)} entries, X has {n_shards} shards")
    return list(value)


def _cut(X: Any, y: Any, sample_weight: Any) -> tuple[list[Any], list[Any], list[Any]]:
    if sparse.issparse(X):
        raise TypeError("X is a sparse matrix, which is not supported: pass X.toarray() or shards of it")
    X = from_polars(X)
    table = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    if table.ndim != 2 or len(table) == 0:
        raise ValueError(f"X has shape {table.shape}, expected (n, d) with at least one row, or a list of such tables")
    labels = None if y is None else as_labels(y)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    if weights is not None and weights.ndim == 0:  # the same of each row, as for other constructions
        weights = np.full(len(table), weights)
    for name, value in (("y", labels), ("sample_weight", weights)):
        if value is not None and len(value) != len(table):
            raise ValueError(f"{name} has {len(value)} entries, X has {len(table)} rows")
    n_shards = math.ceil(len(table) / _ROWS_A_SHARD)
    edges = [round(len(table) * i / n_shards) for i in range(n_shards + 1)]

    def parts(value: Any) -> list[Any]:
        return [None if value is None else value[a:b] for a, b in pairwise(edges)]

    return parts(table), parts(labels), parts(weights)


def _nbytes(part: Any) -> int:
    if isinstance(part, pd.DataFrame):
        return int(part.memory_usage(deep=True).sum())
    if is_polars_frame(part):
        return int(part.estimated_size())
    return int(getattr(part, "nbytes", 0))
