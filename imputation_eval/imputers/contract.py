"""What counts as an imputer, and the check of what one returns."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from imputation_eval.encoding import (
    LARGEST_VALUE,
    as_float,
    check_categorical,
    holds_numbers,
    plain_floats,
    robust_scale,
)

# Observed cells may come back changed by rounding, e.g. out of a pipeline that scales and scales back in float32: by
# the first share of themselves plus, for those near 0, the second share of the scale of their column.
_ROUNDING = 1e-5
_SCALED_ROUNDING = 1e-6
_BLOCK_ENTRIES = 2**15  # cells that are checked at a time


class ImputationError(ValueError):
    """An imputer broke its contract: it changed observed cells, left holes, or changed the shape or the labels."""


def check_imputer(imputer: Any, name: str) -> None:
    """Raise a TypeError unless ``imputer`` has ``fit_transform`` or can be called with a table and a seed."""
    if isinstance(imputer, type):
        raise TypeError(f"{name} is the class {imputer.__name__}; pass an instance, {imputer.__name__}(...).")
    if hasattr(imputer, "fit_transform"):
        return
    if not callable(imputer):
        raise TypeError(f"{name} should have fit_transform or be a callable (df, random_state) -> df, got {imputer!r}.")
    if seed_binding(imputer) is None:
        raise TypeError(f"{name} should take two arguments, (df, random_state: int), got {imputer!r}.")


def name_imputers(imputers: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Check ``imputers``, a mapping or pairs of name and imputer, and return a dict."""
    if not isinstance(imputers, Iterable):
        raise TypeError(f"imputers should be a dict of name and imputer, got {imputers!r}.")
    pairs = list(imputers.items()) if isinstance(imputers, Mapping) else list(imputers)
    if not pairs:
        raise ValueError("imputers is empty; pass {name: imputer}, for instance default_imputers().")
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"imputers should be a dict or pairs of name (a str) and imputer, got the entry {pair!r}.")
    names = [name for name, _ in pairs]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"imputers has several entries with the same name: {duplicates}.")
    for name, imputer in pairs:
        check_imputer(imputer, f"imputers[{name!r}]")
    return dict(pairs)


def seeded_copy(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy with every ``random_state`` parameter, nested ones too, set to ``seed``.

    Without parameters in the sense of scikit-learn, a deep copy whose attribute ``random_state`` is set if it has one
    that can be.
    """
    if not hasattr(estimator, "get_params"):
        duplicate = copy.deepcopy(estimator)
        if hasattr(duplicate, "random_state"):
            with suppress(AttributeError):  # read only: of a frozen dataclass, or a property
                duplicate.random_state = seed
        return duplicate
    estimator = clone(estimator)
    names = [n for n in sorted(estimator.get_params()) if n == "random_state" or n.endswith("__random_state")]
    return estimator.set_params(**dict.fromkeys(names, seed)) if names else estimator


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Seed the generators that belong to all, NumPy's legacy one and Python's, and leave them as they were."""
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])


def known_columns(categorical: str | Iterable[Hashable], table: pd.DataFrame) -> str | list[Hashable]:
    """Leave out of a list of columns those that ``table`` lacks, so that an imputer serves any part of a table."""
    named = check_categorical(categorical)
    return named if isinstance(named, str) else [name for name in named if name in table.columns]


def seed_binding(function: Callable[..., Any]) -> str | None:
    """Say how the seed can be handed over: "positional", "keyword", or None if in neither way."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some compiled functions tell nothing
        return "positional"
    for binding, args, kwargs in (("positional", (0, 0), {}), ("keyword", (0,), {"random_state": 0})):
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            continue
        return binding
    return None


def as_frame(df: pd.DataFrame, output: Any) -> pd.DataFrame:
    """Give an imputer's output the labels of ``df``, or raise."""
    if isinstance(output, pd.DataFrame):
        if not output.index.equals(df.index):
            raise ImputationError(f"the index changed: {index_difference(df.index, output.index)}.")
        if set(output.columns) != set(df.columns) or output.shape[1] != df.shape[1]:
            raise ImputationError(f"the columns changed from {list(df.columns)} to {list(output.columns)}.")
        return output[df.columns]
    array = output.toarray() if sparse.issparse(output) else np.asarray(output)
    # scikit-learn drops columns without an observed value; give them back, so that the error can name them as holes.
    kept = df.notna().any(axis=0).to_numpy()
    if array.shape == (len(df), kept.sum()) and not kept.all():
        restored = np.full(df.shape, np.nan, dtype=object)
        restored[:, kept] = array
        array = restored
    if array.ndim == 0:
        raise ImputationError(f"it returned no table but {type(output).__name__}.")
    if array.shape != df.shape:
        raise ImputationError(f"the shape changed from {df.shape} to {array.shape}.")
    return pd.DataFrame(array, index=df.index, columns=df.columns)


def index_difference(index: pd.Index, other: pd.Index) -> str:
    """Say in words how two indices that are not equal differ."""
    if len(index) != len(other):
        return f"{len(index)} rows against {len(other)}"
    return f"all {len(index)} rows are there, but labels differ or are in another order"


def checked(df: pd.DataFrame, output: pd.DataFrame) -> pd.DataFrame:
    """Return ``df`` with its holes filled from ``output``, or raise an ImputationError."""
    n_left = output.isna().sum()
    if n_left.any():
        raise ImputationError(f"holes are left (column: cells): {n_left[n_left > 0].to_dict()}.")
    holes = df.isna().to_numpy()
    sound, floats = _sound_floats(df, output, holes)
    rest = df.columns[~sound]
    changed = {name: n for name in rest if (n := count_changed(df[name], output[name]))}
    if changed:
        raise ImputationError(f"observed cells changed (column: cells): {changed}.")
    filled = pd.DataFrame(floats, index=df.index, columns=df.columns[sound], copy=False)
    if len(rest):
        where = dict(zip(rest, holes.T[~sound], strict=True))
        others = fill_table(df.loc[:, ~sound], lambda name, n: output[name].to_numpy()[where[name]])
        filled = pd.concat([filled, others], axis=1)[list(df.columns)]
        filled.columns = df.columns
    return filled


def _sound_floats(
    df: pd.DataFrame, output: pd.DataFrame, holes: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Tell which columns are float64 in both and in order at first sight, and fill these: a block is fast, columns not.

    Returns
    -------
    sound : bool ndarray of shape (n_columns,)
        Observed cells agree relative to their size, and all values are within bounds.
    filled : ndarray of shape (n_rows, n_sound)
    """
    plain = plain_floats(df) & plain_floats(output)
    before, after, hole = df.loc[:, plain].to_numpy(), output.loc[:, plain].to_numpy(), holes[:, plain]
    filled, in_order = np.empty_like(before), np.ones(before.shape[1], dtype=bool)
    step = max(1, _BLOCK_ENTRIES // max(1, before.shape[1]))  # in the cache, which halves the time of a large table
    for part in (slice(start, start + step) for start in range(0, len(df), step)):
        old, new = before[part], after[part]
        agree = hole[part] | (new == old)
        if not agree.all():
            agree |= np.abs(new - old) <= _ROUNDING * np.abs(old)
        in_order &= (agree & (np.abs(new) <= LARGEST_VALUE)).all(axis=0)
        filled[part] = np.where(hole[part], new, old)
    plain[plain] = in_order
    return plain, filled if in_order.all() else filled[:, in_order]


def count_changed(before: pd.Series, after: pd.Series) -> int:
    """Count the observed cells of ``before`` that differ in ``after`` by more than rounding."""
    observed = before.notna().to_numpy()
    if holds_numbers(before):
        old, new = as_float(before)[observed], _numbers(after)[observed]
        if not len(old):
            return 0
        tolerance = _ROUNDING * np.abs(old) + _SCALED_ROUNDING * robust_scale(old)
        return int((np.abs(new - old) > tolerance).sum())
    same = before.astype(object).to_numpy()[observed] == after.astype(object).to_numpy()[observed]
    return int((~np.asarray(same, dtype=bool)).sum())


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    try:
        return as_float(column)
    except ValueError as error:
        raise ImputationError(str(error)) from error


def fill_table(df: pd.DataFrame, values: Callable[[Any, int], Any]) -> pd.DataFrame:
    """Return ``df`` with the holes of each column replaced by ``values(name, number of holes)``."""
    columns = []
    for name in df.columns:
        holes = df[name].isna().to_numpy()
        columns.append(_fill(df[name], holes, values(name, int(holes.sum()))) if holes.any() else df[name].copy())
    filled = pd.concat(columns, axis=1)
    filled.columns = df.columns
    return filled


def _fill(column: pd.Series, holes: NDArray[np.bool_], values: Any) -> pd.Series:
    if holds_numbers(column):
        filled = as_float(column)
        filled[holes] = _numbers(pd.Series(values, name=column.name))
        return _with_float_dtype(pd.Series(filled, index=column.index, name=column.name), column.dtype)
    array = column.array.copy()
    try:
        array[holes] = values
    except (TypeError, ValueError) as error:
        if pd.api.types.is_bool_dtype(column.dtype):  # numbers, where booleans are read as 0 and 1
            return _fill(column.astype(object), holes, values)
        examples = ", ".join(repr(value) for value in pd.unique(pd.Series(values, dtype=object))[:3])
        raise ImputationError(
            f"column {column.name!r} ({column.dtype}) cannot hold what was imputed, among it {examples}."
        ) from error
    # With its dtype, since pandas would turn objects that are all strings into its string dtype.
    return pd.Series(array, index=column.index, name=column.name, dtype=column.dtype)


def _with_float_dtype(filled: pd.Series, dtype: Any) -> pd.Series:
    """Give floats the precision that the column had, if no value is too large for it."""
    if not pd.api.types.is_float_dtype(dtype):
        return filled
    with np.errstate(over="ignore"):
        narrowed = filled.astype(dtype)
    return narrowed if np.isfinite(narrowed.to_numpy(dtype=np.float64)).all() else filled
