"""Chained equations that fill holes with the values of donors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from imputation_eval._validation import RandomStateLike, as_generator, check_integer
from imputation_eval.encoding import TableEncoder
from imputation_eval.imputers.contract import fill_table, known_columns
from imputation_eval.imputers.donors import leaf_donors, matched_donors

_Array = NDArray[np.float64]
_N_TREES = 10  # as R's mice


class ChainedImputer(BaseEstimator):
    """Draw each hole from its conditional distribution, column after column, by copying the value of a donor.

    Holes start as random observed values of their column. Then, in each round, every column with holes is modelled on
    all others (encoded by :class:`~imputation_eval.TableEncoder`), and each of its holes takes the value of an observed
    row that the model holds to be alike. Values are therefore always ones that occur, whatever the column's type.

    Parameters
    ----------
    method : {"matching", "forest"}
        Donors come from predictive mean matching (linear models, see Notes) or from the leaves of random forests.
    n_rounds : int
        Rounds over the columns.
    n_donors : int
        Candidates a hole in ``"matching"``.
    categorical : "infer" or list of column names
        Which columns are nominal.
    random_state : None, int, RandomState or Generator
        Seed of the draws.

    Notes
    -----
    This follows the method of R's *mice* [1]_ with its defaults for ``pmm`` (5 donors) and ``rf`` (10 trees); nominal
    columns are matched on the predictions of all their indicators, where *mice* uses logistic models.

    References
    ----------
    .. [1] S. van Buuren, K. Groothuis-Oudshoorn, "mice: Multivariate imputation by chained equations in R", Journal of
       Statistical Software 45 (2011).

    Examples
    --------
    >>> import pandas as pd
    >>> from imputation_eval import ChainedImputer
    >>> df = pd.DataFrame({"x": [1.0, 1.1, 9.0, 9.1] * 5, "c": ["u", "u", "v", "v"] * 4 + ["u", "u", "v", None]})
    >>> ChainedImputer("forest", random_state=0).fit_transform(df)["c"].iloc[-1]
    'v'
    """

    def __init__(
        self,
        method: str = "matching",
        *,
        n_rounds: int = 5,
        n_donors: int = 5,
        categorical: str | Iterable[Hashable] = "infer",
        random_state: RandomStateLike = None,
    ) -> None:
        self.method = method
        self.n_rounds = n_rounds
        self.n_donors = n_donors
        self.categorical = categorical
        self.random_state = random_state

    def fit_transform(self, X: pd.DataFrame, y: None = None) -> pd.DataFrame:
        """Return a copy of `X` with its holes filled.

        Raises
        ------
        ValueError
            If an argument is out of range, or the table cannot be encoded.
        """
        if self.method not in ("matching", "forest"):
            raise ValueError(f"method={self.method!r} should be 'matching' or 'forest'.")
        check_integer(self.n_rounds, "n_rounds", minimum=1)
        check_integer(self.n_donors, "n_donors", minimum=1)
        encoder = TableEncoder(categorical=known_columns(self.categorical, X)).fit(X, warn=False)
        donors = self._donors(encoder, encoder.transform(X), X.isna().to_numpy(), as_generator(self.random_state))
        return fill_table(X, lambda name, n: X[name].array.take(donors[name]))

    def _donors(
        self, encoder: TableEncoder, rows: _Array, holes: NDArray[np.bool_], rng: np.random.Generator
    ) -> dict[Hashable, NDArray[np.intp]]:
        """Return for each column with holes the rows whose values fill them; fills ``rows``."""
        features = encoder.expand(np.eye(holes.shape[1], dtype=bool))
        donors: dict[Hashable, Any] = {}
        columns = [j for j in np.argsort(holes.sum(axis=0), kind="stable") if holes[:, j].any()]
        for j in columns:
            known = np.flatnonzero(~holes[:, j])
            self._copy(rows, features[j], holes[:, j], known[rng.integers(len(known), size=int(holes[:, j].sum()))])
        for _ in range(self.n_rounds):
            for j in columns:
                hole, known, own = holes[:, j], np.flatnonzero(~holes[:, j]), features[j]
                # The last indicator of a column follows from its others.
                others = rows[:, ~own & ~encoder.redundant_]
                picks = self._pick(others[known], rows[np.ix_(known, own)], others[hole], rng)
                donors[encoder.columns_[j]] = known[picks]
                self._copy(rows, own, hole, known[picks])
        return donors

    @staticmethod
    def _copy(rows: _Array, features: NDArray[np.bool_], hole: NDArray[np.bool_], donors: NDArray[np.intp]) -> None:
        rows[np.ix_(hole, features)] = rows[np.ix_(donors, features)]

    def _pick(self, known: _Array, target: _Array, unknown: _Array, rng: np.random.Generator) -> NDArray[np.intp]:
        if known.shape[1] == 0 or target.shape[1] == 0:  # nothing to model: any observed value will do
            return rng.integers(len(known), size=len(unknown))
        if self.method == "matching":
            return matched_donors(known, target, unknown, self.n_donors, rng)
        return leaf_donors(known, target, unknown, _N_TREES, rng)[0]
