"""The ready-made imputers: reference points that every other one should beat, and scikit-learn's on mixed tables."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes IterativeImputer importable)
from sklearn.impute import IterativeImputer, KNNImputer

from imputation_eval._validation import RandomStateLike, as_generator, check_no_empty_column, check_table
from imputation_eval.encoding import TableEncoder, as_float, column_roles
from imputation_eval.imputers.contract import fill_table, seeded_copy


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
        roles = column_roles(X, self.categorical)
        self.statistics_ = {
            name: center(as_float(X[name])) if role == "numeric" else _commonest(X[name])
            for name, role in roles.items()
        }
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `X` with its holes filled."""
        return fill_table(X, lambda name, n: _repeat(self.statistics_[name], n))


class TableImputer(TransformerMixin, BaseEstimator):
    """Let an imputer of numeric arrays fill a table of mixed columns.

    The table is encoded by :class:`~imputation_eval.TableEncoder` (numeric columns scaled, nominal ones as indicators),
    the estimator fills the encoded array, and the result is decoded; a nominal hole becomes the level with the largest
    imputed indicator. All columns thus inform all others, on comparable scales.

    Parameters
    ----------
    estimator : scikit-learn imputer
        Fills a float array with NaN, e.g. ``KNNImputer()``.
    categorical : "infer" or list of column names
        Which columns are nominal.
    drop_redundant : bool
        Whether to keep the last indicator of each nominal column from the estimator. A regression that sees all but one
        of them merely restores its own first guess, since the indicators of a hole are missing together; an
        estimator that measures distances should see all.
    random_state : None, int, RandomState or Generator
        Handed to the estimator as an int if it takes one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.impute import KNNImputer
    >>> from imputation_eval import TableImputer
    >>> df = pd.DataFrame({"x": [1.0, 1.1, 9.0, 9.1], "c": ["u", "u", "v", None]})
    >>> TableImputer(KNNImputer(n_neighbors=1)).fit_transform(df)["c"].tolist()
    ['u', 'u', 'v', 'v']
    """

    def __init__(
        self,
        estimator: Any,
        *,
        categorical: str | Iterable[Hashable] = "infer",
        drop_redundant: bool = True,
        random_state: RandomStateLike = None,
    ) -> None:
        self.estimator = estimator
        self.categorical = categorical
        self.drop_redundant = drop_redundant
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: None = None) -> TableImputer:
        """Fit the encoder and the estimator.

        Raises
        ------
        ValueError
            If the table cannot be encoded.
        """
        # Quiet: a column may look constant only because its other cells were hidden; it is filled with that value.
        self.encoder_ = TableEncoder(categorical=self.categorical).fit(X, warn=False)
        seed = int(as_generator(self.random_state).integers(2**31 - 1))
        self._kept = ~(self.encoder_.redundant_ & self.drop_redundant)
        self.estimator_ = seeded_copy(self.estimator, seed).fit(self.encoder_.transform(X)[:, self._kept])
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a copy of `X` with its holes filled."""
        encoded = self.encoder_.transform(X)
        encoded[:, ~self._kept] = np.nan
        encoded[:, self._kept] = self.estimator_.transform(encoded[:, self._kept])
        decoded = self.encoder_.inverse_transform(encoded)
        holes = {name: X[name].isna().to_numpy() for name in X.columns}
        return fill_table(X, lambda name, n: decoded[name][holes[name]])


def default_imputers(*, categorical: str | Iterable[Hashable] = "infer") -> dict[str, Any]:
    """Return a starting set of imputers that work on tables of mixed columns.

    Parameters
    ----------
    categorical : "infer" or list of column names
        Which columns are nominal; give the same to :func:`~imputation_eval.rank_imputers`.

    Returns
    -------
    dict
        ``"mean"`` and ``"median"`` (commonest level for nominal columns), ``"hot-deck"`` (random observed values),
        ``"knn"`` (5 neighbours, weighted by distance), ``"iterative"`` (chained Bayesian ridge regressions, their mean)
        and ``"iterative-sample"`` (the same, drawn from the predictive distribution).

    Examples
    --------
    >>> from imputation_eval import default_imputers
    >>> list(default_imputers())
    ['mean', 'median', 'hot-deck', 'knn', 'iterative', 'iterative-sample']
    """
    knn = TableImputer(KNNImputer(weights="distance"), categorical=categorical, drop_redundant=False)
    chained: dict[str, Any] = {
        "iterative": IterativeImputer(tol=1e-2),
        "iterative-sample": IterativeImputer(sample_posterior=True, max_iter=5),  # as many rounds as R's mice
    }
    return {
        "mean": MeanImputer(categorical=categorical),
        "median": MeanImputer("median", categorical=categorical),
        "hot-deck": HotDeckImputer(),
        "knn": knn,
        **{name: TableImputer(estimator, categorical=categorical) for name, estimator in chained.items()},
    }


def _commonest(column: pd.Series) -> Any:
    counts = column.dropna().astype(object).value_counts()
    # The smallest by text among the commonest, so that the order of the rows does not matter.
    return min(counts.index[counts == counts.max()], key=str)


def _repeat(value: Any, n: int) -> NDArray[Any]:
    repeated = np.empty(n, dtype=object)
    repeated[:] = [value] * n
    return repeated
