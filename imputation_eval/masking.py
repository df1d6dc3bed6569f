"""Masking mechanisms: which observed cells of a table are hidden to see how well an imputer restores them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import RandomStateLike, as_generator, check_open_fraction, check_table

_Mask = NDArray[np.bool_]


def ampute(
    df: pd.DataFrame, *, mechanism: str = "mcar", missing_rate: float, random_state: RandomStateLike = None
) -> pd.DataFrame:
    """Hide a share of the observed cells of a table.

    Only observed cells are ever hidden, and every column that has an observed cell keeps at least one.

    Parameters
    ----------
    df : DataFrame of shape (n_rows, n_columns)
        The table; it may already have holes. It is not changed.
    mechanism : {"mcar"}
        How the hidden cells are chosen. ``"mcar"`` (missing completely at random) takes a simple random sample of the
        observed cells, so every observed cell is equally likely to go.
    missing_rate : float in (0, 1)
        Share of the *observed* cells to hide. The number hidden is rounded to a whole number, at least 1; it falls
        short only where a column would be left empty.
    random_state : None, int, RandomState or Generator
        Seed of the choice.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        A copy with the same index and columns. Integer columns that lost a cell become float, boolean ones object
        (NumPy dtypes have no missing value); nullable, categorical and string columns keep their dtype.

    Raises
    ------
    TypeError
        If `df` is not a DataFrame, `mechanism` no str or `missing_rate` no number.
    ValueError
        If `mechanism` is unknown, `missing_rate` lies outside (0, 1), `df` is empty, has duplicate column names, or
        has no cell that may be hidden.

    Examples
    --------
    >>> import pandas as pd
    >>> from imputation_eval import ampute
    >>> df = pd.DataFrame({"age": [31, 45, 27, 60], "smokes": [True, False, False, True]})
    >>> holes = ampute(df, missing_rate=0.25, random_state=0)
    >>> int(holes.isna().sum().sum())
    2
    """
    df = check_table(df, "df")
    missing_rate = check_open_fraction(missing_rate, "missing_rate")
    check_mechanism(mechanism)
    observed = df.notna().to_numpy()
    hidden = _MECHANISMS[mechanism](observed, missing_rate, as_generator(random_state))
    if not hidden.any():
        raise ValueError("df has no cell that can be hidden: every column has at most one observed cell.")
    return hide(df, hidden)


def check_mechanism(mechanism: str) -> None:
    """Raise an error that lists the mechanisms unless ``mechanism`` is one of them."""
    if not isinstance(mechanism, str):
        raise TypeError(f"mechanism should be a str, one of {sorted(_MECHANISMS)}, got {mechanism!r}.")
    if mechanism not in _MECHANISMS:
        raise ValueError(f"mechanism={mechanism!r} is unknown; available: {sorted(_MECHANISMS)}.")


def hide(df: pd.DataFrame, hidden: _Mask) -> pd.DataFrame:
    """Return a copy of ``df`` whose cells are missing where ``hidden`` (n_rows, n_columns) is True."""
    columns = [_hide_in_column(df.iloc[:, j], hidden[:, j]) for j in range(df.shape[1])]
    masked = pd.concat(columns, axis=1)
    masked.columns = df.columns  # concat rebuilds the labels and would lose their dtype and level names
    return masked


def _hide_in_column(column: pd.Series, hidden: _Mask) -> pd.Series:
    if not hidden.any():
        return column.copy()
    # NumPy's integers and booleans cannot hold a hole. Boolean becomes object and not float, so that imputers which
    # choose by dtype still see a category.
    if isinstance(column.dtype, np.dtype):
        if column.dtype.kind in "iu":
            column = column.astype(np.float64)
        elif column.dtype.kind == "b":
            column = column.astype(object)
    return column.mask(hidden)


def _mcar(observed: _Mask, missing_rate: float, rng: np.random.Generator) -> _Mask:
    cells = np.flatnonzero(observed & (observed.sum(axis=0) > 1))  # the only cell of a column has to stay
    n_hidden = min(len(cells), max(1, round(missing_rate * observed.sum())))
    hidden = np.zeros(observed.size, dtype=bool)
    hidden[rng.choice(cells, n_hidden, replace=False)] = True
    return _keep_one_per_column(hidden.reshape(observed.shape), observed, rng)


def _keep_one_per_column(hidden: _Mask, observed: _Mask, rng: np.random.Generator) -> _Mask:
    """Show one cell again, chosen at random, in each column whose observed cells were all hidden."""
    for j in np.flatnonzero(~(observed & ~hidden).any(axis=0) & observed.any(axis=0)):
        hidden[rng.choice(np.flatnonzero(observed[:, j])), j] = False
    return hidden


_MECHANISMS: dict[str, Callable[[_Mask, float, np.random.Generator], _Mask]] = {"mcar": _mcar}
