"""Imputers that look at each column by itself: what every other one should beat."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from imputation_eval._validation import RandomStateLike, as_generator, check_no_empty_column, check_table
from imputation_eval.encoding import as_cells, as_float, column_roles
from imputation_eval.imputers.contract import fill_table, known_columns


class HotDeckImputer(TransformerMixin, BaseEstimator):
    """Fill each hole with a value drawn at random from the observed cells of its column.

    Keeps every column's distribution (under MCAR) and ignores all relations between columns: an imputer worth its name
    should do better.

    Parameters
    ----------
    random_state : None, int, RandomState or Generator
        Seed of the draws.

    Examples
    --------
    >>> import pandas as pd
    >>> from imputation_eval import HotDeckImputer
    >>> HotDeckImputer(random_state=0).fit_transform(pd.DataFrame({"x": ["a", None, "a"]}))["x"].tolist()
    ['a', 'a', 'a']
    """

    def __init__(self, random_state: RandomStateLike = None) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: None = None) -> HotDeckImputer:
        """Remember the observed cells of each column.

        Raises
        ------
        ValueError
            If a column has no observed cell.
        """
        check_no_empty_column(check_table(X, "X"), "X")
        self.donors_ = {name: X[name].dropna() for name in X.columns}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `X` with its holes filled."""
        rng = as_generator(self.random_state)

        def draw(name: Any, n: int) -> NDArray[Any]:
            donors = self.donors_[name]
            return donors.to_numpy()[rng.integers(len(donors), size=n)]

        return fill_table(X, draw)


class MeanImputer(TransformerMixin, BaseEstimator):
    """Fill the holes of numeric columns with the mean or median, those of other columns with the commonest level.

    Parameters
    ----------
    strategy : {"mean", "median"}
        What numeric columns get.
    categorical : "infer" or list of column names
        Which columns are nominal, as for :class:`~imputation_eval.TableEncoder`.

    Examples
    --------
    >>> import pandas as pd
    >>> from imputation_eval import MeanImputer
    >>> MeanImputer().fit_transform(pd.DataFrame({"x": [1.0, None, 3.0], "c": ["u", "u", None]}))
         x  c
    0  1.0  u
    1  2.0  u
    2  3.0  u
    """

    def __init__(self, strategy: str = "mean", *, categorical: str | Iterable[Hashable] = "infer") -> None:
        self.strategy = strategy
        self.categorical = categorical

    def fit(self, X: pd.DataFrame, y: None = None) -> MeanImputer:
        """Compute the filling value of each column.

        Raises
        ------
        ValueError
            If `strategy` is unknown, or a column has no observed cell or holds infinity.
        """
        if self.strategy not in ("mean", "median"):
            raise ValueError(f"strategy={self.strategy!r} should be 'mean' or 'median'.")
        check_no_empty_column(check_table(X, "X"), "X")
        center = np.nanmean if self.strategy == "mean" else np.nanmedian
        roles = column_roles(X, known_columns(self.categorical, X))
        self.statistics_ = {
            name: _average(X[name], center) if role == "numeric" else _commonest(X[name])
            for name, role in roles.items()
        }
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `X` with its holes filled."""
        return fill_table(X, lambda name, n: _repeat(self.statistics_[name], n))


def _average(column: pd.Series, center: Callable[[NDArray[np.float64]], float]) -> Any:
    return as_cells(np.array([center(as_float(column))]), column.dtype)[0]


def _commonest(column: pd.Series) -> Any:
    counts = column.dropna().astype(object).value_counts()
    # The smallest by text among the commonest, so that the order of the rows does not matter.
    return min(counts.index[counts == counts.max()], key=str)


def _repeat(value: Any, n: int) -> NDArray[Any]:
    repeated = np.empty(n, dtype=object)
    repeated[:] = [value] * n
    return repeated
