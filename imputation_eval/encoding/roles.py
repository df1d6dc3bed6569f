"""Which columns are numeric, nominal or ordinal."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

from imputation_eval.encoding.values import holds_numbers, is_time


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


def _infer_role(column: pd.Series) -> str:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "ordinal" if dtype.ordered else "nominal"
    if holds_numbers(column) or is_time(dtype):
        return "numeric"
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("date", "datetime", "datetime64", "timedelta", "time", "period"):
        raise TypeError(f"column {column.name!r} of dtype {dtype} holds {kind} objects; convert it by pd.to_datetime.")
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
