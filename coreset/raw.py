"""The raw data that a summary stands for: bytes in its own type, and what zstd makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .targets import NUMERIC, typed_targets

_ZSTD_LEVEL = 3
ZSTD_SAMPLE_BYTES = 8 << 20
_BLOCKS = 8  # of a megabyte, which is long beside the distances at which this level finds repetitions


def target_dtype(source_dtype: np.dtype[Any], target_type: str | None, n_classes: int = 0) -> np.dtype[Any] | None:
    """Type in which the raw data's target is counted, which messages do not tell.

    A numeric target is counted like one more column of a table of floats, and as a double beside other columns. A class
    is counted as the least whole bytes that number all of them, whatever it is called: long names would flatter the
    ratios.

    Parameters
    ----------
    source_dtype : numpy.dtype
    target_type : {"class", "numeric"} or None
    n_classes : int

    Returns
    -------
    numpy.dtype or None
        None without a target.
    """
    if target_type is None:
        return None
    if target_type == NUMERIC:
        return source_dtype if source_dtype.kind == "f" else np.dtype(np.float64)
    return np.min_scalar_type(max(n_classes - 1, 0))


def raw_bytes(
    n_source: int, n_features: int, source_dtype: np.dtype[Any], target_type: str | None, n_classes: int = 0
) -> int:
    """Bytes of the raw data in its own type: its features, and its target as `target_dtype` has it.

    Parameters
    ----------
    n_source, n_features : int
    source_dtype : numpy.dtype
    target_type : {"class", "numeric"} or None
    n_classes : int

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> raw_bytes(1000, 4, np.dtype(np.float32), "class", n_classes=3)     # one byte numbers three classes
    17000
    """
    target = target_dtype(source_dtype, target_type, n_classes)
    return n_source * (n_features * source_dtype.itemsize + (0 if target is None else target.itemsize))


def raw_bytes_of(n_rows: int, dtypes: Sequence[np.dtype[Any]], y: ArrayLike | None, target_type: str = "auto") -> int:
    """`raw_bytes` of a table that nobody has checked, nor does this: labels that no summary takes count nothing.

    Parameters
    ----------
    n_rows : int
    dtypes : sequence of numpy.dtype
        Of the features.
    y : array-like of shape (n_rows,), optional
        Class labels or a numeric target.
    target_type : {"auto", "class", "numeric"}, default="auto"

    Returns
    -------
    int
        0 without features.
    """
    if not dtypes:
        return 0
    try:
        labels, kind = (None, None) if y is None else typed_targets(y, target_type)
    except (ValueError, TypeError):  # whoever summarises the rows says what is wrong, or leaves them out
        labels, kind = None, None
    n_classes = 0 if labels is None else len(np.unique(labels))
    return raw_bytes(n_rows, len(dtypes), np.result_type(*dtypes), kind, n_classes)


def zstd_bytes(X: NDArray[Any], source_dtype: np.dtype[Any], target: NDArray[Any] | None = None) -> int | None:
    """What the raw data take after zstd of level 3, measured on at most 8 MiB of them and scaled up.

    What is compressed are evenly spaced blocks of rows, one after the other, each as it would lie in a file: the
    features row by row in `source_dtype`, then the target. Data of up to 8 MiB are compressed whole. Beyond that,
    repetitions between far rows are not seen, nor would they be in the whole, since this level looks back two
    megabytes; at least one row is compressed, however long it is.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    source_dtype : numpy.dtype
        Type that the table was stored in.
    target : ndarray of shape (n,), optional
        In the type that it is counted in.

    Returns
    -------
    int or None
        None where no zstd is installed: Python has it from 3.14 on, the package zstandard before.
    """
    row_bytes = X.shape[1] * source_dtype.itemsize + (0 if target is None else target.itemsize)
    n_rows = max(1, min(len(X), ZSTD_SAMPLE_BYTES // row_bytes))
    sample = b"".join(_stored(X, source_dtype, target, rows) for rows in _spaced(len(X), n_rows))
    size = _compressed_size(sample)
    # In integers, since doubles would lose digits of large tables.
    return None if size is None else -(-size * len(X) // n_rows)


def _spaced(n_rows: int, n_taken: int) -> Iterator[slice]:
    """Evenly spaced blocks of `n_taken` rows in all, the first and the last row among them."""
    n_blocks = 1 if n_taken == n_rows else min(_BLOCKS, n_taken)
    for block in range(n_blocks):
        length = (block + 1) * n_taken // n_blocks - block * n_taken // n_blocks
        start = (n_rows - length) * block // max(n_blocks - 1, 1)
        yield slice(start, start + length)


def _stored(X: NDArray[Any], dtype: np.dtype[Any], target: NDArray[Any] | None, rows: slice) -> bytes:
    with np.errstate(all="ignore"):  # of a type that doubles cannot hold, such as large uint64
        features = X[rows].astype(dtype).tobytes()
    return features if target is None else features + target[rows].tobytes()


def _compressed_size(data: bytes) -> int | None:
    try:
        from compression import zstd
    except ImportError:
        try:
            import zstandard
        except ImportError:
            return None
        return len(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data))
    return len(zstd.compress(data, level=_ZSTD_LEVEL))
