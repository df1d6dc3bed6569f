"""Parquet files as shards, read by the workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from ..tables import import_parquet
from .arrow import table_of
from .base import Loader, Shard, Source
from .paths import find_files, is_path


@final
@dataclasses.dataclass(frozen=True)
class ParquetShard:
    """A loader of a parquet file, or of one of its row groups."""

    filesystem: Any
    path: str
    row_group: int | None

    def __call__(self) -> Shard:
        """Read the table; labels and weights are columns of it."""
        with self.opened() as rows:
            table = self.read(rows)
        return table_of(table), None, None

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The pyarrow.parquet.ParquetFile, whose footer is read at once and whose rows are read when asked for."""
        parquet = import_parquet()
        with self.filesystem.open_input_file(self.path) as file, parquet.ParquetFile(file) as rows:
            yield rows

    def read(self, rows: Any, columns: list[str] | None = None) -> Any:
        """The shard's rows of an opened file as a pyarrow.Table: of all columns, or of some."""
        if self.row_group is None:
            return rows.read(columns, use_threads=False)
        return rows.read_row_group(self.row_group, columns, use_threads=False)


@final
class ParquetSource(Source):
    """Parquet files, of which workers read each a file or a row group at a time.

    Only names and, for row groups, footers are read where the source is made. Labels and weights are columns. What only
    the names of folders say, such as ``year=2024``, is not read.

    Parameters
    ----------
    paths : str, Path, or list of these
        Files, folders, globs or URIs, as ``data/*.parquet``, ``data/`` or ``s3://bucket/data/*.parquet``. Those of a
        list come in its order, those of a folder or glob sorted by name.
    shards : {"auto", "file", "row_group"}, default="auto"
        What a shard is. "auto" takes files, but for one file alone its row groups.

    Raises
    ------
    FileNotFoundError
        When a path has no files.
    ImportError
        When pyarrow is missing.
    ValueError, TypeError
        When an argument is of another kind.

    Attributes
    ----------
    shards : list of ParquetShard

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np, pandas as pd
    >>> from coreset import DistributedCoreset
    >>> from coreset.sources import ParquetSource
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> rows = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["a", "b"])
    >>> rows.to_parquet(folder / "rows.parquet", row_group_size=100)
    >>> source = ParquetSource(folder / "*.parquet")
    >>> len(source)
    3
    >>> run = DistributedCoreset(2048, backend="local", progress=False, random_state=0).fit(source)
    >>> run.coreset_.feature_names
    ('a', 'b')
    """

    def __init__(self, paths: Any, *, shards: str = "auto") -> None:
        if shards not in ("auto", "file", "row_group"):
            raise ValueError(f"shards={shards!r} must be 'auto', 'file' or 'row_group'")
        import_parquet()
        files = [(filesystem, file) for path in _listed(paths) for filesystem, file in _pairs(path)]
        by_group = shards == "row_group" or (shards == "auto" and len(files) == 1)
        self.shards = [
            ParquetShard(filesystem, file, group)
            for filesystem, file in files
            for group in (_row_groups(filesystem, file) if by_group else [None])
        ]

    def __len__(self) -> int:
        """Number of shards."""
        return len(self.shards)

    def name(self, shard: int) -> str:
        """Number, file and row group."""
        loader = self.shards[shard]
        group = "" if loader.row_group is None else f", row group {loader.row_group}"
        return f"shard {shard} ({loader.path}{group})"

    def loader(self, shard: int) -> Loader:
        """Knows the filesystem and the path."""
        return self.shards[shard]


def _listed(paths: Any) -> Sequence[str | Path]:
    listed = list(paths) if isinstance(paths, list | tuple) else [paths]
    if not listed:
        raise ValueError("paths is an empty list: there is no shard to summarise")
    for number, path in enumerate(listed):
        if not is_path(path):
            raise TypeError(f"paths[{number}] is a {type(path).__name__}, not a str or a Path")
    return listed


def _pairs(path: str | Path) -> list[tuple[Any, str]]:
    filesystem, files = find_files(path)
    return [(filesystem, file) for file in files]


def _row_groups(filesystem: Any, path: str) -> Sequence[int | None]:
    """Numbers of a file's row groups; a file that has none, or no readable footer, is a shard as a whole."""
    import pyarrow as pa

    try:
        with filesystem.open_input_file(path) as file, import_parquet().ParquetFile(file) as rows:
            return range(rows.num_row_groups) or [None]
    except (pa.ArrowException, OSError):
        return [None]  # its worker says what is wrong with it, where the run may go on without
