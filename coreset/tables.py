"""Tables in files of rows: parquet, csv and NumPy's npy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from .errors import needed


def import_parquet() -> Any:
    """The module pyarrow.parquet.

    Raises
    ------
    ImportError
        When pyarrow is missing, naming the extra that brings it.
    """
    with needed("pyarrow", "parquet files need pyarrow: pip install 'coreset-eval[parquet]'"):
        import pyarrow.parquet
    return pyarrow.parquet


def _read_npy(path: Path) -> np.ndarray | pd.DataFrame:
    with open(path, "rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:  # else NumPy speaks of pickles
            raise ValueError("it does not hold one array in NumPy's format")
    table = np.load(path, allow_pickle=False)
    if table.dtype.names is not None and table.ndim == 1:
        return pd.DataFrame.from_records(table)
    if table.ndim != 2 or 0 in table.shape or table.dtype.kind not in "biuf":
        raise ValueError(f"it holds {table.dtype} of shape {table.shape}, expected numbers of shape (n, d)")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


def _read_parquet(path: Path) -> pd.DataFrame:
    import_parquet()
    return pd.read_parquet(path)


def _write_npy(frame: pd.DataFrame, file: IO[bytes]) -> None:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"several columns are called {twice[0]!r}, which fields of an array cannot be")
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    # Strings of pandas are objects, which only pickles hold.
    arrays = {name: a.astype(str) if a.dtype == object else a for name, a in columns.items()}
    table = np.empty(len(frame), dtype=[(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        table[name] = array
    np.save(file, table, allow_pickle=False)


def _write_csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    frame.to_csv(file, index=False)


def _write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    import_parquet()
    frame.to_parquet(file, index=False)


# By the end of a file's name.
READERS: dict[str, Callable[[Path], np.ndarray | pd.DataFrame]] = {
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
}
WRITERS: dict[str, Callable[[pd.DataFrame, IO[bytes]], None]] = {
    ".npy": _write_npy,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".pq": _write_parquet,
}
