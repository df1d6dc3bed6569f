"""Imputers of numeric arrays on tables of mixed columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from imputation_eval._validation import RandomStateLike, as_generator
from imputation_eval.encoding import TableEncoder
from imputation_eval.imputers.contract import fill_table, known_columns, seeded_copy


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
        self.encoder_ = TableEncoder(categorical=known_columns(self.categorical, X)).fit(X, warn=False)
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
