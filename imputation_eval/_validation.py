"""Checks of arguments and derivation of seeds, shared by all modules of the package."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RandomStateLike = int | np.random.RandomState | np.random.Generator | None
LARGEST_COORDINATE = 1e150  # squared distances between larger ones would overflow
_PACKAGE = f"{Path(__file__).parent}{os.sep}"


def warn_user(message: str) -> None:
    """Warn in such a way that the warning names the line outside this package from which it was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def as_entropy(random_state: RandomStateLike) -> int:
    """Turn any accepted ``random_state`` into one integer from which all seeds of a run derive."""
    if random_state is None:
        return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state={random_state} should be >= 0.")
        return int(random_state)
    raise TypeError(f"random_state should be None, an int, a RandomState or a Generator, got {random_state!r}.")


def as_generator(random_state: RandomStateLike) -> np.random.Generator:
    """Turn any accepted ``random_state`` into a generator; a Generator is used as it is.

    An int gives another stream than ``np.random.default_rng`` of it, from which the data may have come: uniform ones
    would be ordered like the keys by which cells are hidden.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    return derive_generator(as_entropy(random_state))


def derive_generator(entropy: int, *path: int | str) -> np.random.Generator:
    """Return the generator that belongs to ``path``, whatever was drawn elsewhere before.

    The path is hashed instead of handed to ``SeedSequence`` as a list, because that pads with zeros, so that ``[1]``
    and ``[1, 0]`` would share a stream.
    """
    digest = hashlib.blake2b(repr((entropy, *path)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def derive_seed(entropy: int, *path: int | str) -> int:
    """Return the integer seed in [0, 2**31 - 1) that belongs to ``path``."""
    return int(derive_generator(entropy, *path).integers(2**31 - 1))


def check_integer(value: Any, name: str, *, minimum: int) -> int:
    """Return ``value`` as an int, or raise an error that names the argument."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} should be an int, got {value!r}.")
    if value < minimum:
        raise ValueError(f"{name}={value} should be >= {minimum}.")
    return int(value)


def check_n_jobs(value: Any) -> int | None:
    """Return ``n_jobs`` as joblib takes it: None, or an int other than 0."""
    if value is None:
        return None
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"n_jobs should be None or an int, got {value!r}.")
    if value == 0:
        raise ValueError("n_jobs=0 should be positive, or negative to count from all cores (-1).")
    return int(value)


def check_open_fraction(value: Any, name: str) -> float:
    """Return ``value`` as a float that lies strictly between 0 and 1."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} should be a number, got {value!r}.")
    if not 0 < float(value) < 1:
        raise ValueError(f"{name}={value} should lie strictly between 0 and 1.")
    return float(value)


def check_table(table: Any, name: str) -> pd.DataFrame:
    """Check what every table must fulfil: a DataFrame with rows, and columns that have names, which differ."""
    if not isinstance(table, pd.DataFrame):
        package, kind = type(table).__module__.partition(".")[0], type(table).__name__
        if package in ("polars", "pyarrow"):
            raise TypeError(f"{name} should be a pandas DataFrame, got a {package}.{kind}; see {name}.to_pandas().")
        raise TypeError(f"{name} should be a pandas DataFrame, got {kind}; see pd.DataFrame(array).")
    if 0 in table.shape:
        raise ValueError(f"{name} should have at least one row and one column, got shape {table.shape}.")
    if not table.columns.is_unique:
        duplicates = list(table.columns[table.columns.duplicated()].unique())
        raise ValueError(f"{name} has columns with the same name: {duplicates}.")
    lacks = _lacks_name(table.columns)
    nameless = {place: label for place, label in enumerate(table.columns) if lacks[place]}
    if nameless:
        raise ValueError(f"{name} has columns without a name (position: label): {nameless}; name them.")
    return table


def _lacks_name(labels: pd.Index) -> NDArray[np.bool_]:
    # None and NaN, which may differ from themselves, so that no look-up finds them.
    if isinstance(labels, pd.MultiIndex):
        return np.any([np.asarray(codes) == -1 for codes in labels.codes], axis=0)
    return np.asarray(labels.isna())


def check_no_empty_column(table: pd.DataFrame, name: str) -> None:
    """Raise when a column has no observed cell, since nothing can be learnt about it."""
    empty = [column for column in table.columns if table[column].isna().all()]
    if empty:
        raise ValueError(f"{name} has columns without a single observed cell: {empty}; drop them first.")


def check_sample(sample: Any, name: str) -> NDArray[np.float64]:
    """Return ``sample`` as a float array (n_rows, n_features) whose squares are finite; 1-D means one feature."""
    array = np.asarray(sample, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name} should have 1 or 2 dimensions, got shape {array.shape}.")
    if 0 in array.shape:
        raise ValueError(f"{name} should have at least one row and one column, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    if np.abs(array).max() > LARGEST_COORDINATE:
        raise ValueError(f"{name} contains values beyond {LARGEST_COORDINATE:g}, whose distances overflow.")
    return array
