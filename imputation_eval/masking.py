"""Masking mechanisms: which observed cells of a table are hidden to see how well an imputer restores them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import RandomStateLike, as_generator, check_open_fraction, check_table

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_STEEPNESS = 6.0  # the odds of the highest rank are exp(6), about 400 times, those of the lowest
_PATTERN_DRAWS = 20  # how often a row is offered another pattern when one would hide nothing of it, or all


def ampute(
    df: pd.DataFrame, *, mechanism: str = "mcar", missing_rate: float, random_state: RandomStateLike = None
) -> pd.DataFrame:
    r"""Hide a share of the observed cells of a table.

    Only observed cells are ever hidden. Every column that has an observed cell keeps at least one, and so does every
    row, unless so much is to be hidden that rows have to be emptied.

    Parameters
    ----------
    df : DataFrame of shape (n_rows, n_columns)
        The table; it may already have holes. It is not changed.
    mechanism : {"mcar", "mar", "mnar", "observed"}
        How the hidden cells are chosen, see Notes: completely at random, depending on a cell that stays, depending on
        the hidden value itself, or in the patterns of the holes that `df` has.
    missing_rate : float in (0, 1)
        Share of the *observed* cells to hide. The number hidden is rounded to a whole number, at least 1; it falls
        short only where a column would be left empty. For ``"observed"`` it is met to within half a row, and is the
        most that is hidden: the patterns may not give as much.
    random_state : None, int, RandomState or Generator
        Seed of the choice.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        A copy with the same index and columns. Integer columns that lost a cell become float, boolean ones object
        (NumPy dtypes have no missing value); nullable, categorical, string and datetime columns keep their dtype.

    Raises
    ------
    TypeError
        If `df` is not a DataFrame, `mechanism` no str or `missing_rate` no number; or, where ranks count, if a column
        holds values that cannot be compared.
    ValueError
        If `mechanism` is unknown, `missing_rate` lies outside (0, 1) or is more than ``"mar"`` can hide, `df` is empty,
        has duplicate column names, has no cell that may be hidden, or, for ``"observed"``, no row with holes.

    Notes
    -----
    The names are Rubin's [1]_; the definitions that follow are this package's own. Cell (i, j) has the log-odds

    .. math:: \operatorname{logit} p_{ij} = b + 6 \, (u_{ij} - 1/2)

    of being hidden, and b is set by the number of cells to hide: those with the largest
    :math:`6 u_{ij} + \text{logistic noise}` go.

    - ``"mcar"``: u = 1/2, so that all observed cells are equally likely to go.
    - ``"mnar"``: u is the rank of the cell's own value within its column, scaled to (0, 1).
    - ``"mar"``: each row draws one of its observed cells as its driver, which stays. For the other cells of the row, u
      is the rank of the driver within the driver's column. What is hidden thus depends on seen values alone.
    - ``"observed"``: rows in random order take over the holes of another row, drawn among those that have some. Which
      row gets which holes does not depend on values.

    Large values are the ones that go, or that make others go. Levels without an order are ranked in an order that is
    drawn anew with each mask; equal values share the mean of their ranks.

    References
    ----------
    .. [1] D. Rubin, "Inference and missing data", Biometrika 63 (1976).

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
    return hide(df, draw_mask(df, mechanism, missing_rate, as_generator(random_state)))


def draw_mask(df: pd.DataFrame, mechanism: str, missing_rate: float, rng: np.random.Generator) -> _Mask:
    """Return which cells :func:`ampute` hides, as a mask (n_rows, n_columns); its arguments are valid."""
    observed = df.notna().to_numpy()
    hidden = _MECHANISMS[mechanism](df, observed, missing_rate, rng)
    if not hidden.any():
        raise ValueError(
            f"df has no cell that can be hidden by mechanism={mechanism!r}: every column needs an observed cell that "
            "stays, for 'mar' every row too."
        )
    return hidden


def check_mechanism(mechanism: str) -> None:
    """Raise an error that lists the mechanisms unless ``mechanism`` is one of them."""
    if not isinstance(mechanism, str):
        raise TypeError(f"mechanism should be a str, one of {list(_MECHANISMS)}, got {mechanism!r}.")
    if mechanism not in _MECHANISMS:
        raise ValueError(f"mechanism={mechanism!r} is unknown; available: {list(_MECHANISMS)}.")


def hide(df: pd.DataFrame, hidden: _Mask) -> pd.DataFrame:
    """Return a copy of ``df`` whose cells are missing where ``hidden`` (n_rows, n_columns) is True."""
    columns = [_hide_in_column(df.iloc[:, j], hidden[:, j]) for j in range(df.shape[1])]
    masked = pd.concat(columns, axis=1).copy()  # a copy is one block of memory, many times as fast to look through
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


def _mcar(df: pd.DataFrame, observed: _Mask, missing_rate: float, rng: np.random.Generator) -> _Mask:
    return _hide_largest(rng.random(observed.shape), observed, _n_hidden(observed, missing_rate))


def _mnar(df: pd.DataFrame, observed: _Mask, missing_rate: float, rng: np.random.Generator) -> _Mask:
    keys = _STEEPNESS * _ranks(df, rng) + rng.logistic(size=observed.shape)
    return _hide_largest(keys, observed, _n_hidden(observed, missing_rate))


def _mar(df: pd.DataFrame, observed: _Mask, missing_rate: float, rng: np.random.Generator) -> _Mask:
    n_hidden, n_rows = _n_hidden(observed, missing_rate), len(df)
    most = int(observed.sum() - observed.any(axis=1).sum())
    if n_hidden > most > 0:
        raise ValueError(
            f"missing_rate={missing_rate} is too much for mechanism='mar', which leaves one cell of each row: it can "
            f"hide {most / observed.sum():.3g} of the observed cells of df."
        )
    drivers = np.where(observed, rng.random(observed.shape), -1.0).argmax(axis=1)
    rank = _ranks(df, rng)[np.arange(n_rows), drivers]
    keys = _STEEPNESS * rank[:, None] + rng.logistic(size=observed.shape)
    return _hide_largest(keys, observed, n_hidden, stays=drivers)


def _observed_patterns(df: pd.DataFrame, observed: _Mask, missing_rate: float, rng: np.random.Generator) -> _Mask:
    donors = np.flatnonzero(observed.any(axis=1) & ~observed.all(axis=1))
    if not len(donors):
        raise ValueError("mechanism='observed' needs rows of df that have holes, and there is none.")
    hidden = np.zeros_like(observed)
    left = np.flatnonzero(observed.any(axis=1))
    for _ in range(_PATTERN_DRAWS):
        taken = observed[left] & ~observed[rng.choice(donors, len(left))]
        fits = taken.any(axis=1) & (taken != observed[left]).any(axis=1)
        hidden[left[fits]] = taken[fits]
        left = left[~fits]
    order = rng.permutation(len(df))
    so_far = np.cumsum(hidden[order].sum(axis=1))
    n_rows = 1 + int(np.abs(so_far - _n_hidden(observed, missing_rate)).argmin())
    hidden[order[n_rows:]] = False
    return _keep_one_per_column(hidden, observed, rng)


def _n_hidden(observed: _Mask, missing_rate: float) -> int:
    return max(1, round(missing_rate * int(observed.sum())))


def _hide_largest(keys: _Array, observed: _Mask, n_hidden: int, *, stays: NDArray[np.intp] | None = None) -> _Mask:
    """Hide the cells with the largest keys, the last cell of a row only when all others are gone, of a column never.

    Parameters
    ----------
    keys : ndarray of shape (n_rows, n_columns)
        Finite, and different with probability 1. Changed.
    observed : bool ndarray of the same shape
    n_hidden : int
    stays : int ndarray of shape (n_rows,), optional
        The column of each row that is never hidden; by default a row may lose any.
    """
    free, rows = observed.copy(), np.arange(len(keys))
    smallest = np.where(observed, keys, np.inf)
    free[smallest.argmin(axis=0), np.arange(keys.shape[1])] = False
    if stays is None:
        # Lowered by more than the keys span, the last cells of rows come behind all others and keep their order.
        keys[rows, smallest.argmin(axis=1)] -= np.ptp(keys) + 1
    else:
        free[rows, stays] = False
    cells = np.flatnonzero(free)
    n_hidden = min(n_hidden, len(cells))
    hidden = np.zeros(observed.size, dtype=bool)
    if n_hidden:
        hidden[cells[np.argpartition(-keys.ravel()[cells], n_hidden - 1)[:n_hidden]]] = True
    return hidden.reshape(observed.shape)


def _ranks(df: pd.DataFrame, rng: np.random.Generator) -> _Array:
    """Return the rank of each cell within its column, scaled to (0, 1); 1/2 where a cell is missing."""
    ranks = np.full(df.shape, 0.5)
    for j in range(df.shape[1]):
        column = df.iloc[:, j].infer_objects()
        if not _has_order(column):
            try:
                codes, levels = pd.factorize(column)
            except TypeError as error:
                raise TypeError(f"column {column.name!r} holds values that cannot be compared: {error}.") from error
            column = pd.Series(np.append(rng.permutation(len(levels)), np.nan)[codes])
        n_observed = int(column.notna().sum())
        if n_observed:
            rank = column.rank().to_numpy(dtype=np.float64, na_value=np.nan)
            ranks[:, j] = np.nan_to_num((rank - 0.5) / n_observed, nan=0.5)
    return ranks


def _has_order(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return bool(column.dtype.ordered)
    kinds = (pd.api.types.is_numeric_dtype, pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return any(belongs(column.dtype) for belongs in kinds) and not pd.api.types.is_complex_dtype(column.dtype)


def _keep_one_per_column(hidden: _Mask, observed: _Mask, rng: np.random.Generator) -> _Mask:
    """Show one cell again, chosen at random, in each column whose observed cells were all hidden."""
    for j in np.flatnonzero(~(observed & ~hidden).any(axis=0) & observed.any(axis=0)):
        hidden[rng.choice(np.flatnonzero(observed[:, j])), j] = False
    return hidden


_MECHANISMS: dict[str, Callable[[pd.DataFrame, _Mask, float, np.random.Generator], _Mask]] = {
    "mcar": _mcar,
    "mar": _mar,
    "mnar": _mnar,
    "observed": _observed_patterns,
}
