"""Which source an argument stands for."""

from __future__ import annotations

from typing import Any

from .base import Source
from .memory import ListSource, TableSource, is_table
from .parquet import ParquetSource
from .paths import is_path


def as_source(X: Any, y: Any = None, sample_weight: Any = None) -> Source:
    """The source that `DistributedCoreset.fit` reads.

    Parameters
    ----------
    X : one table, a list or tuple of tables, a parquet path or glob or a list of these, or a Source
    y, sample_weight : like X, or None

    Returns
    -------
    Source

    Raises
    ------
    ValueError, TypeError
        When they are of another kind, or do not fit each other.
    FileNotFoundError
        When a path has no files.
    """
    if isinstance(X, Source):
        if len(X) == 0:
            raise ValueError("X is a Source without shards: there is nothing to summarise")
        return columns_only("X is a Source", X, y, sample_weight)
    if is_path(X):
        return columns_only("X is a path", ParquetSource(X), y, sample_weight)
    if not isinstance(X, list | tuple) or not (len(X) == 0 or is_table(X[0]) or is_path(X[0])):
        return TableSource(X, y, sample_weight)
    check_alike(X)
    if len(X) and is_path(X[0]):
        return columns_only("X is a list of paths", ParquetSource(X), y, sample_weight)
    return ListSource(X, y, sample_weight)


def columns_only(what: str, source: Source, y: Any, sample_weight: Any) -> Source:
    """The source, when labels and weights are left to its columns.

    Raises
    ------
    TypeError
        Otherwise.
    """
    for name, value, column in (("y", y, "label_column"), ("sample_weight", sample_weight, "weight_column")):
        if value is not None:
            raise TypeError(f"{what}, so {name} must be one of its columns: set {column} instead")
    return source


def check_alike(X: Any) -> None:
    """Raise TypeError when a list holds tables and something else."""
    wanted, holds = (is_path, "paths") if len(X) and is_path(X[0]) else (is_table, "tables")
    for number, entry in enumerate(X):
        if not wanted(entry):
            raise TypeError(f"X[{number}] is a {type(entry).__name__}, X[0] says that X holds {holds}")
