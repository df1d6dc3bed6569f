"""Columns of a shard's table: which hold labels and weights, which hold no numbers, and how two tables differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from .errors import first_line

_TOLD_COLUMNS = 20
_PROBED_ROWS = 1000  # of a column that may not hold numbers; later ones are found when all are converted
_TIMES = "mM"  # kinds of dtypes


def take_columns(
    X: Any, y: Any, sample_weight: Any, label_column: str | None, weight_column: str | None
) -> tuple[Any, Any, Any]:
    """Features, labels and weights, of which the latter two may be columns of a DataFrame.

    Raises
    ------
    ValueError
        When they are given twice, there is no such column, or no other is left.
    TypeError
        When a column is asked for by name and X is no DataFrame.
    """
    for argument, given, name, column in (
        ("y", y, "label_column", label_column),
        ("sample_weight", sample_weight, "weight_column", weight_column),
    ):
        if column is None:
            continue
        if given is not None:
            raise ValueError(f"both {argument} and {name}={column!r} are given")
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"{name}={column!r} needs a DataFrame, not {type(X).__name__}")
        if column not in X.columns:
            raise ValueError(f"{name}={column!r} is {none_of_columns(column, X.columns)}")
    if label_column is not None:
        X, y = X.drop(columns=label_column), _complete(X, "label_column", label_column)
    if weight_column is not None:
        X, sample_weight = X.drop(columns=weight_column), _complete(X, "weight_column", weight_column)
    if isinstance(X, pd.DataFrame) and X.shape[1] == 0:
        taken = label_column is not None or weight_column is not None
        raise ValueError("it has no columns but labels and weights" if taken else "X has no columns")
    return X, y, sample_weight


def none_of_columns(name: object, columns: Iterable[object]) -> str:
    """In words: a name is none of the columns, of which the most alike come first where not all are told.

    Examples
    --------
    >>> from coreset.columns import none_of_columns
    >>> none_of_columns("z", ["a", "b"])
    "none of the columns ['a', 'b']"
    """
    names = list(map(str, columns))
    if len(names) <= _TOLD_COLUMNS:
        return f"none of the columns {names}"
    alike = get_close_matches(str(name), names)
    told = [*alike, *(other for other in names if other not in alike)][:_TOLD_COLUMNS]
    return f"none of the columns {told} and {len(names) - len(told)} more"


def _complete(X: pd.DataFrame, argument: str, name: str) -> pd.Series:
    column = X[name]
    if column.ndim == 1 and (n_missing := int(column.isna().sum())):
        raise ValueError(f"{argument}={name!r} is missing in {n_missing:,} of {len(column):,} rows")
    return column


def plain_columns(X: Any) -> Any:
    """A frame whose nullable columns of numbers, which lack none, have become columns of NumPy's types.

    Parameters
    ----------
    X : DataFrame, or anything else, which comes back as it is
        Columns of ``Int64``, ``Float32``, ``boolean`` and their like, or of Arrow's numbers, are nullable.

    Returns
    -------
    DataFrame
        The same, where there is no such column.

    Raises
    ------
    ValueError
        When one holds NA; it is named.

    Examples
    --------
    >>> import pandas as pd
    >>> from coreset.columns import plain_columns
    >>> frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int8"), "b": [0.5, 1.5]})
    >>> plain_columns(frame).dtypes.astype(str).tolist()
    ['int8', 'float64']
    """
    if not isinstance(X, pd.DataFrame):
        return X
    nullable = [position for position, dtype in enumerate(X.dtypes) if _is_nullable_number(dtype)]
    if not nullable:
        return X
    # By position, since names may repeat.
    columns = [X.iloc[:, position] for position in range(X.shape[1])]
    for position in nullable:
        column = columns[position]
        if n_missing := int(column.isna().sum()):
            name, n_rows = str(X.columns[position]), len(X)
            raise ValueError(f"column {name!r} of dtype {column.dtype} holds NA in {n_missing:,} of {n_rows:,} rows")
        columns[position] = column.astype(X.dtypes.iloc[position].numpy_dtype)
    return pd.concat(columns, axis=1)


def _is_nullable_number(dtype: Any) -> bool:
    return isinstance(dtype, pd.api.extensions.ExtensionDtype) and (
        hasattr(dtype, "numpy_dtype") and dtype.numpy_dtype.kind in "biuf"
    )


def check_numbers(X: Any) -> None:
    """Raise ValueError when an array, or a column of a frame, does not hold numbers; the first such is named."""
    if not isinstance(X, pd.DataFrame):
        if getattr(getattr(X, "dtype", None), "kind", "O") in _TIMES:  # which scikit-learn takes for numbers
            raise ValueError(f"X of dtype {X.dtype} does not hold numbers")
        return
    for position, dtype in enumerate(X.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            continue
        column = f"column {str(X.columns[position])!r} of dtype {dtype}"
        if dtype.kind in _TIMES or dtype.kind == "c":
            raise ValueError(f"{column} does not hold numbers")
        try:
            np.asarray(X.iloc[:_PROBED_ROWS, position], dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{column} does not hold numbers: {first_line(error)}") from error


def first_not_finite(X: Any) -> str:
    """Where a frame holds NaN or infinity, in words; "" when it does not, or has no names."""
    if isinstance(X, pd.DataFrame):
        for name, column in X.items():
            if not np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan)).all():
                return f" (first in column {str(name)!r})"
    return ""


class ColumnsDiffer(ValueError):
    """Two shards disagree on their columns.

    Attributes
    ----------
    shards : (int, int)
        The shard that is named, and the one that it is compared with.
    """

    def __init__(self, message: str, shard: int, other: int) -> None:
        super().__init__(message)
        self.shards = (shard, other)


def describe_difference(names: Sequence[str] | None, others: Sequence[str] | None) -> str:
    """How the columns of one shard differ from another's, in words."""
    if names is None or others is None:
        return "one of them has names, the other has none"
    lacking = [name for name in others if name not in set(names)]
    extra = [name for name in names if name not in set(others)]
    if not lacking and not extra:
        position, name = next((i, name) for i, name in enumerate(names) if name != others[i])
        return f"column {position} is {name!r} instead of {others[position]!r}"
    parts = [("it lacks", lacking), ("it alone has", extra)]
    return ", ".join(f"{verb} {', '.join(map(repr, columns[:5]))}" for verb, columns in parts if columns)
