"""The ready-made set of imputers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes IterativeImputer importable)
from sklearn.impute import IterativeImputer, KNNImputer

from imputation_eval.encoding import as_cells, as_float, holds_numbers, is_time
from imputation_eval.imputers.chained import ChainedImputer
from imputation_eval.imputers.contract import fill_table
from imputation_eval.imputers.simple import HotDeckImputer, MeanImputer
from imputation_eval.imputers.table import TableImputer


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
        ``"knn"`` (5 neighbours, weighted by distance), ``"iterative"`` (chained Bayesian ridge regressions, their
        mean), ``"iterative-sample"`` (the same, drawn from the predictive distribution), ``"forest"`` (chained random
        forests, drawn from their leaves) and ``"pmm"`` (predictive mean matching); also ``"miceforest"`` if the package
        of that name is installed.

    Examples
    --------
    >>> from imputation_eval import default_imputers
    >>> list(default_imputers())[:8]
    ['mean', 'median', 'hot-deck', 'knn', 'iterative', 'iterative-sample', 'forest', 'pmm']
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
        "forest": ChainedImputer("forest", categorical=categorical),
        "pmm": ChainedImputer("matching", categorical=categorical),
        **({"miceforest": miceforest_imputer} if find_spec("miceforest") else {}),
    }


def miceforest_imputer(df: pd.DataFrame, random_state: int) -> pd.DataFrame:
    """Impute by the *miceforest* package: chained gradient-boosted trees with mean matching, five rounds.

    Booleans and strings become categories for it, dates seconds; what it returns is turned back.
    """
    import miceforest  # optional, and slow to import

    numbered = df.reset_index(drop=True).set_axis([f"c{j}" for j in range(df.shape[1])], axis=1)
    plain = pd.DataFrame({name: _for_trees(numbered[name]) for name in numbered})
    kernel = miceforest.ImputationKernel(plain, num_datasets=1, random_state=random_state)
    kernel.mice(5, num_threads=1)  # as many as all others get; repeats run side by side
    completed = kernel.complete_data(0)
    values = {name: completed[plain_name] for name, plain_name in zip(df.columns, plain, strict=True)}
    holes = df.isna()
    return fill_table(df, lambda name, n: _from_trees(values[name].to_numpy()[holes[name].to_numpy()], df[name].dtype))


def _for_trees(column: pd.Series) -> pd.Series:
    if holds_numbers(column) or is_time(column.dtype):
        return pd.Series(as_float(column))
    return column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")


def _from_trees(values: Any, dtype: Any) -> Any:
    return as_cells(np.asarray(values, dtype=np.float64), dtype) if is_time(dtype) else np.asarray(values)
