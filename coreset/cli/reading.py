"""What the inputs of `coreset build` stand for: parquet that workers read, or tables that this process reads."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..columns import plain_columns, take_columns
from ..errors import first_line
from ..raw import raw_bytes_of
from ..sources import ParquetSource, parquet_raw_bytes
from ..sources.paths import SUFFIXES, WILD
from ..tables import READERS
from .failures import BAD_USE, Failure, complain, in_options
from .files import check_input, check_suffix

if TYPE_CHECKING:
    import pandas as pd


# Where errors of the driver name one; elsewhere it may be a column that is called so.
_SHARD = re.compile(r"(?:^|(?<=[;:,] )|(?<=than ))shard (\d+)\b")
Shard = tuple[Any, Any, Any]  # table, labels, weights


class Inputs(NamedTuple):
    """What `DistributedCoreset` is given.

    Parameters
    ----------
    X, y, sample_weight : as in `DistributedCoreset.fit`
    label_column, weight_column : str or None
        Its parameters; None where this process has taken the columns.
    n_shards : int or None
        None where this process has read the tables.
    raw_bytes : callable
        Says what all rows take, by the count that `accounting` has.
    files : sequence of str
        Whose tables this process has read; empty for paths, of which shards know the names.
    """

    X: Any
    y: Any
    sample_weight: Any
    label_column: str | None
    weight_column: str | None
    n_shards: int | None
    raw_bytes: Callable[[], int]
    files: Sequence[str] = ()

    def local_files(self) -> set[str]:
        """Files of this machine whose rows are read, such as those that a folder, pattern or URI stands for."""
        if isinstance(self.X, ParquetSource):
            return {shard.path for shard in self.X.shards if shard.filesystem.type_name == "local"}
        return set(self.files)

    def with_files(self, text: str) -> str:
        """An error that tells numbers of shards, with the names of their files."""
        return _SHARD.sub(self._file, text) if self.files else text

    def _file(self, found: re.Match[str]) -> str:
        shard = int(found[1])
        # One table alone is cut, but most are too small for that.
        return self.files[shard] if shard < len(self.files) else f"{self.files[0]}, {found[0]}"


def read(inputs: Sequence[str], label: str | None, weight: str | None, target: str) -> Inputs:
    """Parquet as paths, of which only footers are read here; all else, and mixtures, as tables."""
    if label is not None and label == weight:
        raise Failure(f"--label and --weight are both {label!r}", BAD_USE)
    for text in inputs:
        if not _is_remote_or_many(text):
            check_input(Path(text))
            check_suffix(Path(text), READERS)
    if all(_is_parquet(text) for text in inputs):
        return _parquet(inputs, label, weight, target)
    if several := [text for text in inputs if _is_remote_or_many(text)]:
        raise Failure(f"{several[0]}: folders, patterns and URIs are for parquet alone", BAD_USE)
    shards = [_table(Path(text), label, weight) for text in inputs]
    # One table alone is cut into shards; of several, each is one.
    X, y, weights = shards[0] if len(shards) == 1 else (list(column) for column in zip(*shards, strict=True))
    raw = functools.partial(_raw_bytes, shards, target)
    return Inputs(X, _given(y), _given(weights), None, None, None, raw, inputs)


def _is_remote_or_many(text: str) -> bool:
    path = Path(text)
    return "://" in text or path.is_dir() or bool(WILD.search(text) and not path.exists())


def _is_parquet(text: str) -> bool:
    return _is_remote_or_many(text) or Path(text).suffix.lower() in SUFFIXES


def _parquet(inputs: Sequence[str], label: str | None, weight: str | None, target: str) -> Inputs:
    try:
        source = ParquetSource(list(inputs))
    except (FileNotFoundError, ValueError) as error:  # no such file, or a URI that nobody knows
        raise Failure(in_options(first_line(error)), BAD_USE) from error
    raw = functools.partial(parquet_raw_bytes, source, label, weight, target_type=target)
    return Inputs(source, None, None, label, weight, len(source), raw)


def _given(part: Any) -> Any:
    return None if part is None or (isinstance(part, list) and part[0] is None) else part


def _table(path: Path, label: str | None, weight: str | None) -> Shard:
    print(f"coreset: reading {path}", file=sys.stderr)
    try:
        table = READERS[path.suffix.lower()](path.absolute())  # in which nobody takes ~ for a home
    except ImportError as error:
        raise Failure(f"{path}: {error}", BAD_USE) from error
    except Exception as error:  # whatever the reader of a format raises, it is about the file
        raise Failure(f"{path}: {first_line(error)}") from error
    if len(table) == 0:
        raise Failure(f"{path}: it has no rows")
    if isinstance(table, np.ndarray):
        return _taken_by_number(path, table, label, weight)
    return _taken_by_name(path, table, label, weight)


def _taken_by_name(path: Path, table: pd.DataFrame, label: str | None, weight: str | None) -> Shard:
    try:
        features, y, weights = take_columns(table, None, None, label, weight)
        features = plain_columns(features)
    except ValueError as error:
        raise Failure(f"{path}: {in_options(str(error))}") from error
    if nameless := [name for name in features.columns if re.fullmatch(r"Unnamed: \d+", str(name))]:
        text = f"{path}: {nameless[0]!r} has no name and is taken for a feature; is it the index of a table?"
        complain(text, 0, "warning")
    for column, dtype in features.dtypes.items():
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
            raise Failure(f"{path}: column {column!r} holds {dtype}, not numbers")
    return features, *(None if part is None else part.to_numpy() for part in (y, weights))


def _taken_by_number(path: Path, table: np.ndarray, label: str | None, weight: str | None) -> Shard:
    taken: list[int | None] = []
    for option, name in (("--label", label), ("--weight", weight)):
        if name is None:
            taken.append(None)
        elif not name.removeprefix("-").isdecimal() or not -table.shape[1] <= int(name) < table.shape[1]:
            raise Failure(f"{path}: {option} {name!r} is no number of its {table.shape[1]} columns")
        else:
            taken.append(int(name) % table.shape[1])
    numbers = [number for number in taken if number is not None]
    if len(set(numbers)) < len(numbers):
        raise Failure(f"--label and --weight are both column {numbers[0]}", BAD_USE)
    if len(numbers) == table.shape[1]:
        raise Failure(f"{path}: it has no columns but labels and weights")
    features = np.delete(table, numbers, axis=1) if numbers else table
    y, weights = (None if number is None else table[:, number] for number in taken)
    return features, y, weights


def _raw_bytes(shards: Sequence[Shard], target: str) -> int:
    total = 0
    for X, y, _ in shards:
        dtypes = [X.dtype] * X.shape[1] if isinstance(X, np.ndarray) else list(X.dtypes)
        total += raw_bytes_of(len(X), dtypes, y, target)
    return total
