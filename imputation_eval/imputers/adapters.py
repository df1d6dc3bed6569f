"""One way to call every kind of imputer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pandas as pd
from sklearn.impute import KNNImputer, SimpleImputer

from imputation_eval._validation import check_integer, check_table
from imputation_eval.encoding import column_roles, is_time
from imputation_eval.imputers.contract import (
    as_frame,
    check_imputer,
    checked,
    known_columns,
    seed_binding,
    seeded_copy,
    seeded_globals,
)
from imputation_eval.imputers.table import TableImputer


def impute(
    imputer: Any, df: pd.DataFrame, random_state: int, *, categorical: str | Iterable[Hashable] = "infer"
) -> pd.DataFrame:
    """Fill the holes of a table by a fresh copy of an imputer, and check what it returns.

    Parameters
    ----------
    imputer : object with ``fit_transform``, or callable ``(df, random_state: int) -> df``
        Never changed: an estimator is cloned, and every ``random_state`` parameter, nested ones too, is set; other
        objects are deep-copied, and their attribute ``random_state`` is set if they have one. What draws from the
        global state of ``np.random`` or ``random`` is reproducible, too: both are seeded for the call and put back
        after it (other threads see that, processes do not). scikit-learn's own imputers of arrays work on any table:
        where a column is not numeric they are wrapped in :class:`~imputation_eval.TableImputer`.
    df : DataFrame of shape (n_rows, n_columns)
        Table with holes. The imputer gets a copy.
    random_state : int
        Seed for the imputer, in [0, 2**32).
    categorical : "infer" or list of column names
        Which columns are nominal; it matters where an imputer is wrapped.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        `df` with its holes filled: same index and columns, observed cells exactly as they were. Dtypes stay where they
        can hold the imputed values; nullable integers become float, nullable booleans that were imputed numbers object.

    Raises
    ------
    TypeError
        If `imputer` is no imputer, or `random_state` no int.
    ValueError
        If `random_state` is out of range.
    ImputationError
        If observed cells changed by more than rounding (numbers: by over 1e-5 of themselves plus 1e-6 of the column's
        robust scale, see :class:`~imputation_eval.TableEncoder`), holes or infinite values are left, or shape, index or
        columns differ. Exceptions of the imputer itself pass through.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.impute import SimpleImputer
    >>> from imputation_eval import impute
    >>> impute(SimpleImputer(), pd.DataFrame({"x": [1.0, np.nan, 3.0]}, index=["a", "b", "c"]), random_state=0)
         x
    a  1.0
    b  2.0
    c  3.0
    """
    check_table(df, "df")
    check_imputer(imputer, "imputer")
    seed = check_integer(random_state, "random_state", minimum=0)
    if seed >= 2**32:
        raise ValueError(f"random_state={seed} should be below 2**32.")
    with seeded_globals(seed):
        if hasattr(imputer, "fit_transform"):
            output = seeded_copy(_adapted(imputer, df, categorical), seed).fit_transform(df.copy())
        else:
            # Deep-copied like the others, so that state which a callable object keeps cannot leak into its next use.
            output = _call_with_seed(copy.deepcopy(imputer), df.copy(), seed)
    return checked(df, as_frame(df, output))


def _adapted(imputer: Any, df: pd.DataFrame, categorical: str | Iterable[Hashable]) -> Any:
    """Wrap scikit-learn's imputers of arrays where the table has columns that are no numbers, dates among them."""
    takes_arrays = type(imputer).__module__.startswith("sklearn.impute.") and not (
        isinstance(imputer, SimpleImputer) and imputer.strategy in ("most_frequent", "constant")
    )
    roles = column_roles(df, known_columns(categorical, df)) if takes_arrays else {}
    if all(role == "numeric" and not is_time(df[name].dtype) for name, role in roles.items()):
        return imputer
    return TableImputer(imputer, categorical=categorical, drop_redundant=not isinstance(imputer, KNNImputer))


def _call_with_seed(function: Callable[..., Any], df: pd.DataFrame, seed: int) -> Any:
    return function(df, seed) if seed_binding(function) == "positional" else function(df, random_state=seed)
