"""Tables of Arrow as the tables that workers take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_TENSOR_COLUMN = "data"  # what Ray Data calls the only column of an array


def table_of(table: Any) -> np.ndarray | pd.DataFrame:
    """A pyarrow Table as a DataFrame, whose columns of vectors become a column an entry.

    Parameters
    ----------
    table : pyarrow.Table
        A column of fixed-size lists (or tensors of one dimension) ``v`` becomes ``v[0]``, ``v[1]`` and so on.

    Returns
    -------
    DataFrame, or ndarray of shape (n, d) where the only column is a tensor that has Ray's name for arrays

    Raises
    ------
    ValueError
        When a vector is missing.
    """
    vectors = {name: _vectors(name, table.column(name)) for name in table.column_names if _width(table, name)}
    if not vectors:
        return table.to_pandas(use_threads=False)
    if table.column_names == [_TENSOR_COLUMN]:
        return vectors[_TENSOR_COLUMN]
    parts = [
        pd.DataFrame(vectors[name], columns=[f"{name}[{j}]" for j in range(vectors[name].shape[1])])
        if name in vectors
        else table.select([name]).to_pandas(use_threads=False).reset_index(drop=True)
        for name in table.column_names
    ]
    return pd.concat(parts, axis=1)


def _width(table: Any, name: str) -> int:
    """Entries of the vectors in a column; 0 where it holds none."""
    import pyarrow as pa

    kind = table.schema.field(name).type
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    shape = getattr(kind, "shape", None)  # of tensors
    return int(shape[0]) if isinstance(shape, tuple | list) and len(shape) == 1 else 0


def _vectors(name: str, column: Any) -> np.ndarray:
    """A column of vectors as a table, from the buffer that its values stand in one after the other."""
    if column.null_count:
        raise ValueError(f"column {name!r} lacks {column.null_count} of its {len(column)} vectors")
    chunks = [getattr(chunk, "storage", chunk) for chunk in column.chunks]
    tables = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), -1) for chunk in chunks if len(chunk)]
    if not tables:
        return np.empty((0, 0))
    return tables[0] if len(tables) == 1 else np.concatenate(tables)
