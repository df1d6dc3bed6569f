"""What parquet files tell of their rows without these being read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..columns import plain_columns
from ..errors import type_and_first_line
from ..raw import raw_bytes_of
from .parquet import ParquetShard, ParquetSource


def parquet_raw_bytes(
    source: ParquetSource,
    label_column: str | None = None,
    weight_column: str | None = None,
    *,
    target_type: str = "auto",
) -> int:
    """Bytes of all rows in their own type, by the count that `accounting` has.

    Footers are read, and of the rows the labels alone, a shard at a time, to count classes.

    Parameters
    ----------
    source : ParquetSource
    label_column, weight_column : str, optional
        Weights do not count.
    target_type : {"auto", "class", "numeric"}, default="auto"
        What labels are; as in `RobustCoreset`.

    Returns
    -------
    int

    Raises
    ------
    ValueError, OSError
        When a file cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np, pandas as pd
    >>> from coreset.sources import ParquetSource, parquet_raw_bytes
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.parquet"
    >>> rows = pd.DataFrame(np.zeros((100, 3), dtype=np.float32), columns=["a", "b", "c"]).assign(kind="x")
    >>> rows.to_parquet(path)
    >>> parquet_raw_bytes(ParquetSource(path), "kind")     # 100 x (3 x 4 bytes + 1 that numbers the class)
    1300
    """
    total = 0
    for number, shard in enumerate(source.shards):
        try:
            total += _raw_bytes(shard, label_column, weight_column, target_type)
        except (ValueError, TypeError, OSError) as error:  # pyarrow's are among them
            raise ValueError(f"{source.name(number)} cannot be read: {type_and_first_line(error)}") from error
    return total


def _raw_bytes(shard: ParquetShard, label_column: str | None, weight_column: str | None, target_type: str) -> int:
    labels = None
    with shard.opened() as rows:
        schema = rows.schema_arrow
        n_rows = (rows.metadata if shard.row_group is None else rows.metadata.row_group(shard.row_group)).num_rows
        if label_column is not None and label_column in schema.names and n_rows:
            labels = shard.read(rows, [label_column]).to_pandas()[label_column]
    return raw_bytes_of(n_rows, _feature_dtypes(schema, {label_column, weight_column}), labels, target_type)


def _feature_dtypes(schema: Any, taken: set[str | None]) -> list[np.dtype[Any]]:
    """Type of every column as a worker will have it; a vector counts as so many columns."""
    frame = plain_columns(schema.empty_table().to_pandas())
    dtypes: list[np.dtype[Any]] = []
    for name, dtype in frame.dtypes.items():
        if name in taken:
            continue
        kind = schema.field(name).type
        width, value = getattr(kind, "list_size", None), getattr(kind, "value_type", None)
        if width is not None and value is not None:
            dtypes += [np.dtype(value.to_pandas_dtype())] * width
        else:
            dtypes.append(dtype if isinstance(dtype, np.dtype) and dtype.kind in "biuf" else np.dtype(np.float64))
    return dtypes
