"""Shards: one table cut into them, lists of them checked, and what all of them say of their target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, clone

from .construction import RobustCoreset
from .labels import as_labels
from .targets import NUMERIC, is_continuous
from .validation import from_polars, is_polars_frame

_ROWS_A_SHARD = 65_536

Shard = tuple[Any, Any, Any]  # table, labels, weights


def split_into_shards(X: Any, y: Any, sample_weight: Any) -> list[Shard]:
    """The shards as a list of (table, labels, weights).

    Parameters
    ----------
    X : one table, or a list or tuple of tables or ObjectRefs
    y, sample_weight : like X, or None

    Returns
    -------
    list of tuple

    Raises
    ------
    ValueError
        When there is no shard, or lists have different lengths.
    TypeError
        When only one of X and y is a list of shards.
    """
    if isinstance(X, list | tuple) and (len(X) == 0 or _is_shard(X[0])):
        if len(X) == 0:
            raise ValueError("X is an empty list: there is no shard to summarise")
        columns = [list(X)]
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is None:
                columns.append([None] * len(X))
                continue
            if not isinstance(value, list | tuple):
                raise TypeError(f"X is a list of shards, so {name} must be a list too, not {type(value).__name__}")
            if len(value) != len(X):
                raise ValueError(f"{name} has {len(value)} entries, X has {len(X)} shards")
            columns.append(list(value))
        return list(zip(*columns, strict=True))
    if sparse.issparse(X):
        raise TypeError("X is a sparse matrix, which is not supported: pass X.toarray() or shards of it")
    X = from_polars(X)
    table = X if isinstance(X, pd.DataFrame) else np.asarray(X)
    if table.ndim != 2 or len(table) == 0:
        raise ValueError(f"X has shape {table.shape}, expected (n, d) with at least one row, or a list of such tables")
    labels = None if y is None else as_labels(y)
    parts: list[Any] = [table, labels, None if sample_weight is None else np.asarray(sample_weight)]
    for name, value in zip(("y", "sample_weight"), parts[1:], strict=True):
        if value is not None and len(value) != len(table):
            raise ValueError(f"{name} has {len(value)} entries, X has {len(table)} rows")
    n_shards = math.ceil(len(table) / _ROWS_A_SHARD)
    edges = [round(len(table) * i / n_shards) for i in range(n_shards + 1)]
    cut = [[None if value is None else value[a:b] for a, b in pairwise(edges)] for value in parts]
    return list(zip(*cut, strict=True))


def _is_shard(value: object) -> bool:
    return isinstance(value, np.ndarray | pd.DataFrame) or is_polars_frame(value) or type(value).__name__ == "ObjectRef"


def refuse_references(shards: Sequence[Shard]) -> None:
    """Raise TypeError when a shard is a Ray ObjectRef, which only Ray can read."""
    for number, shard in enumerate(shards):
        if any(type(part).__name__ == "ObjectRef" for part in shard):
            raise TypeError(f"shard {number} is a Ray ObjectRef, which backend='local' cannot read: use backend='ray'")


def with_common_target(
    base: BaseEstimator | None, shards: Sequence[Shard], label_column: str | None
) -> BaseEstimator | None:
    """The base, told that targets are numeric if one of those that are seen from here is continuous."""
    chosen = RobustCoreset() if base is None else base
    if getattr(chosen, "target_type", None) != "auto":
        return base
    if not any(_is_seen_continuous(X, y, label_column) for X, y, _ in shards):
        return base
    return clone(chosen).set_params(target_type=NUMERIC)


def _is_seen_continuous(X: Any, y: Any, label_column: str | None) -> bool:
    if y is None and (isinstance(X, pd.DataFrame) or is_polars_frame(X)) and label_column in X.columns:
        y = X[label_column]
    if y is None or type(y).__name__ == "ObjectRef":
        return False
    try:
        return is_continuous(as_labels(y))
    except (TypeError, ValueError):
        return False  # the shard's own worker says what is wrong with it


def nbytes(part: Any) -> int:
    """Bytes that a part of a shard takes in memory; 0 where that is not seen from here."""
    if isinstance(part, pd.DataFrame):
        return int(part.memory_usage(deep=True).sum())
    return int(getattr(part, "nbytes", 0))
